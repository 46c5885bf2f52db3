"""Exchanges of a lasting secret for a bearer token of short life: their requests, and what the answers say.

Google: https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests
IBM: https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey
Entra: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#get-a-token
All answer as https://www.rfc-editor.org/rfc/rfc6749#section-5.1 says.
jwt and cryptography are imported where there is a service account: they take 10 MB.
"""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from providers import codec, errors_shape
from providers.base import Fault, FaultKind, Request, Response

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
ASSERTION_SECONDS: Final = 3600
"""The longest that Google accepts."""
IBM_TOKEN_URL: Final = "https://iam.cloud.ibm.com/identity/token"  # noqa: S105 (an address)
ENTRA_AUTHORITY: Final = "https://login.microsoftonline.com"
ENTRA_SCOPE: Final = "https://cognitiveservices.azure.com/.default"

_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token. `lifetime` is in seconds, from when it was issued."""

    value: str = field(repr=False)
    lifetime: float


@dataclass(frozen=True, slots=True)
class FormGrant:
    """A grant that sends the same form each time."""

    url: str
    form: tuple[tuple[str, str], ...] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def request(self, now: float) -> Request:
        return _post(self.url, dict(self.form))


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A grant that sends an assertion signed by a Google service account.

    The key was parsed once, which takes 40 ms; its id stands for it in comparisons.
    """

    url: str
    email: str
    key_id: str
    key: RSAPrivateKey = field(repr=False, compare=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key is never sent, so that nobody can quote it."""
        return ()

    def request(self, now: float) -> Request:
        """`now` is in seconds since 1970."""
        import jwt

        issued = int(now)
        claims = {
            "iss": self.email,
            "scope": GOOGLE_SCOPE,
            "aud": self.url,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        }
        assertion = jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})
        return _post(self.url, {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion})


Grant = FormGrant | ServiceAccount


def ibm(api_key: str, token_url: str = IBM_TOKEN_URL) -> FormGrant:
    form = (("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", api_key))
    return FormGrant(token_url, form, (api_key,))


def entra(tenant: str, client_id: str, client_secret: str, scope: str, authority: str) -> FormGrant:
    form = (
        ("grant_type", "client_credentials"),
        ("client_id", client_id),
        ("client_secret", client_secret),
        ("scope", scope),
    )
    tenant = urllib.parse.quote(tenant, safe="")
    return FormGrant(f"{authority.rstrip('/')}/{tenant}/oauth2/v2.0/token", form, (client_secret,))


def service_account(text: str) -> ServiceAccount:
    """Reads the key file that Google gives out; raises ValueError, which says what is wrong and quotes nothing."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        content = codec.parse_json(text.encode())
    except codec.JSONError:
        raise ValueError("is not JSON") from None
    given: dict[str, Any] = content if isinstance(content, dict) else {}
    needed = ("client_email", "private_key", "private_key_id", "token_uri")
    missing = [f"`{name}`" for name in needed if not isinstance(given.get(name), str) or not given[name]]
    if missing:
        raise ValueError(f"is no key file of a service account: {', '.join(missing)} not in it")
    try:
        key = load_pem_private_key(given["private_key"].encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # a TypeError where it is locked with a password
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("its `private_key` is no RSA key in PEM")
    return ServiceAccount(given["token_uri"], given["client_email"], given["private_key_id"], key)


def parse(response: Response) -> Token | Fault:
    """The token, or why there is none, in our own words: a refusal may quote what was sent."""
    if not 200 <= response.status < 300:
        return _refusal(response)
    try:
        content = codec.parse_json(response.body)
    except codec.JSONError:
        return _malformed("is not JSON", response)
    said: dict[str, Any] = content if isinstance(content, dict) else {}
    value, lifetime = said.get("access_token"), said.get("expires_in")
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
        return _malformed("has no `access_token` that could be sent", response)
    if not isinstance(lifetime, int | float) or lifetime is True or not 0 < lifetime < math.inf:
        return _malformed("has no `expires_in` in seconds", response)
    return Token(value, float(lifetime))


def _post(url: str, form: Mapping[str, str]) -> Request:
    return Request("POST", url, _HEADERS, urllib.parse.urlencode(form).encode())


def _refusal(response: Response) -> Fault:
    """What would be wrong with an input elsewhere is wrong with the credentials here."""
    kind = errors_shape.kind_of_status(response.status)
    if kind is FaultKind.REJECTED:
        kind = FaultKind.MISCONFIGURED
    message = f"its token endpoint answered with status {response.status}"
    return Fault(kind, message, response.status, errors_shape.retry_after(response.headers))


def _malformed(what: str, response: Response) -> Fault:
    return Fault(FaultKind.MALFORMED, f"the answer of its token endpoint {what}", response.status)
