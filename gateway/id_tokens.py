"""Who logs in to the console through an identity provider: what its ID token must say of an operator.

https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway import claims
from gateway.auth import Refused
from gateway.claims import Issuer
from gateway.inputs import quoted


@dataclass(frozen=True, slots=True)
class OpenIdClient:
    """What the console is to an OpenID provider. `issuer` has the client's id as its only audience."""

    issuer: Issuer
    client_id: str
    client_secret: str | None = field(repr=False)
    """None for a public client."""
    authorization_url: str
    token_url: str
    redirect_url: str
    scopes: tuple[str, ...]
    claim: str
    values: frozenset[str]
    """Whoever's claim is, or holds, one of them is an operator."""
    label: str
    token_proxy: str | None
    """The way to `token_url`."""


@dataclass(frozen=True, slots=True)
class Operator:
    """`name` is for people."""

    name: str


class NotAnOperator(Exception):
    """Somebody whom the provider knows, and who lacks the claim; the message says which."""


def operator(told: Mapping[str, Any], client: OpenIdClient, nonce: str, now: float) -> Operator | Refused:
    """Of a token whose signature is right. `now` is in seconds since the epoch. Raises NotAnOperator."""
    if told.get("iss") != client.issuer.name:
        return Refused("it is of another issuer (`iss`)")
    try:
        claims.check_times(told, client.issuer.leeway, now)
        claims.check_audience(told.get("aud"), client.issuer.audiences)
        subject = claims.subject_of(told.get("sub"))
    except claims.Unacceptable as reason:
        return Refused(str(reason))
    if "iat" not in told:
        return Refused("it does not say when it was issued (`iat`)")
    several = isinstance(told["aud"], list) and len(told["aud"]) > 1
    if told.get("azp", None if several else client.client_id) != client.client_id:
        return Refused("it was given to another client (`azp`)")
    shown = told.get("nonce")
    if not (isinstance(shown, str) and hmac.compare_digest(shown.encode(), nonce.encode())):
        return Refused("it is of another login (`nonce`)")
    email = told.get("email")
    name = quoted(email if isinstance(email, str) and email else subject)
    held = told.get(client.claim)
    if not any(
        isinstance(value, str) and value in client.values for value in (held if isinstance(held, list) else [held])
    ):
        raise NotAnOperator(
            f"{name} is no operator of this gateway: the claim `{quoted(client.claim)}` of the ID token "
            + ("is missing." if held is None else "holds none of the values that `auth.console.values` names.")
        )
    return Operator(name)
