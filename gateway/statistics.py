"""What a server of one's own says of how busy it is, asked when somebody wants to know, and remembered for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.upstream import Upstream, Via
from providers.base import Endpoint, Response, Statistics, StatisticsSource

ASKED_SECONDS: Final = 1.0
"""A server that is too busy to answer by then is told by the gateway's own numbers."""
REMEMBERED_SECONDS: Final = 2.0
LARGEST_ANSWER: Final = 2**20


class ToldStatistics:
    """One model's at one server. However many ask at a time, the server is asked once; `clock` is the event loop's."""

    def __init__(
        self,
        source: StatisticsSource,
        endpoint: Endpoint,
        model: str,
        upstream: Upstream,
        via: Via,
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._model = model
        self._upstream = upstream
        self._via = via
        self._clock = clock
        self._reading = asyncio.Lock()
        self._until: float | None = None
        self._told: Statistics | None = None

    async def read(self) -> Statistics | None:
        """None where it did not say in time, or said nothing of this model: that is remembered, too."""
        async with self._reading:
            if self._until is None or self._clock() >= self._until:
                self._told = await self._ask()
                self._until = self._clock() + REMEMBERED_SECONDS
            return self._told

    async def _ask(self) -> Statistics | None:
        request = self._source.build_request(self._endpoint)
        answer = await self._upstream.send(request, self._via, self._clock() + ASKED_SECONDS, LARGEST_ANSWER)
        if not isinstance(answer, Response) or not 200 <= answer.status < 300:
            return None
        return self._source.parse_response(answer, self._model)
