"""Work that mostly ends without having to wait: it is begun at once, and gets a timer only where it does wait."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar, cast

_T = TypeVar("_T")


async def in_time(work: Coroutine[Any, Any, _T], deadline: float) -> _T:
    """What `work` comes to; TimeoutError when it still waits at `deadline`, on the event loop's clock.

    A timer costs more than most of what is done before one.
    """
    try:
        awaited = work.send(None)
    except StopIteration as end:
        return cast("_T", end.value)
    async with asyncio.timeout_at(deadline):
        return await _rest(work, awaited)


@types.coroutine
def _rest(work: Coroutine[Any, Any, _T], awaited: object) -> Generator[Any, Any, _T]:
    """Goes on with work that has begun and awaits something; whatever is thrown in here is thrown in there."""
    while True:
        try:
            sent = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 (it is the work's)
            step = functools.partial(work.throw, error)
        else:
            step = functools.partial(work.send, sent)
        try:
            awaited = step()
        except StopIteration as end:
            return cast("_T", end.value)
