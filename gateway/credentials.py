"""What authorizes a target's requests where no key does: tokens that are fetched and kept, and AWS's signatures.

A token is fetched once, kept until shortly before it expires, and fetched anew by one task that no caller owns:
whoever waits for it waits no longer than their own deadline, and hanging up disturbs nobody else.
"""

from __future__ import annotations

import asyncio
import math
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.logs import GATEWAY
from providers import aws_signature, token_grants
from providers.aws_signature import AwsKeys
from providers.base import Fault, FaultKind, Request, Response
from providers.token_grants import Grant

EXCHANGE_SECONDS: Final = 10.0
"""Longest time for one exchange, whoever waits for it."""
ANSWER_BYTES: Final = 2**18
"""No right answer of a token endpoint is larger."""
REFRESH_SECONDS: Final = 300.0
REFRESH_SHARE: Final = 0.1
"""A token is renewed so long before it expires, or that share of its lifetime if this is shorter."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
"""Seconds without an exchange after one that failed, doubled for each further one."""
LONGEST_ASKED_PAUSE: Final = 300.0
"""Seconds; a token endpoint that asks for a longer pause is asked again all the same."""
REFUSAL_PAUSE: Final = 10.0
"""Seconds before another refused token is replaced: an upstream that refuses every token gets no endless supply."""

Fetch = Callable[[Request, float], Awaitable[Response | Fault]]
"""Sends a request to a token endpoint before a deadline on the event loop's clock."""


class Credentials(Protocol):
    @property
    def secrets(self) -> Sequence[str]:
        """What must not be seen in an upstream's message, besides the authorization that it was sent."""

    async def authorized(self, request: Request, deadline: float) -> Request | Fault:
        """The request as it may be sent; `deadline` is on the event loop's clock."""

    def refused(self, request: Request) -> bool:
        """Told of a 401 to an authorized request; whether authorizing it anew may help."""


class Signature:
    """AWS's, made of each request. `now` gives seconds since 1970."""

    def __init__(self, keys: AwsKeys, region: str, now: Callable[[], float]) -> None:
        lent = () if keys.session_token is None else (keys.session_token,)
        self.secrets: Sequence[str] = (keys.access_key_id, keys.secret_access_key, *lent)
        self._signed = aws_signature.signer(keys, region)
        self._now = now

    async def authorized(self, request: Request, deadline: float) -> Request:
        return self._signed(request, self._now())

    def refused(self, request: Request) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class _Held:
    """A token, with times on the event loop's clock."""

    value: str = field(repr=False)
    stale: float
    """From then on it is renewed."""
    expires: float

    @property
    def header(self) -> str:
        return f"Bearer {self.value}"


class BearerToken:
    """One that is fetched. `clock` is the event loop's; `now` gives seconds since 1970, for assertions."""

    def __init__(self, grant: Grant, fetch: Fetch, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self.secrets: Sequence[str] = grant.secrets
        self._grant = grant
        self._fetch = fetch
        self._clock = clock
        self._now = now
        self._held: _Held | None = None
        self._exchange: asyncio.Task[_Held | Fault] | None = None
        self._pause = FIRST_PAUSE
        self._failure = Fault(FaultKind.OVERLOADED, "")
        self._paused_until = -math.inf
        self._replaced_at = -math.inf

    async def authorized(self, request: Request, deadline: float) -> Request | Fault:
        held = await self._token(deadline)
        if isinstance(held, Fault):
            return held
        return replace(request, headers={**request.headers, "authorization": held.header})

    def refused(self, request: Request) -> bool:
        """A token that is still the one in hand is given up; where another has come meanwhile, that one may help."""
        held = self._held
        if held is None or request.headers["authorization"] != held.header:
            return True
        if self._clock() < self._replaced_at + REFUSAL_PAUSE:
            return False
        self._held, self._replaced_at = None, self._clock()
        return True

    async def _token(self, deadline: float) -> _Held | Fault:
        held, now = self._held, self._clock()
        if held is not None and now < held.expires:
            if held.stale <= now:
                self._exchange_at(now)
            return held
        exchange = self._exchange_at(now)
        if exchange is None:
            return replace(self._failure, retry_after=self._paused_until - now)
        await asyncio.wait({exchange}, timeout=max(0.0, deadline - now))
        if not exchange.done():
            return Fault(FaultKind.TIMEOUT, "its token endpoint did not answer in time")
        outcome = exchange.result()
        if isinstance(outcome, _Held) and outcome.expires <= self._clock():
            return Fault(FaultKind.OVERLOADED, "its token endpoint gave a token that had expired when it came")
        return outcome

    def _exchange_at(self, now: float) -> asyncio.Task[_Held | Fault] | None:
        """The one exchange that runs; None in the pause after a failed one."""
        if self._exchange is None and self._paused_until <= now:
            self._exchange = asyncio.create_task(self._exchanged(now))
        return self._exchange

    async def _exchanged(self, began: float) -> _Held | Fault:
        try:
            answer = await self._fetch(self._grant.request(self._now()), began + EXCHANGE_SECONDS)
        finally:
            self._exchange = None
        token = token_grants.parse(answer) if isinstance(answer, Response) else answer
        if isinstance(token, Fault):
            return self._failed(token)
        self._pause = FIRST_PAUSE
        ahead = min(REFRESH_SECONDS, REFRESH_SHARE * token.lifetime)
        expires = began + token.lifetime  # it cannot have been issued before it was asked for
        self._held = _Held(token.value, expires - ahead, expires)
        return self._held

    def _failed(self, fault: Fault) -> Fault:
        pause = max(self._pause, min(fault.retry_after or 0.0, LONGEST_ASKED_PAUSE))
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._failure, self._paused_until = replace(fault, retry_after=pause), self._clock() + pause
        about = {"endpoint": urllib.parse.urlsplit(self._grant.url).hostname, "fault": fault.kind}
        GATEWAY.warning("token exchange failed", extra={"fields": {**about, "status": fault.status}})
        return self._failure
