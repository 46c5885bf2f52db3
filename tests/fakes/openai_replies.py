"""What OpenAI answers: vectors made of the text alone, bodies and headers; it sends nothing.

https://platform.openai.com/docs/api-reference/embeddings/object
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from tests.fakes.openai_rules import Asked, Refused

Vector = NDArray[np.float32]
Answer = dict[str, Any]
"""The answer as the real one gives it, but with arrays where `render` puts lists or base64."""

PRETTY: Final = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
JSON: Final = "application/json; charset=utf-8"
ROUTED: Final = {
    "content-type": "application/json",
    "openai-organization": "acme",
    "openai-processing-ms": "61",
    "openai-project": "proj_0123456789abcdef",
    "openai-version": "2020-10-01",
    "x-ratelimit-limit-requests": "3000",
    "x-ratelimit-limit-tokens": "1000000",
    "x-ratelimit-remaining-requests": "2999",
    "x-ratelimit-remaining-tokens": "1000000",
    "x-ratelimit-reset-requests": "20ms",
    "x-ratelimit-reset-tokens": "112ms",
    "access-control-expose-headers": "X-Request-ID",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
}
UNAUTHORIZED: Final = {
    "content-type": JSON,
    "openai-processing-ms": "2",
    "openai-version": "2020-10-01",
    "www-authenticate": 'Bearer realm="OpenAI API"',
}
HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: UNAUTHORIZED,
    404: {"content-type": JSON, "vary": "Origin"},
    405: {"content-type": JSON, "allow": "POST"},
}


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@functools.lru_cache(maxsize=4096)
def _native_vector(text: bytes, native: int) -> Vector:
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest()))
    vector = generator.standard_normal(native, dtype=np.float32)
    vector /= np.linalg.norm(vector)
    vector.flags.writeable = False  # every caller gets the same one
    return vector


def vector_for(text: str | bytes, dimensions: int = 1536, native: int = 1536) -> Vector:
    """The one vector of a text: of unit length, and when shortened cut and made unit length again."""
    vector = _native_vector(text.encode() if isinstance(text, str) else text, native)[:dimensions]
    return vector.copy() if dimensions == native else vector / np.linalg.norm(vector)


def answer_to(asked: Asked) -> Answer:
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector_for(text, asked.dimensions, asked.native)}
            for index, text in enumerate(asked.texts)
        ],
        "model": asked.model,
        "usage": {"prompt_tokens": asked.tokens, "total_tokens": asked.tokens},
    }


def render(answer: Answer, encoding: str) -> bytes:
    """The answer pretty-printed, as the real one is. An embedding that is no array stays as a mishap left it."""
    if encoding == "base64":
        return orjson.dumps(answer, _base64, option=PRETTY)
    if all(
        np.isfinite(item["embedding"]).all() for item in answer["data"] if isinstance(item["embedding"], np.ndarray)
    ):
        return orjson.dumps(answer, option=PRETTY | orjson.OPT_SERIALIZE_NUMPY)
    # orjson makes null of what is not finite; the servers that let NaN out write it like json.
    return json.dumps(answer, indent=2, default=np.ndarray.tolist).encode()


def _base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def reply(asked: Asked, answer: Answer, encoding: str) -> Reply:
    headers = {
        **ROUTED,
        "openai-model": asked.model,
        "x-ratelimit-remaining-tokens": str(1_000_000 - asked.tokens),
        "x-request-id": request_id(),
    }
    return Reply(200, headers, render(answer, encoding))


def refusal(refused: Refused) -> Reply:
    headers = {**HEADERS.get(refused.status, ROUTED), "x-request-id": request_id()}
    return Reply(refused.status, headers, orjson.dumps(refused.envelope, option=PRETTY))


def request_id() -> str:
    return f"req_{uuid.uuid4().hex}"
