"""The authorization code flow with PKCE: a browser brings a code from an identity provider, which buys an ID token.

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth, https://www.rfc-editor.org/rfc/rfc7636
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import id_tokens, oidc, signatures
from gateway.auth import Refused
from gateway.errors import UpstreamUnavailable
from gateway.id_tokens import OpenIdClient, Operator
from gateway.inputs import quoted
from gateway.key_sets import KeySet
from providers import codec
from providers.base import Fault, Request, Response

EXCHANGE_SECONDS: Final = 10.0
LARGEST_ANSWER: Final = 2**18
"""Bytes; tokens that list a person's groups have some thousand."""

Send = Callable[[Request], Awaitable[Response | Fault]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login under way. `state` is seen by whoever sees the browser's addresses, `verifier` by nobody else."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


class CodeFlow:
    """`send` asks the provider, in bounded time; `clock` is in seconds since the epoch."""

    def __init__(self, client: OpenIdClient, keys: KeySet, send: Send, clock: Callable[[], float]) -> None:
        self.client = client
        self._keys = keys
        self._send = send
        self._clock = clock

    @staticmethod
    def begin() -> Attempt:
        return Attempt(*(secrets.token_urlsafe(32) for _ in range(3)))

    def address(self, attempt: Attempt) -> str:
        """Where the browser is sent."""
        query = {
            "response_type": "code",
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_url,
            "scope": " ".join(self.client.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": _challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        url = self.client.authorization_url
        return f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode(query)}"

    async def operator(self, attempt: Attempt, code: str) -> Operator | Refused:
        """Who has brought a code. Raises UpstreamUnavailable, or NotAnOperator."""
        answer = await self._send(self._exchange(attempt, code))
        if isinstance(answer, Fault) or answer.status >= 500:
            raise UpstreamUnavailable("The identity provider cannot be asked right now. Try again shortly.")
        told = _object(answer.body)
        if answer.status != 200:
            reason = told.get("error")
            said = f": `{quoted(reason)}`" if isinstance(reason, str) else ""
            return Refused(f"the identity provider does not take its code{said}")
        text = told.get("id_token")
        token = signatures.taken_apart(text) if isinstance(text, str) else None
        if token is None:
            return Refused("the identity provider gave no ID token that can be read")
        wrong = await oidc.unsigned(token, self.client.issuer, self._keys)
        outcome = wrong or id_tokens.operator(token.claims, self.client, attempt.nonce, self._clock())
        return Refused(f"its ID token does not count: {outcome.reason}") if isinstance(outcome, Refused) else outcome

    def _exchange(self, attempt: Attempt, code: str) -> Request:
        """A client with a secret shows it as https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1 says."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_url,
            "code_verifier": attempt.verifier,
        }
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self.client.client_secret is None:
            form["client_id"] = self.client.client_id
        else:
            pair = ":".join(map(urllib.parse.quote_plus, (self.client.client_id, self.client.client_secret)))
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return Request("POST", self.client.token_url, headers, urllib.parse.urlencode(form).encode())


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _object(body: bytes) -> dict[str, Any]:
    """Empty for what is none."""
    try:
        told = codec.parse_json(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
