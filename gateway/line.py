"""Texts that wait for a model in this process: which of them go into the next forward pass. It only decides.

**Packing.** A forward pass computes as many tokens as its longest text has, for each of its texts. So texts of like
length go together: what is padded stays below `MOST_PADDING` of what was asked, and all of it below `FORWARD_TOKENS`,
unless a single text is longer.

**Fairness.** Calls take turns: each forward pass is built around the longest text of the call whose turn it is, and the
places beside that text go to those nearest in length, whoever sent them. So every call moves on by a text at least
once in as many passes as calls wait, and a small request beside a huge one waits for a pass or two, not for all of it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

FORWARD_TOKENS: Final = 1_024
"""Most tokens of one forward pass, padding included: more at a time are no faster on CPUs, and make others wait."""
MOST_PADDING: Final = 1.2
"""Most computed tokens for each token of the texts."""

Call = TypeVar("Call", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Waiting(Generic[Call]):
    """One text of a call; `position` is its place there."""

    call: Call
    position: int
    text: str = field(repr=False)
    tokens: int


class Line(Generic[Call]):
    """Everything that waits. `most_texts` is how many one forward pass may hold."""

    def __init__(self, most_texts: int) -> None:
        self._most_texts = most_texts
        self._sorted: list[Waiting[Call]] = []
        self._left: dict[Call, int] = {}
        """How many texts of each call wait; the first call has the next turn."""

    def __len__(self) -> int:
        return len(self._sorted)

    @property
    def tokens(self) -> int:
        return sum(map(_tokens, self._sorted))

    @property
    def calls(self) -> int:
        return len(self._left)

    def add(self, call: Call, texts: Sequence[str], tokens: Sequence[int]) -> None:
        """All texts of a call that has none here yet, and how many tokens each has."""
        self._sorted += [Waiting(call, place, *text) for place, text in enumerate(zip(texts, tokens, strict=True))]
        self._sorted.sort(key=_tokens)
        self._left[call] = len(texts)

    def drop(self, call: Call) -> None:
        """Forgets what still waits of a call."""
        if self._left.pop(call, 0):
            self._sorted = [waiting for waiting in self._sorted if waiting.call != call]

    def take(self) -> list[Waiting[Call]]:
        """The texts of the next forward pass, by length; none when nothing waits."""
        if not self._sorted:
            return []
        turn = next(iter(self._left))
        own = (place for place in reversed(range(len(self))) if self._sorted[place].call == turn)
        places = self._around(next(own))
        taken = self._sorted[places]
        del self._sorted[places]
        self._left[turn] = self._left.pop(turn)  # to the end
        for waiting in taken:
            self._left[waiting.call] -= 1
            if not self._left[waiting.call]:
                del self._left[waiting.call]
        return taken

    def _around(self, place: int) -> slice:
        """The place and as many beside it as fit, the nearest in length first."""
        first, end = place, place + 1
        own = tokens = self._sorted[place].tokens
        while end - first < self._most_texts:
            steps = []
            if first > 0:
                shorter = self._sorted[first - 1].tokens
                steps.append((own - shorter, shorter, first - 1, end))
            if end < len(self):
                longer = self._sorted[end].tokens
                steps.append((longer - own, longer, first, end + 1))
            fitting = [step for step in steps if self._fits(step[2], step[3], tokens + step[1])]
            if not fitting:
                break
            _, more, first, end = min(fitting)
            tokens += more
        return slice(first, end)

    def _fits(self, first: int, end: int, tokens: int) -> bool:
        """Whether several texts, which have so many `tokens`, may be computed as if each were as long as the last."""
        computed = self._sorted[end - 1].tokens * (end - first)
        return computed <= min(FORWARD_TOKENS, MOST_PADDING * tokens)


def _tokens(waiting: Waiting[Any]) -> int:
    return waiting.tokens
