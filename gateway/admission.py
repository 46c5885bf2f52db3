"""Whether inputs fit a route's limits: token ids are read, prompts put around texts, tokens counted where it decides.

What is too long is refused, or cut where the route says so. An estimate never refuses or cuts anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, cast

from gateway import token_ids, tokens
from gateway.cutting import NoRoom, Part, cut
from gateway.errors import ContextLengthExceeded, InvalidRequest
from gateway.routing import Route
from gateway.sizes import Sizes, too_long
from gateway.tokens import Counter
from gateway.vocabulary import cl100k
from providers.base import Input, InputType, TokenIds

PARTS_AT_ONCE: Final = 64
"""Made in a thread before it is seen whether the request was given up."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The inputs as every target of the route gets them; those that were cut stand there as their parts.

    `sizes` are their tokens, exact where it mattered and an upper bound elsewhere. `items` tells of each which item of
    the request it is, or is a part of. `cut_items` are the items that were cut, or that lost half a character when
    their token ids were read. `overhead` are the tokens of a part that are not its own text's.
    """

    inputs: Sequence[Input] = field(repr=False)
    sizes: Sequence[int]
    items: Sequence[int]
    cut_items: Sequence[int] = ()
    overhead: int = 0


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for the inputs of one request: over so many tokens one is refused, or cut, if a count may say so."""

    route: Route
    counter: Counter
    refused_over: int | None
    cut_over: int | None
    prompt: str | None
    """What is put around a text, which stands for `{text}` in it."""

    def prompted(self, text: str) -> str:
        if self.prompt is None:
            return text
        before, after = self.prompt.split("{text}")
        return f"{before}{text}{after}"

    def tokens(self, text: str) -> int:
        return self.counter.count(self.prompted(text))


async def admit(inputs: Sequence[Input], role: InputType | None, route: Route, counter: Counter) -> Admitted:
    """Raises InvalidRequest, naming the item and the limit, for inputs that the route cannot take."""
    if route.limits.inputs is not None and len(inputs) > route.limits.inputs:
        raise InvalidRequest(
            f"`input` holds {len(inputs)} inputs; this model takes at most {route.limits.inputs} in one request. "
            "Send them in several requests.",
            param="input",
        )
    decides = counter.exact and route.tokenizer_known
    limit = route.limits.input_tokens if decides else None
    refuses = route.too_long == "error"
    rules = _Rules(
        route,
        counter,
        refused_over=limit if refuses else None,
        cut_over=None if refuses else limit,
        prompt=route.prompts[role] if role and route.prompts else None,
    )
    cut_items: Sequence[int] = ()
    if not isinstance(inputs[0], str):
        inputs, cut_items = _read_token_ids(cast("Sequence[TokenIds]", inputs), rules)
    whole = [rules.prompted(item) if isinstance(item, str) else item for item in inputs]
    sizes = Sizes(whole, counter)
    if rules.refused_over is not None:
        await sizes.check_each(rules.refused_over)
    if decides and route.limits.request_tokens is not None:
        await sizes.check_sum(route.limits.request_tokens)
    if rules.cut_over is None:
        await sizes.bound()
        return Admitted(whole, sizes.tokens, range(len(whole)), cut_items)
    admitted = Admitted(whole, sizes.tokens, range(len(whole)), cut_items)
    long = sizes.perhaps_over(rules.cut_over)
    return await _cut(admitted, cast("Sequence[str]", inputs), long, rules, rules.cut_over) if long else admitted


def _read_token_ids(lists: Sequence[TokenIds], rules: _Rules) -> tuple[Sequence[Input], Sequence[int]]:
    """Ids as they came, where every target reads them alike and none is cut; else the text that they stand for.

    With them come the items that lost half a character.
    """
    if rules.route.client_tokens == "reject":
        raise InvalidRequest("This model takes texts, not token ids.", param="input")
    encoding = cl100k()
    counted_alike = rules.counter.name == rules.route.client_tokens
    some_are_cut = rules.cut_over is not None and max(map(len, lists)) > rules.cut_over
    passes = rules.route.passes_token_ids and rules.prompt is None and not some_are_cut
    texts: list[str] = []
    cut_items: list[int] = []
    for item, ids in enumerate(lists):
        if counted_alike and rules.refused_over is not None and len(ids) > rules.refused_over:
            raise too_long(item, str(len(ids)), rules.refused_over, rules.counter)  # before their millions are read
        try:
            if passes:
                token_ids.check_ids(encoding, ids)
                continue
            decoded = token_ids.decode(encoding, ids)
        except token_ids.BadTokenIds as error:
            raise InvalidRequest(f"`input[{item}]`: {error}", param="input") from None
        texts.append(decoded.text)
        if decoded.trimmed:
            cut_items.append(item)
    return (lists if passes else texts), cut_items


async def _cut(admitted: Admitted, texts: Sequence[str], long: Collection[int], rules: _Rules, most: int) -> Admitted:
    """Each of the `long` that has more than `most` tokens as its parts, or as the first of them."""
    inputs: list[Input] = []
    sizes: list[int] = []
    items: list[int] = []
    cut_items = set(admitted.cut_items)
    in_thread = sum(len(texts[item]) for item in long) > tokens.INLINE
    for item, (text, size) in enumerate(zip(texts, admitted.sizes, strict=True)):
        parts = await _parts(item, text, rules, most, in_thread) if item in long else [Part(text, size)]
        if parts[0].text != text:
            cut_items.add(item)
        inputs += [rules.prompted(part.text) for part in parts]
        sizes += [part.tokens for part in parts]
        items += [item] * len(parts)
    return Admitted(inputs, sizes, items, sorted(cut_items), rules.tokens("") if len(inputs) > len(texts) else 0)


async def _parts(item: int, text: str, rules: _Rules, most: int, in_thread: bool) -> list[Part]:
    """The making of further parts ends when the request is given up."""
    coming = islice(cut(text, most, rules.tokens), 1 if rules.route.too_long == "truncate" else None)
    made: list[Part] = []
    try:
        while some := await _some(coming, in_thread):
            made += some
    except NoRoom:
        raise ContextLengthExceeded(
            f"`input[{item}]` cannot be cut: this model takes at most {most} tokens in one input "
            f"({rules.counter.name}), and what it puts around a text leaves no room for a character of this one.",
            param="input",
        ) from None
    return made


async def _some(parts: Iterator[Part], in_thread: bool) -> list[Part]:
    few = islice(parts, PARTS_AT_ONCE)
    return await asyncio.to_thread(list, few) if in_thread else list(few)


async def count(inputs: Sequence[Input], counter: Counter) -> list[int]:
    """The tokens of each input, for a usage that no upstream reported."""
    texts = iter(await tokens.counts(counter, [item for item in inputs if isinstance(item, str)]))
    return [next(texts) if isinstance(item, str) else len(item) for item in inputs]
