"""Whether inputs fit a route's limits: token ids are read, prompts put around texts, tokens counted where it decides.

What is too long is refused, or cut where the route says so. An estimate does neither, unless a backend might cut
without a word what is too long: then it refuses, at a limit of its own far below the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import field
from typing import Final, cast

from gateway import parts, token_ids, tokens
from gateway.cutting import Part
from gateway.errors import ContextLengthExceeded, InvalidRequest
from gateway.routing import Route
from gateway.sizes import Sizes, check_ids_sum, perhaps_too_long, too_long
from gateway.tokens import Counter
from gateway.vocabulary import cl100k
from providers.base import Input, InputType, TokenIds
from providers.values import frozen

INLINE_IDS: Final = 50_000
"""Token ids; more are read in a thread, which takes longer than a millisecond for each 10,000."""


@frozen
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


@frozen
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

    def weight(self, text: str) -> int:
        """Its tokens; or its characters in the limit's measure, if these are what it has too many of."""
        whole = self.prompted(text)
        most_chars, most = self.route.limits.input_chars, self.cut_over
        by_chars = 0 if most_chars is None or most is None else -(-len(whole) * most // most_chars)
        return max(self.counter.count(whole), by_chars)


def admit_at_once(inputs: Sequence[Input], role: InputType | None, route: Route, counter: Counter) -> Admitted | None:
    """What `admit` gives, where bounds alone tell that all fit; None where anything has to be read, counted or cut."""
    limits = route.limits
    count = len(inputs)
    if (limits.inputs is not None and count > limits.inputs) or (role and route.prompts):
        return None
    texts = cast("Sequence[str]", inputs)
    sizes = counter.bounds(texts) if isinstance(inputs[0], str) else None
    if sizes is None:
        return None
    decides, largest = counter.exact and route.tokenizer_known, max(sizes)
    most = limits.input_tokens if decides else route.most_estimated
    if most is not None and largest > most:
        return None
    # a character is at least a byte, so that there are no more of these
    if limits.input_chars is not None and largest > limits.input_chars:
        return None
    if decides and limits.request_tokens is not None and sum(sizes) > limits.request_tokens:
        return None
    return Admitted(inputs, sizes, range(count))


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
        lists = cast("Sequence[TokenIds]", inputs)
        if decides and counter.name == route.client_tokens:  # before their millions are read
            check_ids_sum(lists, route.limits.request_tokens, counter)
        if sum(map(len, lists)) <= INLINE_IDS:
            inputs, cut_items = _read_token_ids(lists, rules)
        else:
            inputs, cut_items = await asyncio.to_thread(_read_token_ids, lists, rules)
    whole = inputs
    if rules.prompt is not None:
        whole = [rules.prompted(item) if isinstance(item, str) else item for item in inputs]
    sizes = Sizes(whole, counter)
    if rules.cut_over is None:
        await _check(whole, sizes, route, decides=decides)
    if decides and route.limits.request_tokens is not None:
        await sizes.check_sum(route.limits.request_tokens)
    admitted = Admitted(whole, sizes.tokens, range(len(whole)), cut_items)
    if rules.cut_over is None:
        return admitted
    long = sizes.perhaps_over(rules.cut_over) | _of_too_many_chars(whole, route.limits.input_chars)
    return await _cut(admitted, cast("Sequence[str]", inputs), long, rules) if long else admitted


async def _check(inputs: Sequence[Input], sizes: Sizes, route: Route, *, decides: bool) -> None:
    """Refuses an input over a limit. Unless the count `decides`, being exact, only the limit of estimates holds."""
    most_chars = route.limits.input_chars
    for item in sorted(_of_too_many_chars(inputs, most_chars)):
        raise ContextLengthExceeded(
            f"`input[{item}]` has {len(inputs[item])} characters; this model takes at most {most_chars} in one input. "
            "Split it into shorter ones.",
            param="input",
        )
    await sizes.bound()
    most = route.limits.input_tokens if decides else route.most_estimated
    if most is not None:
        await sizes.check_each(most, too_long if decides else perhaps_too_long)


def _of_too_many_chars(inputs: Sequence[Input], most: int | None) -> set[int]:
    if most is None:
        return set()
    return {item for item, text in enumerate(inputs) if isinstance(text, str) and len(text) > most}


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


async def _cut(admitted: Admitted, texts: Sequence[str], long: Collection[int], rules: _Rules) -> Admitted:
    """The `long` texts as their parts, or as the first of them, unless they turn out to fit."""
    first_only = rules.route.too_long == "truncate"
    made = await parts.of(texts, long, rules.cut_over or 0, rules.weight, first_only=first_only)
    inputs: list[Input] = []
    sizes: list[int] = []
    items: list[int] = []
    for item, text in enumerate(texts):
        pieces = made.get(item) or [Part(text, admitted.sizes[item])]
        inputs += [rules.prompted(piece.text) for piece in pieces]
        sizes += [piece.tokens for piece in pieces]
        items += [item] * len(pieces)
    cut_items = {item for item, pieces in made.items() if pieces[0].text != texts[item]}
    overhead = rules.weight("") if len(inputs) > len(texts) else 0
    return Admitted(inputs, sizes, items, sorted(cut_items.union(admitted.cut_items)), overhead)


async def count(inputs: Sequence[Input], counter: Counter) -> list[int]:
    """The tokens of each input, for a usage that no upstream reported."""
    texts = [item for item in inputs if isinstance(item, str)]
    counts = await tokens.counts(counter, texts)
    if len(texts) == len(inputs):
        return counts
    left = iter(counts)
    return [next(left) if isinstance(item, str) else len(item) for item in inputs]
