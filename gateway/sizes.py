"""The tokens of inputs, counted as seldom as can be: bounds first, and exactly only where it decides something."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from gateway import tokens
from gateway.errors import ContextLengthExceeded, TooManyTokens
from gateway.tokens import Counter
from providers.base import Input, TokenIds

Refusal = Callable[[int, str, int, Counter], ContextLengthExceeded]
"""Of an item, its number of tokens, and the most that are let through."""


class Sizes:
    """Tokens of each input: exact for token ids and for what was counted, an upper bound for other texts."""

    def __init__(self, inputs: Sequence[Input], counter: Counter) -> None:
        self._inputs = inputs
        self._counter = counter
        bounds = [counter.most(item) if isinstance(item, str) else len(item) for item in inputs]
        self._unbounded = [item for item, bound in enumerate(bounds) if bound is None] if None in bounds else []
        self.tokens = [bound or 0 for bound in bounds] if self._unbounded else cast("list[int]", bounds)
        self._exact = {item for item, what in enumerate(inputs) if not isinstance(what, str)}

    async def bound(self) -> None:
        """Counts those that no bound is known of."""
        await self._count(self._unbounded)

    def perhaps_over(self, limit: int) -> set[int]:
        """Items that have more tokens, or of which that is not known."""
        if not self._unbounded and max(self.tokens) <= limit:
            return set()
        unknown = (item for item in self._unbounded if item not in self._exact)
        return {item for item, size in enumerate(self.tokens) if size > limit}.union(unknown)

    async def check_each(self, limit: int, refusal: Refusal) -> None:
        """Raises the refusal of the first input that surely has more tokens, else of the first that has."""
        await self.bound()
        over = sorted(self.perhaps_over(limit))
        for item in over:
            if self._least(item) > limit:
                raise refusal(item, f"at least {self._least(item)}", limit, self._counter)
        for item in over:  # one by one: the first that is too long ends it
            await self._count([item])
            if self.tokens[item] > limit:
                raise refusal(item, str(self.tokens[item]), limit, self._counter)

    async def check_sum(self, limit: int) -> None:
        """Raises TooManyTokens if all inputs together have more tokens."""
        await self.bound()
        if sum(self.tokens) <= limit:
            return
        await self._count(range(len(self._inputs)))
        if sum(self.tokens) > limit:
            raise _too_many(sum(self.tokens), limit, self._counter)

    def _least(self, item: int) -> int:
        """A cheap lower bound; 0 for those whose number is known, which is then said as it is."""
        what = self._inputs[item]
        return 0 if item in self._exact or not isinstance(what, str) else self._counter.least(what)

    async def _count(self, items: Iterable[int]) -> None:
        """Counts those that are not exact yet."""
        missing = [item for item in items if item not in self._exact]
        if not missing:
            return
        texts = [what for item in missing if isinstance(what := self._inputs[item], str)]
        for item, number in zip(missing, await tokens.counts(self._counter, texts), strict=True):
            self.tokens[item] = number
        self._exact.update(missing)


def too_long(item: int, tokens_found: str, limit: int, counter: Counter) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"`input[{item}]` has {tokens_found} tokens ({counter.name}); this model takes at most {limit} in one input. "
        "Split it into shorter ones.",
        param="input",
    )


def perhaps_too_long(item: int, tokens_found: str, most: int, counter: Counter) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"`input[{item}]` has {tokens_found} tokens by an estimate ({counter.name}, which is not this model's own "
        f"tokenizer); at most {most} are let through, because what is too long could be cut without a word. "
        "Split it into shorter ones.",
        param="input",
    )


def check_ids_sum(lists: Sequence[TokenIds], limit: int | None, counter: Counter) -> None:
    """The same for ids that are the counter's own: their number is known without reading them."""
    total = sum(map(len, lists))
    if limit is not None and total > limit:
        raise _too_many(total, limit, counter)


def _too_many(tokens: int, limit: int, counter: Counter) -> TooManyTokens:
    return TooManyTokens(
        f"The inputs have {tokens} tokens in all ({counter.name}); this model takes at most {limit} in one request. "
        "Send them in several requests.",
        param="input",
    )
