"""A batch that is refused for its size, or that one item spoils, is halved until the first bad item stands alone."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gateway.together import together
from providers.base import Fault

_AnswerT = TypeVar("_AnswerT")
Batch = Sequence[int]


def _always() -> bool:
    return True


async def deliver(
    batch: Batch,
    ask: Callable[[Batch], Coroutine[Any, Any, _AnswerT | Fault]],
    may_halve: Callable[[], bool] = _always,
) -> list[tuple[Batch, _AnswerT | Fault]]:
    """Runs that make up the batch, each with its answer, or with the fault that remains; see `after`."""
    outcome = await ask(batch)
    return await after(outcome, batch, ask, may_halve) if isinstance(outcome, Fault) else [(batch, outcome)]


async def after(
    fault: Fault,
    batch: Batch,
    ask: Callable[[Batch], Coroutine[Any, Any, _AnswerT | Fault]],
    may_halve: Callable[[], bool],
) -> list[tuple[Batch, _AnswerT | Fault]]:
    """What the batch comes to in runs, once the whole of it has come to a fault.

    Only divisible faults are halved. Both halves are asked for; good ones are kept, and the first bad one is halved
    again, until an item is bad alone: its fault names it, and comes before those of runs that were given up for it. So
    one bad item costs at most 2·log2 n further calls. A batch that is just too large is delivered in pieces, and given
    up once more than 2·log2 n of those calls were fruitless. Another fault ends it all, bad runs sharing that fault.
    `may_halve` is asked before each halving, which is what the refused call was once more: one call too many.
    """
    runs: list[Batch] = [batch]
    outcomes: list[_AnswerT | Fault] = [fault]
    settled: list[tuple[Batch, _AnswerT | Fault]] = []
    bad: list[tuple[Batch, Fault]] = []  # and still to be halved; the first one last
    fruitless, most_fruitless = 0, 1 + 2 * (len(batch) - 1).bit_length()
    ended_by: Fault | None = None
    while True:
        to_halve: list[tuple[Batch, Fault]] = []
        for run, outcome in zip(runs, outcomes, strict=True):
            if not isinstance(outcome, Fault):
                settled.append((run, outcome))
            elif outcome.divisible and len(run) > 1:
                to_halve.append((run, outcome))
            else:
                ended_by = replace(outcome, item=0) if outcome.divisible else outcome
                settled.append((run, ended_by))
            fruitless += isinstance(outcome, Fault)
        bad += reversed(to_halve)
        if ended_by is not None and not ended_by.divisible:
            bad = [(run, replace(ended_by, item=None)) for run, _ in bad]
        if ended_by is not None or not bad or fruitless > most_fruitless or not may_halve():
            return [*settled, *reversed(bad)]
        run, _ = bad.pop()
        runs = [run[: len(run) // 2], run[len(run) // 2 :]]
        outcomes = await together(map(ask, runs))
