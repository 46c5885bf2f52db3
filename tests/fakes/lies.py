"""Services that do something else than what they are configured for, or than OpenAI: behaviours for `FakeOpenAI`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.fakes import mishaps
from tests.fakes.mishaps import Spoiled
from tests.fakes.openai_replies import Answer, vector_for
from tests.fakes.openai_upstream import Behaviour, Exchange, rightly

Data = list[dict[str, Any]]


def floats_anyway() -> Behaviour:
    """Asked for base64 it answers numbers."""
    return Spoiled(lambda answer: None, encoding="float")


def float64_as_base64() -> Behaviour:
    """Its base64 is of twice as many bytes, as numpy writes them unless told otherwise."""

    async def answer(exchange: Exchange) -> None:
        right = exchange.right_answer()
        if exchange.asked.encoding == "base64":
            for item in right["data"]:
                item["embedding"] = np.frombuffer(item["embedding"].astype("<f8").tobytes(), "<f4")
        await exchange.wire.send(exchange.reply(right))

    return answer


def at_most(items: int) -> Behaviour:
    """More inputs in one call are a 422 of a service written with FastAPI."""
    words = f"List should have at most {items} items after validation"
    refusal = mishaps.answers(422, {"detail": [{"loc": ["body", "input"], "msg": words, "type": "too_long"}]})

    async def answer(exchange: Exchange) -> None:
        await (refusal if len(exchange.asked.texts) > items else rightly)(exchange)

    return answer


def relay(items: int) -> Behaviour:
    """Stands before the real service, but takes fewer inputs, and makes numbers of its base64."""
    capped, floats = at_most(items), floats_anyway()

    async def answer(exchange: Exchange) -> None:
        await (capped if len(exchange.asked.texts) > items else floats)(exchange)

    return answer


def another_vocabulary() -> Behaviour:
    """Its token ids stand for other text."""
    return _when(lambda exchange: not isinstance(_first(exchange), str), _of_others)


def no_token_ids() -> Behaviour:
    refusal = mishaps.answers(422, {"detail": "input must be a string or a list of strings"})

    async def answer(exchange: Exchange) -> None:
        await (rightly if isinstance(_first(exchange), str) else refusal)(exchange)

    return answer


def native_length_always() -> Behaviour:
    """It takes `dimensions` and does not read it."""

    async def answer(exchange: Exchange) -> None:
        asked = dataclasses.replace(exchange.asked, dimensions=exchange.asked.native)
        await rightly(dataclasses.replace(exchange, asked=asked))

    return answer


def cutting(size: int) -> Behaviour:
    """It reads the first so many bytes of a text, and says nothing about the rest."""

    async def answer(exchange: Exchange) -> None:
        asked = dataclasses.replace(exchange.asked, texts=tuple(text[:size] for text in exchange.asked.texts))
        await rightly(dataclasses.replace(exchange, asked=asked))

    return answer


def reversed_order() -> Behaviour:
    """Vectors come from the last to the first, as if that were the order of the inputs."""

    def turn(data: Data) -> None:
        vectors = [item["embedding"] for item in data]
        for item, vector in zip(data, reversed(vectors), strict=True):
            item["embedding"] = vector

    return Spoiled(lambda answer: turn(answer["data"]))


def one_for_all() -> Behaviour:
    return _vectors(lambda vectors: [vectors[0]] * len(vectors))


def times(factor: float) -> Behaviour:
    """Vectors of another length than 1."""
    return _vectors(lambda vectors: [vector * np.float32(factor) for vector in vectors])


def unsteady() -> Behaviour:
    """Another vector at every call."""
    calls = itertools.count()
    return _vectors(lambda vectors: [vector_for(f"{next(calls)}", len(vector)) for vector in vectors])


def usage(tokens: int) -> Behaviour:
    return Spoiled(lambda answer: answer.update(usage={"prompt_tokens": tokens, "total_tokens": tokens}))


def without_usage() -> Behaviour:
    return Spoiled(lambda answer: answer.pop("usage"))


def another_model(header: str) -> Behaviour:
    """Requests with this header get the vectors of another model."""
    return _when(lambda exchange: header in exchange.request.headers, _of_others)


def _first(exchange: Exchange) -> object:
    given = exchange.request.body["input"]
    return given[0] if isinstance(given, list) else given


def _of_others(answer: Answer) -> None:
    for place, item in enumerate(answer["data"]):
        item["embedding"] = vector_for(f"other {place}", len(item["embedding"]))


def _vectors(change: Callable[[Sequence[Any]], Sequence[Any]]) -> Behaviour:
    def spoil(answer: Answer) -> None:
        changed = change([item["embedding"] for item in answer["data"]])
        for item, vector in zip(answer["data"], changed, strict=True):
            item["embedding"] = vector

    return Spoiled(spoil)


def _when(condition: Callable[[Exchange], bool], spoil: Callable[[Answer], None]) -> Behaviour:
    spoiled = Spoiled(spoil)

    async def answer(exchange: Exchange) -> None:
        await (spoiled if condition(exchange) else rightly)(exchange)

    return answer
