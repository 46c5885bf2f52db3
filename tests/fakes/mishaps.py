"""What goes wrong at upstreams: each function makes a behaviour for `FakeOpenAI.behave`.

`at` is the position of the one item that goes wrong; the others stay right.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import orjson

from tests.fakes.openai_replies import JSON, Answer, Reply, request_id
from tests.fakes.openai_upstream import Behaviour, Exchange, rightly

# ── another answer altogether ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Answers:
    """The same reply to everything."""

    reply: Reply

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.wire.send(self.reply)


RATE_LIMITED: Final = (
    "Rate limit reached for text-embedding-3-small in organization org-acme on tokens per min (TPM): Limit 1000000, "
    "Used 976163, Requested 70716. Please try again in 2.812s. "
    "Visit https://platform.openai.com/account/rate-limits to learn more."
)
NO_CREDIT: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
OVERLOADED: Final = (
    "That model is currently overloaded with other requests. You can retry your request, or contact us through our "
    "help center at help.openai.com if the error persists."
)
BROKEN: Final = "The server had an error while processing your request. Sorry about that!"

# Status: what the envelope says unless told otherwise (type, code, message).
ERRORS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    413: ("invalid_request_error", None, "Request entity too large."),
    400: ("invalid_request_error", None, "Invalid 'input[0]': input cannot be an empty string."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-upstr***************6789."),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model `text-embedding-3-small` does not exist or you do not have access to it.",
    ),
    429: ("tokens", "rate_limit_exceeded", RATE_LIMITED),
    500: ("server_error", None, BROKEN),
    502: ("server_error", None, "Bad gateway."),
    503: ("server_error", None, OVERLOADED),
    529: ("overloaded_error", None, OVERLOADED),
}


def answers(status: int, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    raw = body if isinstance(body, bytes) else orjson.dumps(body, option=orjson.OPT_INDENT_2)
    return Answers(Reply(status, {"content-type": JSON, "x-request-id": request_id(), **(headers or {})}, raw))


def error(status: int, headers: Mapping[str, str] | None = None, **fields: str | None) -> Behaviour:
    """OpenAI's envelope; `fields` replace its message, type, param or code."""
    type_, code, message = ERRORS[status]
    envelope = {"message": message, "type": type_, "param": None, "code": code, **fields}
    return answers(status, {"error": envelope}, headers)


def rate_limited(retry_after: str | None = None, retry_after_ms: str | None = None) -> Behaviour:
    hints = {"retry-after": retry_after, "retry-after-ms": retry_after_ms}
    return error(429, {name: value for name, value in hints.items() if value is not None})


def insufficient_quota() -> Behaviour:
    return error(429, type="insufficient_quota", code="insufficient_quota", message=NO_CREDIT)


def error_with_200() -> Behaviour:
    return answers(200, {"error": {"message": BROKEN, "type": "server_error", "param": None, "code": None}})


def html(status: int) -> Behaviour:
    page = b"<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body><h1>nginx</h1></body></html>\n"
    return answers(status, page, {"content-type": "text/html; charset=utf-8"})


def empty_200() -> Behaviour:
    return answers(200)


def redirect(url: str, status: int = 307) -> Behaviour:
    return answers(status, headers={"location": url})


# ── the right answer, spoiled in one respect ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Spoiled:
    spoil: Callable[[Answer], object]
    encoding: str | None = None

    async def __call__(self, exchange: Exchange) -> None:
        answer = exchange.right_answer()
        self.spoil(answer)
        await exchange.wire.send(exchange.reply(answer, self.encoding))


def _spoiled_item(at: int, spoil: Callable[[dict[str, Any]], object]) -> Behaviour:
    return Spoiled(lambda answer: spoil(answer["data"][at]))


@dataclass(frozen=True, slots=True)
class For:
    """Goes wrong at the item of one text, in whatever request it comes; other requests are answered rightly."""

    text: str
    mishap: Callable[[int], Behaviour]

    async def __call__(self, exchange: Exchange) -> None:
        texts, bad = exchange.asked.texts, self.text.encode()
        await (self.mishap(texts.index(bad)) if bad in texts else rightly)(exchange)


def one_too_few() -> Behaviour:
    return Spoiled(lambda answer: answer["data"].pop())


def one_too_many() -> Behaviour:
    return Spoiled(lambda answer: answer["data"].append({**answer["data"][-1], "index": len(answer["data"])}))


def shuffled() -> Behaviour:
    """Items out of order, each with its right index: what every client must cope with."""
    return Spoiled(lambda answer: answer["data"].reverse())


def duplicate_index(at: int = -1) -> Behaviour:
    """The item takes its neighbour's index, so there must be two at least."""
    return Spoiled(lambda answer: answer["data"][at].update(index=answer["data"][at - 1]["index"]))


def missing_index(at: int = 0) -> Behaviour:
    return _spoiled_item(at, lambda item: item.pop("index"))


def string_index(at: int = 0) -> Behaviour:
    return _spoiled_item(at, lambda item: item.update(index=str(item["index"])))


def nan(at: int = 0) -> Behaviour:
    return _spoiled_item(at, lambda item: np.put(item["embedding"], 0, np.nan))


def infinity(at: int = 0) -> Behaviour:
    return _spoiled_item(at, lambda item: np.put(item["embedding"], 0, np.inf))


