"""Texts that are too long become their parts, in threads where there is much to count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from gateway.cutting import NoRoom, Part, cut
from gateway.errors import ContextLengthExceeded
from gateway.tokens import INLINE

AT_ONCE: Final = 64
"""Parts made in a thread before it is seen whether the request was given up."""


async def of(
    texts: Sequence[str], long: Iterable[int], limit: int, tokens: Callable[[str], int], *, first_only: bool
) -> Mapping[int, Sequence[Part]]:
    """The parts of the `long` texts by their positions; of one that turns out to fit, itself.

    Raises ContextLengthExceeded, naming the item, where not one character fits. When it is cancelled, no further parts
    are made.
    """
    long = sorted(long)
    in_thread = sum(len(texts[item]) for item in long) > INLINE
    made: dict[int, list[Part]] = {}
    for item in long:
        coming = islice(cut(texts[item], limit, tokens), 1 if first_only else None)
        made[item] = []
        try:
            while some := await _some(coming, in_thread):
                made[item] += some
        except NoRoom:
            raise ContextLengthExceeded(
                f"`input[{item}]` cannot be cut: this model takes at most {limit} tokens in one input, and what is put "
                "around a text leaves no room for a character of this one.",
                param="input",
            ) from None
    return made


async def _some(parts: Iterator[Part], in_thread: bool) -> list[Part]:
    few = islice(parts, AT_ONCE)
    return await asyncio.to_thread(list, few) if in_thread else list(few)
