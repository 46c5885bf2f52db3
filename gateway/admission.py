"""Whether inputs fit a route's limits: token ids are read, prompts put around texts, tokens counted where it decides.

Counting is exact only for inputs whose byte length cannot tell. An estimate refuses nothing, unless a backend might cut
without a word what is too long: then it has a limit of its own, far below the real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from gateway import token_ids, tokens
from gateway.errors import ContextLengthExceeded, InvalidRequest, TooManyTokens
from gateway.routing import Route
from gateway.tokens import Counter
from gateway.vocabulary import cl100k
from providers.base import Input, InputType, TokenIds


@dataclass(frozen=True, slots=True)
class Admitted:
    """The inputs as every target of the route gets them.

    `sizes` are their tokens, exact where it mattered and an upper bound elsewhere; `cut_items` are the inputs
    that lost half a character when their token ids were read.
    """

    inputs: Sequence[Input] = field(repr=False)
    sizes: Sequence[int]
    cut_items: Sequence[int] = ()


async def admit(inputs: Sequence[Input], role: InputType | None, route: Route, counter: Counter) -> Admitted:
    """Raises InvalidRequest, naming the item and the limit, for inputs that the route cannot take."""
    if route.limits.inputs is not None and len(inputs) > route.limits.inputs:
        raise InvalidRequest(
            f"`input` holds {len(inputs)} inputs; this model takes at most {route.limits.inputs} in one request. "
            "Send them in several requests.",
            param="input",
        )
    cut_items: Sequence[int] = ()
    decides = counter.exact and route.tokenizer_known
    if isinstance(inputs[0], str):
        inputs = _prompted(cast("Sequence[str]", inputs), role, route)
    else:
        most = route.limits.input_tokens if decides and counter.name == route.client_tokens else None
        inputs, cut_items = _from_token_ids(cast("Sequence[TokenIds]", inputs), role, route, most)
    _check_chars(inputs, route.limits.input_chars)
    return Admitted(inputs, await _sizes(inputs, route, counter, decides=decides), cut_items)


def _check_chars(inputs: Sequence[Input], most: int | None) -> None:
    for item, text in enumerate(inputs):
        if most is not None and isinstance(text, str) and len(text) > most:
            raise ContextLengthExceeded(
                f"`input[{item}]` has {len(text)} characters; this model takes at most {most} in one input. "
                "Split it into shorter ones.",
                param="input",
            )


def _prompted(texts: Sequence[str], role: InputType | None, route: Route) -> Sequence[str]:
    if role is None or not route.prompts:
        return texts
    before, after = route.prompts[role].split("{text}")
    return [f"{before}{text}{after}" for text in texts]


def _from_token_ids(
    lists: Sequence[TokenIds], role: InputType | None, route: Route, most: int | None
) -> tuple[Sequence[Input], Sequence[int]]:
    """Ids as they came, where every target reads them alike; else the text that they stand for."""
    if route.client_tokens == "reject":
        raise InvalidRequest("This model takes texts, not token ids.", param="input")
    encoding = cl100k()
    texts: list[str] = []
    cut_items: list[int] = []
    for item, ids in enumerate(lists):
        if most is not None and len(ids) > most:  # before their millions are read
            raise ContextLengthExceeded(
                f"`input[{item}]` has {len(ids)} tokens ({encoding.name}); this model takes at most {most} in one "
                "input. Split it into shorter ones.",
                param="input",
            )
        try:
            if route.passes_token_ids and not (role and route.prompts):
                token_ids.check_ids(encoding, ids)
                continue
            decoded = token_ids.decode(encoding, ids)
        except token_ids.BadTokenIds as error:
            raise InvalidRequest(f"`input[{item}]`: {error}", param="input") from None
        texts.append(decoded.text)
        if decoded.trimmed:
            cut_items.append(item)
    return (_prompted(texts, role, route) if texts else lists), cut_items


async def _sizes(inputs: Sequence[Input], route: Route, counter: Counter, *, decides: bool) -> Sequence[int]:
    """Bounds first: most requests are admitted by the length of their bytes, and none is counted without need.

    Unless the count `decides`, being exact in the model's own tokens, only the limit of estimates refuses.
    """
    sizes = _Sizes(inputs, counter)
    await sizes.count(sizes.unbounded)
    most = route.limits.input_tokens if decides else route.most_estimated
    if most is not None:
        too_long = _too_long if decides else _perhaps_too_long
        over = sizes.over(most)
        for item in over:
            if sizes.least(item) > most:
                raise too_long(item, f"at least {sizes.least(item)}", most, counter)
        for item in over:  # one by one: the first that is too long ends it
            await sizes.count([item])
            if sizes.tokens[item] > most:
                raise too_long(item, str(sizes.tokens[item]), most, counter)
    most = route.limits.request_tokens
    if decides and most is not None and sum(sizes.tokens) > most:
        await sizes.count(range(len(inputs)))
        if sum(sizes.tokens) > most:
            raise TooManyTokens(
                f"The inputs have {sum(sizes.tokens)} tokens in all ({counter.name}); this model takes at most "
                f"{most} in one request. Send them in several requests.",
                param="input",
            )
    return sizes.tokens


class _Sizes:
    """Tokens of each input: exact for token ids and for what was counted, an upper bound for other texts."""

    def __init__(self, inputs: Sequence[Input], counter: Counter) -> None:
        self._inputs = inputs
        self._counter = counter
        bounds = [counter.most(item) if isinstance(item, str) else len(item) for item in inputs]
        self.unbounded = [item for item, bound in enumerate(bounds) if bound is None]
        self.tokens = [bound or 0 for bound in bounds]
        self._exact = {item for item, what in enumerate(inputs) if not isinstance(what, str)}

    def over(self, limit: int) -> list[int]:
        return [item for item, size in enumerate(self.tokens) if size > limit]

    def least(self, item: int) -> int:
        """A cheap lower bound; 0 for those whose number is known, which is then said as it is."""
        what = self._inputs[item]
        return 0 if item in self._exact or not isinstance(what, str) else self._counter.least(what)

    async def count(self, items: Iterable[int]) -> None:
        """Counts those that are not exact yet."""
        missing = [item for item in items if item not in self._exact]
        texts = [what for item in missing if isinstance(what := self._inputs[item], str)]
        for item, number in zip(missing, await tokens.counts(self._counter, texts), strict=True):
            self.tokens[item] = number
        self._exact.update(missing)


def _too_long(item: int, tokens_found: str, limit: int, counter: Counter) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"`input[{item}]` has {tokens_found} tokens ({counter.name}); this model takes at most {limit} in one input. "
        "Split it into shorter ones.",
        param="input",
    )


def _perhaps_too_long(item: int, tokens_found: str, most: int, counter: Counter) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"`input[{item}]` has {tokens_found} tokens by an estimate ({counter.name}, which is not this model's own "
        f"tokenizer); at most {most} are let through, because what is too long could be cut without a word. "
        "Split it into shorter ones.",
        param="input",
    )


async def count_all(inputs: Sequence[Input], counter: Counter) -> int:
    """Tokens of all inputs, for a usage that no upstream reported."""
    texts = [item for item in inputs if isinstance(item, str)]
    ids = sum(len(item) for item in inputs if not isinstance(item, str))
    return ids + sum(await tokens.counts(counter, texts))
