"""AWS's Signature Version 4 over a request that is otherwise whole, made by botocore's own signer.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
botocore is an extra and slow to import, so that it is imported when the first signer is made.
"""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Callable
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


def signer(keys: AwsKeys, region: str, service: str = "bedrock") -> Callable[[Request, float], Request]:
    """Makes of a request and the time, in seconds since 1970, the request with its signature among its headers.

    None of these may change any more. botocore's own `add_auth` does the same steps with the time of its own clock.
    """
    from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    auth = SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), service, region)

    def signed(request: Request, now: float) -> Request:
        stamp = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime(SIGV4_TIMESTAMP)
        headers = {**request.headers, "x-amz-date": stamp}
        if keys.session_token is not None:
            headers["x-amz-security-token"] = keys.session_token
        unsigned = AWSRequest(request.method, request.url, headers, request.body)
        unsigned.context["timestamp"] = stamp
        signature = auth.signature(auth.string_to_sign(unsigned, auth.canonical_request(unsigned)), unsigned)
        names = auth.signed_headers(auth.headers_to_sign(unsigned))
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={auth.scope(unsigned)}, SignedHeaders={names}, Signature={signature}"
        )
        return replace(request, headers=headers)

    return signed
