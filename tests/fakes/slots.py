"""A slot as a context, for tests that hold some at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.allowances import Priority
from gateway.slots import Slots
from providers.base import Fault


@asynccontextmanager
async def slot(slots: Slots, deadline: float, lane: Priority = "interactive") -> AsyncIterator[Fault | None]:
    """Entering gives None with a slot in hand, or the fault that there is none in time."""
    began = await slots.take(deadline, lane)
    if isinstance(began, Fault):
        yield began
        return
    try:
        yield None
    finally:
        slots.give_back(began, lane)
