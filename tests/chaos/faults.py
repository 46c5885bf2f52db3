"""Every fault that an upstream can be told to have, by name: most are `mishaps`, some need the bare connection."""

from __future__ import annotations

import asyncio
import functools
import gzip
import math
from collections.abc import Callable, Mapping
from typing import Final

from tests.chaos.connection import RawWire
from tests.fakes import mishaps
from tests.fakes.mishaps import Reworked, answers
from tests.fakes.openai_replies import JSON, Answer, Reply
from tests.fakes.openai_upstream import Behaviour, Exchange

STYLES: Final = 5
"""In which a 429 tells, or does not tell, when the next request will be taken."""
BOMB_BYTES: Final = 128 * 2**20
"""Of a body that is a thousandth of it while it is compressed."""
DRIP_SECONDS: Final = 0.25
"""What a slow answer takes: longer than a good one, shorter than anyone's patience."""


def _raw(exchange: Exchange) -> RawWire:
    assert isinstance(exchange.wire, RawWire)
    return exchange.wire


# ── the connection ────────────────────────────────────────────────────────────────────────────────────────────────


async def reset_unanswered(exchange: Exchange) -> None:
    _raw(exchange).reset()


async def reset_amid(exchange: Exchange) -> None:
    """Half of the body that the headers promise, then the connection is reset."""
    reply = exchange.right_reply()
    await exchange.wire.send(reply, only=len(reply.body) // 2)
    _raw(exchange).reset()


async def closed_when_reused(exchange: Exchange) -> None:
    """A kept connection is closed just when the next request comes on it, as idle ones are; a new one is good."""
    if _raw(exchange).reused:
        _raw(exchange).reset()
    else:
        await exchange.wire.send(exchange.right_reply())


async def closed_afterwards(exchange: Exchange) -> None:
    """A right answer, and the connection is closed behind it, although nothing had announced that."""
    await exchange.wire.send(exchange.right_reply())
    exchange.wire.whole = False


async def slow_drip(exchange: Exchange) -> None:
    """The right answer, in small pieces."""
    await _drip(exchange, pieces=10, pause=DRIP_SECONDS / 10)


async def endless_drip(exchange: Exchange) -> None:
    """The right answer, byte by byte, which nobody can wait for."""
    await _drip(exchange, pieces=10_000, pause=0.02)


async def _drip(exchange: Exchange, pieces: int, pause: float) -> None:
    reply = exchange.right_reply()
    size = max(1, len(reply.body) // pieces)
    await exchange.wire.start(reply.status, {**reply.headers, "content-length": str(len(reply.body))})
    for first in range(0, len(reply.body), size):
        await asyncio.sleep(pause)
        await exchange.wire.write(reply.body[first : first + size], more=first + size < len(reply.body))


# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────


def throttled(wait: float, style: int) -> Behaviour:
    """A 429 that says in one of four ways how long to wait, or does not. All are rounded up, so none promises too much.

    https://platform.openai.com/docs/guides/rate-limits
    """
    milliseconds = math.ceil(wait * 1000)
    headers, words = (
        ({"retry-after": str(math.ceil(wait))}, ""),
        ({"retry-after-ms": str(milliseconds)}, ""),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": f"{milliseconds}ms"}, ""),
        ({}, f" Please try again in {milliseconds}ms."),
        ({}, ""),
    )[style % STYLES]
    return mishaps.error(429, headers, message=f"Rate limit reached for requests per min (RPM).{words}")


def bomb() -> Behaviour:
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    return answers(200, _bomb(), headers)


@functools.lru_cache(1)
def _bomb() -> bytes:
    return gzip.compress(b'{"data": [' + b" " * BOMB_BYTES, compresslevel=1)


def cut_gzip() -> Behaviour:
    """A compressed answer that ends too early."""

    def cut(reply: Reply) -> Reply:
        packed = gzip.compress(reply.body, compresslevel=1)
        return Reply(reply.status, {**reply.headers, "content-encoding": "gzip"}, packed[: len(packed) // 2])

    return Reworked(cut)


def index_beyond() -> Behaviour:
    """The last item has an index that no input has."""
    return mishaps.Spoiled(lambda answer: answer["data"][-1].update(index=len(answer["data"])))


def duplicate_index() -> Behaviour:
    """The last item has the first one's index; a single one, which has no other beside it, an index beyond."""

    def spoil(answer: Answer) -> None:
        answer["data"][-1]["index"] = 0 if len(answer["data"]) > 1 else 1

    return mishaps.Spoiled(spoil)


def other_model() -> Behaviour:
    """Sound vectors of unit length, of another model: nothing in the answer tells."""

    def turn(answer: Answer) -> None:
        for item in answer["data"]:
            item["embedding"] = item["embedding"][::-1].copy()

    return mishaps.Spoiled(turn)


FAULTS: Final[Mapping[str, Callable[[], Behaviour]]] = {
    "throttled": lambda: throttled(0.1, 1),
    "throttled_reset": lambda: throttled(0.1, 2),
    "throttled_in_words": lambda: throttled(0.1, 3),
    "throttled_unhinted": lambda: throttled(0.1, 4),
    "broken": lambda: mishaps.error(500),
    "bad_gateway": lambda: mishaps.html(502),
    "unavailable": lambda: mishaps.error(503),
    "overloaded": lambda: mishaps.error(529),
    "reset_unanswered": lambda: reset_unanswered,
    "closed_unanswered": mishaps.closed_unanswered,
    "reset_amid": lambda: reset_amid,
    "closed_amid": mishaps.cut_connection,
    "closed_when_reused": lambda: closed_when_reused,
    "closed_afterwards": lambda: closed_afterwards,
    "slow_drip": lambda: slow_drip,
    "endless_drip": lambda: endless_drip,
    "never_answers": mishaps.never_answers,
    "never_finishes": mishaps.never_finishes,
    "shuffled": mishaps.shuffled,
    "gzipped": mishaps.gzipped,
    "leading_whitespace": mishaps.leading_whitespace,
    "one_too_few": mishaps.one_too_few,
    "one_too_many": mishaps.one_too_many,
    "duplicate_index": duplicate_index,
    "index_beyond": index_beyond,
    "missing_index": mishaps.missing_index,
    "nan": mishaps.nan,
    "infinity": mishaps.infinity,
    "zero_vector": mishaps.zero_vector,
    "wrong_length": mishaps.wrong_length,
    "one_wrong_length": mishaps.one_wrong_length,
    "null_embedding": mishaps.null_embedding,
    "bad_base64": mishaps.bad_base64,
    "html_200": lambda: mishaps.html(200),
    "empty_200": mishaps.empty_200,
    "cut_json": mishaps.cut_json,
    "error_with_200": mishaps.error_with_200,
    "cut_gzip": cut_gzip,
    "bomb": bomb,
    "other_model": other_model,
}
