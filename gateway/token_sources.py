"""Where the targets' credentials come from that are no key: each token is bought once, however many targets send it."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from gateway.config import TargetConfig
from gateway.credentials import ANSWER_BYTES, BearerToken, Credentials, Signature
from gateway.upstream import Upstream, Via
from providers.aws_signature import AwsKeys
from providers.base import Fault, Request, Response
from providers.token_grants import Grant


class TokenSources:
    """`clock` is the event loop's, `now` in seconds since 1970. A token is kept while any backend has it."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._upstream = upstream
        self._clock = clock
        self._now = now
        self._kept: WeakValueDictionary[tuple[Grant, Via], BearerToken] = WeakValueDictionary()

    def credentials(self, target: TargetConfig) -> Credentials | None:
        """Raises OSError or ValueError when the way to the token endpoint cannot be used."""
        grant = target.credentials
        if grant is None:
            return None
        if isinstance(grant, AwsKeys):
            return Signature(grant, target.region or "", self._now)
        via = Via(target.token_proxy, target.ca_file)
        self._upstream.pool(via)

        async def fetch(request: Request, deadline: float) -> Response | Fault:
            return await self._upstream.send(request, via, deadline, ANSWER_BYTES)

        return self._kept.setdefault((grant, via), BearerToken(grant, fetch, self._clock, self._now))
