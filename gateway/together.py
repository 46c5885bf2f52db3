"""Several things at the same time: one exception ends them all, and comes out as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

_ResultT = TypeVar("_ResultT")


async def together(coroutines: Iterable[Coroutine[Any, Any, _ResultT]]) -> list[_ResultT]:
    """Their results, in order. One alone needs no task."""
    coroutines = list(coroutines)
    if len(coroutines) == 1:
        return [await coroutines[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # the log shows where an exception was raised, and a group nowhere
    return [task.result() for task in tasks]
