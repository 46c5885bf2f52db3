"""AWS's Signature Version 4 over a request that is otherwise whole, made by botocore's own signer.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
botocore is an extra and slow to import, so that it is imported when first used.
"""

from __future__ import annotations

import datetime
import importlib.util
from dataclasses import dataclass, field, replace

from providers.base import Request


@dataclass(frozen=True, slots=True)
class AwsKeys:
    """An access key; `session_token` goes with keys that are lent for a time."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def is_installed() -> bool:
    return importlib.util.find_spec("botocore") is not None


def signed(request: Request, keys: AwsKeys, region: str, now: float, service: str = "bedrock") -> Request:
    """The request with its signature among its headers, none of which may change any more.

    `now` is in seconds since 1970. botocore's own `add_auth` does these steps with the time of its own clock.
    """
    from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime(SIGV4_TIMESTAMP)
    headers = {**request.headers, "x-amz-date": stamp}
    if keys.session_token is not None:
        headers["x-amz-security-token"] = keys.session_token
    signer = SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), service, region)
    unsigned = AWSRequest(request.method, request.url, headers, request.body)
    unsigned.context["timestamp"] = stamp
    signature = signer.signature(signer.string_to_sign(unsigned, signer.canonical_request(unsigned)), unsigned)
    names = signer.signed_headers(signer.headers_to_sign(unsigned))
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(unsigned)}, SignedHeaders={names}, Signature={signature}"
    )
    return replace(request, headers=headers)
