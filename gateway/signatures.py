"""Tokens and their signatures: taken apart, checked against a public key, and sealed with the gateway's own secret.

What a token claims is not judged here. Public keys and the secret never meet: each has an instance of PyJWT's signer
of its own, which knows no algorithm of the other's. The only jwt, imported where tokens are configured: with what it
brings along it takes 10 MB.
JSON Web Signature: https://www.rfc-editor.org/rfc/rfc7515, its algorithms and keys:
https://www.rfc-editor.org/rfc/rfc7518, https://www.rfc-editor.org/rfc/rfc7517, https://www.rfc-editor.org/rfc/rfc8037
"""

from __future__ import annotations

import base64
import functools
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from providers import codec

if TYPE_CHECKING:
    import jwt

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Those that a public key checks; whoever knows that key cannot sign with it."""

LEAST_RSA_BITS: Final = 2048
_OF_CURVE: Final[Mapping[str, str]] = {
    "P-256": "ES256",
    "P-384": "ES384",
    "P-521": "ES512",
    "Ed25519": "EdDSA",
    "Ed448": "EdDSA",
}
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""What makes a public key of each kind; a private key's other members are not read."""
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@functools.cache
def by_public_key() -> jwt.PyJWS:
    """Asked for where an issuer is configured, so that its first token does not wait for an import."""
    import jwt

    return jwt.PyJWS(algorithms=get_args(Algorithm))


@functools.cache
def _by_secret() -> jwt.PyJWS:
    import jwt

    return jwt.PyJWS(algorithms=["HS256"])


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart: nothing of it is true before its signature is checked."""

    text: str = field(repr=False)
    header: Mapping[str, Any] = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with; `algorithm` is the only one that it is for, where its owner says so."""

    id: str | None
    curve: str | None
    algorithm: str | None
    key: Any = field(repr=False, compare=False)

    def fits(self, algorithm: str) -> bool:
        by_kind = _OF_CURVE.get(self.curve) == algorithm if self.curve is not None else algorithm[:2] in ("RS", "PS")
        return by_kind and self.algorithm in (None, algorithm)


def looks_like_token(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def taken_apart(text: str) -> Token | None:
    """None for what is no token: not three parts of base64url, of which the first two are JSON objects."""
    if not looks_like_token(text):
        return None
    parts = text.split(".")
    try:
        header, claims = (codec.parse_json(_decoded(part)) for part in parts[:2])
    except ValueError:
        return None
    return Token(text, header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def public_key(jwk: object) -> PublicKey | None:
    """A key of a JSON Web Key Set; None for one that is not for signatures, too weak, of an unknown kind, or broken."""
    import jwt

    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    key_id, algorithm, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("key_ops", ["verify"])
    if not (isinstance(key_id, str | None) and isinstance(algorithm, str | None)):
        return None
    if not (isinstance(operations, list) and "verify" in operations):
        return None
    kind = str(jwk.get("kty"))
    members = {name: str(jwk.get(name)) for name in _MEMBERS.get(kind, ())}
    curve = members.get("crv")
    try:
        key = jwt.PyJWK({"kty": kind, **members}, "RS256" if curve is None else _OF_CURVE[curve]).key
    except (jwt.PyJWTError, ValueError, KeyError):
        return None
    if kind == "RSA" and key.key_size < LEAST_RSA_BITS:
        return None
    return PublicKey(key_id, curve, algorithm, key)


def is_signed(token: Token, key: PublicKey, algorithm: str) -> bool:
    """Whether a token was signed with the private half of a key, by this algorithm, which its header must name."""
    import jwt

    if not key.fits(algorithm):
        return False
    try:
        by_public_key().decode(token.text, key.key, [algorithm])
    except jwt.PyJWTError:
        return False
    return True


class Seal:
    """Signs and checks tokens of one purpose with a secret of the gateway's own.

    The key is derived from the secret and the purpose, so that tokens of two purposes are never taken for each other.
    """

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._key = hmac.digest(secret, purpose.encode(), "sha256")
        self._type = purpose
        self._signer = _by_secret()

    def sealed(self, claims: Mapping[str, Any]) -> str:
        return self._signer.encode(codec.write_json(claims), self._key, "HS256", {"typ": self._type})

    def claims(self, text: str) -> Mapping[str, Any] | None:
        """What was sealed; None where the seal is not ours."""
        import jwt

        token = taken_apart(text)
        if token is None or token.header.get("typ") != self._type:
            return None
        try:
            self._signer.decode(text, self._key, ["HS256"])
        except jwt.PyJWTError:
            return None
        return token.claims
