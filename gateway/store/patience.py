"""How long something is waited for by a process that may itself be busy: its own business is nobody's slowness."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PARTS: Final = 20
"""Of a time. A burst of requests may keep this process from looking for answers longer than a server may take for them,
and would pass for an outage: however long it is busy between two looks, that is one part of the time."""


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError when the time is up, as it passes for a process that may be busy: see `PARTS`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds / PARTS, lambda: begin(PARTS - 1))

        def begin(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / PARTS, begin, left - 1)
            else:
                limit.reschedule(loop.time())

        try:
            yield
        finally:
            timer.cancel()