def zero_vector(at: int = 0) -> Behaviour:
    return _spoiled_item(at, lambda item: item["embedding"].fill(0))


def wrong_length(length: int = 256) -> Behaviour:
    """All vectors of one length, which nobody asked for."""

    def spoil(answer: Answer) -> None:
        for item in answer["data"]:
            item["embedding"] = np.resize(item["embedding"], length)

    return Spoiled(spoil)


def one_wrong_length(at: int = -1, length: int = 256) -> Behaviour:
    return _spoiled_item(at, lambda item: item.update(embedding=np.resize(item["embedding"], length)))


def null_embedding(at: int = 0) -> Behaviour:
    return _spoiled_item(at, lambda item: item.update(embedding=None))


def null_number(at: int = 0) -> Behaviour:
    """NaN as serde_json and orjson write it, for clients that want floats."""
    return _spoiled_item(at, lambda item: item.update(embedding=[None, *item["embedding"].tolist()[1:]]))


def bad_base64(at: int = 0, text: str = "no base64!") -> Behaviour:
    """A string where the vector belongs, whichever encoding was asked for."""
    return _spoiled_item(at, lambda item: item.update(embedding=text))


def ignored_encoding(encoding: str) -> Behaviour:
    """Always answers in this encoding, `float` or `base64`, whatever was asked for."""
    return Spoiled(lambda answer: None, encoding)


def no_usage() -> Behaviour:
    return Spoiled(lambda answer: answer.pop("usage"))


def zero_usage() -> Behaviour:
    return Spoiled(lambda answer: answer.update(usage={"prompt_tokens": 0, "total_tokens": 0}))


# ── the right reply, with something done to its bytes ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Reworked:
    rework: Callable[[Reply], Reply]

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.wire.send(self.rework(exchange.right_reply()))


def _with_header(reply: Reply, name: str, value: str) -> Reply:
    return replace(reply, headers={**reply.headers, name: value})


def cut_json() -> Behaviour:
    """Half of the body, honestly framed as if it were all."""
    return Reworked(lambda reply: replace(reply, body=reply.body[: len(reply.body) // 2]))


def leading_whitespace(whitespace: bytes = b"\n         " * 20) -> Behaviour:
    """As OpenRouter keeps connections alive."""
    return Reworked(lambda reply: replace(reply, body=whitespace + reply.body))


def gzipped() -> Behaviour:
    return Reworked(
        lambda reply: _with_header(replace(reply, body=gzip.compress(reply.body)), "content-encoding", "gzip")
    )


def set_cookie(cookie: str = "__cf_bm=crumb; Path=/; HttpOnly") -> Behaviour:
    return Reworked(lambda reply: _with_header(reply, "set-cookie", cookie))


# ── the wire itself ───────────────────────────────────────────────────────────────────────────────────────────────


def slow(seconds: float, then: Behaviour = rightly) -> Behaviour:
    async def behaviour(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await then(exchange)

    return behaviour


def held(release: threading.Event, then: Behaviour = rightly) -> Behaviour:
    """Holds the request until it is released."""

    async def behaviour(exchange: Exchange) -> None:
        while not release.is_set():  # noqa: ASYNC110 (another thread sets no event here)
            await asyncio.sleep(0.01)
        await then(exchange)

    return behaviour


def never_answers() -> Behaviour:
    """Holds the request until the client goes away or the fake stops."""
    return _never


def never_finishes() -> Behaviour:
    """Half an answer, then silence."""

    async def behaviour(exchange: Exchange) -> None:
        await _half(exchange)
        await _never(exchange)

    return behaviour


def cut_connection() -> Behaviour:
    """Half of the body that the headers promise, then the connection is closed."""
    return _half


def closed_unanswered() -> Behaviour:
    return _nothing


def huge_body(size: int | None = 2**30) -> Behaviour:
    """A chunked 200 that begins like an answer and holds about so many bytes, None for no end at all."""
    beginning = b'{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.25'
    chunk = b", 0.25" * 10_000

    async def behaviour(exchange: Exchange) -> None:
        await exchange.wire.start(200, {"content-type": JSON})
        await exchange.wire.write(beginning)
        for _ in itertools.count() if size is None else range(size // len(chunk)):
            await exchange.wire.write(chunk)
            await asyncio.sleep(0)  # writing need not pause, and the client's leaving must be seen
        await exchange.wire.write(b"", more=False)

    return behaviour


async def _never(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def _nothing(exchange: Exchange) -> None:
    """A wire that is left without a whole answer is closed."""


async def _half(exchange: Exchange) -> None:
    reply = exchange.right_reply()
    await exchange.wire.send(reply, only=len(reply.body) // 2)


BREACHES: Final[Mapping[str, Behaviour]] = {
    "one_too_few": one_too_few(),
    "one_too_many": one_too_many(),
    "duplicate_index": duplicate_index(),
    "nan": nan(),
    "infinity": infinity(),
    "zero_vector": zero_vector(),
    "wrong_length": wrong_length(),
    "one_wrong_length": one_wrong_length(),
    "null_embedding": null_embedding(),
    "bad_base64": bad_base64(),
}
"""200s in OpenAI's shape that break the output contract, for requests of two inputs at least."""

MALFORMED: Final[Mapping[str, Behaviour]] = {
    "html_200": html(200),
    "empty_200": empty_200(),
    "cut_json": cut_json(),
    "error_with_200": error_with_200(),
}
"""200s that hold no vectors."""
