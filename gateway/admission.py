"""Whether inputs fit a route's limits: token ids are read, prompts put around texts, tokens counted where it decides.

Counting is exact only for inputs whose byte length cannot tell; an estimate never refuses anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from gateway import tokens
from gateway.errors import ContextLengthExceeded, InvalidRequest, TooManyTokens
from gateway.routing import Route
from gateway.tokens import Counter
from gateway.wire import InputType
from providers.base import Input, Limits, TokenIds


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
    if isinstance(inputs[0], str):
        inputs = _prompted(cast("Sequence[str]", inputs), role, route)
    else:
        inputs, cut_items = _from_token_ids(cast("Sequence[TokenIds]", inputs), role, route)
    return Admitted(inputs, await _sizes(inputs, route.limits, counter), cut_items)


def _prompted(texts: Sequence[str], role: InputType | None, route: Route) -> Sequence[str]:
    if role is None:
        return texts
    before, after = route.prompts[role].split("{text}")
    return [f"{before}{text}{after}" for text in texts]


def _from_token_ids(
    lists: Sequence[TokenIds], role: InputType | None, route: Route
) -> tuple[Sequence[Input], Sequence[int]]:
    """Ids as they came, where every target reads them alike; else the text that they stand for."""
    if route.client_tokens == "reject":
        raise InvalidRequest("This model takes texts, not token ids.", param="input")
    encoding = tokens.cl100k()
    texts: list[str] = []
    cut_items: list[int] = []
    for item, ids in enumerate(lists):
        try:
            if route.passes_token_ids and role is None:
                tokens.check_ids(encoding, ids)
                continue
            decoded = tokens.decode(encoding, ids)
        except tokens.BadTokenIds as error:
            raise InvalidRequest(f"`input[{item}]`: {error}", param="input") from None
        texts.append(decoded.text)
        if decoded.trimmed:
            cut_items.append(item)
    return (_prompted(texts, role, route) if texts else lists), cut_items


async def _sizes(inputs: Sequence[Input], limits: Limits, counter: Counter) -> Sequence[int]:
    """Bounds first: most requests are admitted by the length of their bytes, and none is counted without need."""
    sizes = [counter.most(item) if isinstance(item, str) else len(item) for item in inputs]
    if not counter.exact:
        return sizes
    per_input, per_request = limits.input_tokens, limits.request_tokens
    exact = {i for i, item in enumerate(inputs) if not isinstance(item, str)}

    async def count(items: Sequence[int]) -> None:
        for i, number in zip(items, await tokens.counts(counter, [cast("str", inputs[i]) for i in items]), strict=True):
            sizes[i] = number
            exact.add(i)

    if per_input is not None:
        doubtful = [i for i, size in enumerate(sizes) if size > per_input]
        for i in doubtful:
            item = inputs[i]
            if isinstance(item, str) and counter.least(item) > per_input:
                raise _too_long(i, f"at least {counter.least(item)}", per_input, counter)
        await count([i for i in doubtful if i not in exact])
        for i in doubtful:
            if sizes[i] > per_input:
                raise _too_long(i, str(sizes[i]), per_input, counter)
    if per_request is not None and sum(sizes) > per_request:
        await count([i for i in range(len(sizes)) if i not in exact])
        if sum(sizes) > per_request:
            raise TooManyTokens(
                f"The inputs have {sum(sizes)} tokens in all ({counter.name}); this model takes at most {per_request} "
                "in one request. Send them in several requests.",
                param="input",
            )
    return sizes


def _too_long(item: int, tokens_found: str, limit: int, counter: Counter) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"`input[{item}]` has {tokens_found} tokens ({counter.name}); this model takes at most {limit} in one input. "
        "Split it into shorter ones.",
        param="input",
    )


async def count_all(inputs: Sequence[Input], counter: Counter) -> int:
    """Tokens of all inputs, for a usage that no upstream reported."""
    texts = [item for item in inputs if isinstance(item, str)]
    ids = sum(len(item) for item in inputs if not isinstance(item, str))
    return ids + sum(await tokens.counts(counter, texts))
