"""What a token of an identity provider claims, once its signature is known to be right, becomes a `Caller` or a reason.

https://www.rfc-editor.org/rfc/rfc7519#section-4.1, https://openid.net/specs/openid-connect-core-1_0.html#IDToken
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.allowances import Rates
from gateway.auth import Caller, Refused
from gateway.inputs import quoted

LONGEST_SUBJECT: Final = 255
"""https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""
_RATES: Final = ("rpm", "tpm", "concurrent")


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claims say what is not standard; `name` is for people, the others grant."""

    name: str = "sub"
    models: str = "gateway_models"
    team: str = "gateway_team"
    limits: str = "gateway_limits"


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider whose tokens are taken. `leeway` is in seconds.

    `models`, `team` and `rates` are for tokens that say nothing of them.
    """

    name: str
    """As `iss` has it."""
    audiences: frozenset[str]
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    leeway: float = 30.0
    claims: ClaimNames = ClaimNames()
    models: tuple[str, ...] = ()
    team: str | None = None
    rates: Rates = Rates()
    proxy: str | None = None

    def key_id(self, subject: str) -> str:
        """Whose limits and usage these are: subjects are unique within their issuer alone."""
        return f"jwt:{hashlib.sha256(self.name.encode()).hexdigest()[:12]}:{subject}"


class Unacceptable(Exception):
    """A claim that is not as it must be; the message says why."""


def caller(claims: Mapping[str, Any], issuer: Issuer, teams: Collection[str], now: float) -> Caller | Refused:
    """`now` is in seconds since the epoch. What grants something and cannot be understood refuses the token."""
    try:
        check_times(claims, issuer.leeway, now)
        check_audience(claims.get("aud"), issuer.audiences)
        subject = subject_of(claims.get("sub"))
        name = claims.get(issuer.claims.name)
        return Caller(
            issuer.key_id(subject),
            quoted(name if isinstance(name, str) and name else subject),
            _models(claims.get(issuer.claims.models), issuer),
            team=_team(claims.get(issuer.claims.team), issuer, teams),
            rates=_rates(claims.get(issuer.claims.limits), issuer),
        )
    except Unacceptable as reason:
        return Refused(str(reason))


def expiry(claims: Mapping[str, Any], issuer: Issuer) -> float:
    """The moment from which an accepted token is refused."""
    return float(claims["exp"]) + issuer.leeway


def check_times(claims: Mapping[str, Any], leeway: float, now: float) -> None:
    expires = _moment(claims, "exp")
    if expires is None:
        raise Unacceptable("it has no `exp`, and a token must end some time")
    if now >= expires + leeway:
        raise Unacceptable("it has expired; get a new one from its issuer")
    if now < (_moment(claims, "nbf") or 0.0) - leeway:
        raise Unacceptable("it is not valid yet (`nbf`)")
    if now < (_moment(claims, "iat") or 0.0) - leeway:
        raise Unacceptable("it was issued in the future (`iat`)")


def _moment(claims: Mapping[str, Any], claim: str) -> float | None:
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unacceptable(f"its `{claim}` is not a number of seconds")
    return float(value)


def check_audience(value: object, audiences: frozenset[str]) -> None:
    told = value if isinstance(value, list) else [value]
    if not any(isinstance(audience, str) and audience in audiences for audience in told):
        raise Unacceptable("it is for another audience (`aud`)")


def subject_of(value: object) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= LONGEST_SUBJECT and value.isprintable()):
        raise Unacceptable(f"its `sub` is not 1 to {LONGEST_SUBJECT} printable characters")
    return value


def _models(value: object, issuer: Issuer) -> tuple[str, ...]:
    """A list, or one string with blanks or commas between the patterns."""
    if value is None:
        return issuer.models
    patterns = re.split(r"[\s,]+", value) if isinstance(value, str) else value
    if not (isinstance(patterns, list) and all(isinstance(pattern, str) for pattern in patterns)):
        raise Unacceptable(f"its `{quoted(issuer.claims.models)}` is neither a list of models nor a string of them")
    return tuple(filter(None, patterns))


def _team(value: object, issuer: Issuer, teams: Collection[str]) -> str | None:
    if value is None:
        return issuer.team
    if not (isinstance(value, str) and value in teams):  # else it would slip from every team's budget
        raise Unacceptable(f"its `{quoted(issuer.claims.team)}` is none of this gateway's teams")
    return value


def _rates(value: object, issuer: Issuer) -> Rates:
    if value is None:
        return issuer.rates
    if not isinstance(value, dict) or any(
        name not in _RATES or type(limit) is not int or limit < 1 for name, limit in value.items()
    ):
        raise Unacceptable(
            f"its `{quoted(issuer.claims.limits)}` is not an object of `rpm`, `tpm` and `concurrent`, each a whole "
            "number of at least 1"
        )
    return Rates(**value)
