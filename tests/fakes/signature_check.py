"""Whether a request carries AWS's Signature Version 4 as AWS itself makes it out, without botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Mapping
from typing import Final

_FORM: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d{8})/([a-z0-9-]+)/([a-z]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)
CLOCK_SKEW: Final = 300.0
"""Seconds that a signature may be old or early."""


def wrong(
    method: str, raw_path: str, headers: Mapping[str, str], body: bytes, now: float, key_id: str, secret: str
) -> str | None:
    """What is wrong with a request without a query to Bedrock in eu-west-1, or None; header names in lower case."""
    form = _FORM.fullmatch(headers.get("authorization", ""))
    if form is None:
        return "no signature"
    given_id, date, region, service, names, signature = form.groups()
    if (given_id, region, service) != (key_id, "eu-west-1", "bedrock"):
        return "another key or scope"
    stamp = headers.get("x-amz-date", "")
    signed_at = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    if not stamp.startswith(date) or abs(signed_at.timestamp() - now) > CLOCK_SKEW:
        return "too old or too early"
    signed = names.split(";")
    if signed != sorted(signed) or not {"host", "x-amz-date", "content-type"} <= set(signed):
        return "not all headers are signed that must be"
    canonical = "\n".join(
        [
            method,
            urllib.parse.quote(raw_path, safe="/-_.~"),  # encoded once more, as everywhere but in S3
            "",
            *(f"{name}:{' '.join(headers[name].split())}" for name in signed),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for word in (date, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    right = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return None if hmac.compare_digest(right, signature) else "another signature"
