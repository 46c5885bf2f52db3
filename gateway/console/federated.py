"""Logging in through an identity provider: the browser goes there with a random state, and comes back with a code.

What a login needs until then is in a sealed cookie of its own, so that strangers cannot fill the state. The cookie is
`SameSite=Lax`, for the browser comes back from another site; the session's is not, and is sent from the next page on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import origin
from gateway.auth import Refused
from gateway.code_flow import Attempt, CodeFlow
from gateway.console import door
from gateway.console.login import Login
from gateway.errors import UpstreamUnavailable, retry_headers
from gateway.failures import Failures
from gateway.id_tokens import NotAnOperator, Operator
from gateway.inputs import quoted
from gateway.signatures import Seal
from gateway.store import ValueStore

ATTEMPT_SECONDS: Final = 600
PURPOSE: Final = "console-login"
_USED: Final = "console:logins"
_COOKIE: Final = "gateway-console-login"


@dataclass(frozen=True, slots=True)
class _Begun:
    """`after` is the page that was wanted, `at` in seconds since the epoch."""

    attempt: Attempt
    after: str
    at: float


@dataclass(frozen=True, slots=True)
class FederatedLogin:
    login: Login
    flow: CodeFlow
    store: ValueStore
    failures: Failures

    async def start(self, request: Request) -> Response:
        attempt = self.flow.begin()
        begun = {
            **dataclasses.asdict(attempt),
            "after": self.login.after(request.query_params.get("next", "")[:500]),
            "at": time.time(),
        }
        response = RedirectResponse(self.flow.address(attempt), 303)
        self._set_cookie(request, response, (await self._seal()).sealed(begun))
        return response

    async def finish(self, request: Request) -> Response:
        """The page that the provider sends the browser back to. Whatever comes of it, the login is over."""
        response = await self._outcome(request)
        self._set_cookie(request, response, "")
        return response

    async def _outcome(self, request: Request) -> Response:
        source, query = origin.source(request), request.query_params
        begun = await self._begun(request)
        if begun is None:
            return self._failed(request, "", "This login was not begun in this browser, or more than 10 minutes ago.")
        if not hmac.compare_digest(query.get("state", "").encode(), begun.attempt.state.encode()):
            return self._failed(request, begun.after, "The answer is to another login (`state`).")
        if query.get("iss", self.flow.client.issuer.name) != self.flow.client.issuer.name:
            return self._failed(request, begun.after, "The answer is of another identity provider (`iss`).")
        if "code" not in query or "error" in query:
            reason, about = (quoted(query.get(name, ""), 300) for name in ("error", "error_description"))
            said = f" (`{reason}`{': ' if about else ''}{about})" if reason else ""
            return self._failed(request, begun.after, f"The identity provider did not log you in{said}.")
        wait = self.failures.wait(source)
        if wait:  # asking the provider costs, it and us
            return self._throttled(begun.after, wait)
        try:
            outcome = await self.flow.operator(begun.attempt, query["code"])
        except NotAnOperator as lack:
            return self._failed(request, begun.after, str(lack), 403)
        except UpstreamUnavailable as error:
            return self.login.page(begun.after, error.message, 503)
        if isinstance(outcome, Refused):
            return self._failed(request, begun.after, f"This login does not count: {outcome.reason}.")
        if not await self._first_use(begun.attempt):
            return self._failed(request, begun.after, "This login was used already.")
        return await self._entered(request, outcome, begun.after)

    async def _entered(self, request: Request, operator: Operator, after: str) -> Response:
        """A page of our own that leads on: a redirect would still count as the provider's, and get no session."""
        response = self.login.pages.html("entered.html", None, after=self.login.after(after))
        await self.login.admit(request, response, operator.name)
        return response

    async def _begun(self, request: Request) -> _Begun | None:
        claims = (await self._seal()).claims(request.cookies.get(door.cookie_name(request, _COOKIE), ""))
        try:
            if claims is None or not claims["at"] <= time.time() < claims["at"] + ATTEMPT_SECONDS:
                return None
            attempt = Attempt(claims["state"], claims["nonce"], claims["verifier"])
            return _Begun(attempt, claims["after"], claims["at"])
        except KeyError:  # of another version of the gateway
            return None

    async def _first_use(self, attempt: Attempt) -> bool:
        """Marked only when somebody was logged in, who may write."""
        name = hashlib.sha256(attempt.state.encode()).hexdigest()
        return await self.store.put_value(_USED, name, b"", ATTEMPT_SECONDS, only_if_absent=True)

    async def _seal(self) -> Seal:
        return await self.login.sessions.seal(PURPOSE)

    def _failed(self, request: Request, after: str, message: str, status: int = 401) -> Response:
        wait = self.failures.add(origin.source(request))
        return self._throttled(after, wait) if wait else self.login.page(after, f"{message} Try again.", status)

    def _throttled(self, after: str, wait: float) -> Response:
        return self.login.wait(after, retry_headers(wait)["retry-after"])

    def _set_cookie(self, request: Request, response: Response, value: str) -> None:
        door.set_cookie(request, response, value, _COOKIE, ATTEMPT_SECONDS, "lax")
