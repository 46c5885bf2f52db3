"""The answer's bytes: a `Result` or an error in the shape that the client's SDK expects.

https://platform.openai.com/docs/api-reference/embeddings/object
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def _written(encoding: EncodingFormat) -> tuple[bytes, Callable[[bytes], bytes]]:
    """What stands around a vector's text, and what writes it."""
    return (b'"', codec.vector_to_base64) if encoding == "base64" else (b"", codec.vector_to_json)


def result_body(result: Result, encoding: EncodingFormat) -> bytes:
    """OpenAI's answer. The vectors are joined as they are: no Python float is ever made."""
    quote, written = _written(encoding)
    parts = [b'{"object":"list","data":[']
    for index, text in enumerate(map(written, result.vectors)):
        parts += (b'{"object":"embedding","index":%d,"embedding":%b' % (index, quote), text, quote, b"},")
    parts[-1:] = (
        b'}],"model":',
        codec.write_json(result.model),
        b',"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (result.tokens, result.tokens),
    )
    return b"".join(parts)


def nugen_body(result: Result, encoding: EncodingFormat, *, request_id: str, created: int) -> bytes:
    """Nugen's answer, whose items have no `object` and whose usage has one number. https://docs.nugen.in"""
    quote, written = _written(encoding)
    parts = [b'{"id":', codec.write_json(f"embed-{request_id}"), b',"object":"embedding","data":[']
    for index, text in enumerate(map(written, result.vectors)):
        parts += (b'{"embedding":' + quote, text, quote, b',"index":%d},' % index)
    parts[-1] = parts[-1][:-1]
    parts += (
        b'],"model":',
        codec.write_json(result.model),
        b',"created":%d,"usage":{"total_tokens":%d}}' % (created, result.tokens),
    )
    return b"".join(parts)


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
