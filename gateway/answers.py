"""The answer's bytes: a `Result` or an error in the shape that the client's SDK expects.

https://platform.openai.com/docs/api-reference/embeddings/object
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.errors import GatewayError
from gateway.wire import EncodingFormat
from providers import codec

UsageSource = Literal["reported", "counted", "estimated"]


@dataclass(frozen=True, slots=True)
class Result:
    """Vectors in the order of the inputs, as little-endian float32 bytes, and what they cost."""

    model: str
    vectors: Sequence[bytes] = field(repr=False)
    tokens: int
    usage_source: UsageSource
    space: str
    targets: Sequence[str]
    """Those that were asked; `cache` where none was."""
    cut_items: Sequence[int] = ()
    cached: int | None = None
    """How many of the inputs cost nothing, where a cache is used: found there, or sent already for someone else."""


def result_body(result: Result, encoding: EncodingFormat) -> bytes:
    """OpenAI's answer, around vectors that are joined as they are: no Python float is ever made."""
    texts: Sequence[bytes | memoryview]
    if encoding == "base64":
        texts, before, end = codec.vectors_to_base64(result.vectors), _before_base64, b'"}],"model":'
    else:
        texts, before, end = codec.lists_to_json(result.vectors), _before_numbers, b'}],"model":'
    parts: list[bytes | memoryview] = [b""] * (2 * len(texts))
    parts[::2], parts[1::2] = map(before, range(len(texts))), texts
    parts += (
        end,
        codec.write_json(result.model),
        b',"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (result.tokens, result.tokens),
    )
    return b"".join(parts)


@functools.lru_cache(maxsize=2048)
def _before_base64(index: int) -> bytes:
    return _before(index, b'"},') + b'"'


@functools.lru_cache(maxsize=2048)
def _before_numbers(index: int) -> bytes:
    return _before(index, b"},") + b"["


def _before(index: int, after_the_last: bytes) -> bytes:
    first = after_the_last if index else b'{"object":"list","data":['
    return b'%b{"object":"embedding","index":%d,"embedding":' % (first, index)


def nugen_body(result: Result, encoding: EncodingFormat, *, request_id: str, created: int) -> bytes:
    """Nugen's answer, whose items have no `object` and whose usage has one number. https://docs.nugen.in"""
    written = codec.as_text if encoding == "base64" else codec.as_numbers
    return codec.write_json(
        {
            "id": f"embed-{request_id}",
            "object": "embedding",
            "data": [{"embedding": written(vector), "index": index} for index, vector in enumerate(result.vectors)],
            "model": result.model,
            "created": created,
            "usage": {"total_tokens": result.tokens},
        }
    )


def error_body(error: GatewayError) -> bytes:
    return codec.write_json(envelope(error))


def envelope(error: GatewayError) -> dict[str, Any]:
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.error_code,
        }
    }
