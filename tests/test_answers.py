"""The bytes of an answer: OpenAI's shape, Nugen's, and the envelope of errors."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.answers import Result, error_body, nugen_body, result_body
from gateway.errors import InvalidRequest
from gateway.wire import EncodingFormat
from providers import codec

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
VECTOR = st.lists(FLOAT32, min_size=1, max_size=8).map(lambda numbers: as_bytes(*numbers))
TEXTS = st.text()
"""Without lone surrogates, which no JSON body can bring in."""

SMALLEST, LARGEST = 2.0**-149, 3.4028234663852886e38


def as_bytes(*numbers: float) -> bytes:
    return np.array(numbers, "<f4").tobytes()


def result(*vectors: bytes, model: str = "m", tokens: int = 7) -> Result:
    return Result(model, vectors, tokens, "reported", "a-space", ["a-target"])


def embeddings(body: bytes) -> list[Any]:
    return [item["embedding"] for item in json.loads(body)["data"]]


# ── OpenAI's answer ───────────────────────────────────────────────────────────────────────────────────────────────


def test_floats() -> None:
    """The answer in floats has OpenAI's keys and no others."""
    body = result_body(result(as_bytes(1, -0.5), as_bytes(0.25, 2)), "float")
    expected = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [1.0, -0.5]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 2.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }

    assert expected == json.loads(body)


def test_base64() -> None:
    """The answer in base64 differs from that in floats only in its vectors."""
    body = result_body(result(as_bytes(1, -0.5)), "base64")
    expected = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": "AACAPwAAAL8="}],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }

    assert expected == json.loads(body)


@given(VECTOR)
def test_floats_read_back(vector: bytes) -> None:
    """Numbers read back as float32 are the vector, bit for bit."""
    (numbers,) = embeddings(result_body(result(vector), "float"))

    assert vector == as_bytes(*numbers)


@pytest.mark.parametrize(
    "number", [0.0, -0.0, SMALLEST, -SMALLEST, 2.0**-126, LARGEST, -LARGEST, 0.1, 1 / 3, 16777217.0, 1e-10]
)
def test_hard_floats(number: float) -> None:
    """Signed zeros, the smallest and the largest numbers read back bit for bit, too."""
    (numbers,) = embeddings(result_body(result(as_bytes(number)), "float"))

    assert as_bytes(number) == as_bytes(*numbers)


@given(VECTOR)
def test_base64_is_exact(vector: bytes) -> None:
    """Base64 holds the vector's very bytes."""
    (text,) = embeddings(result_body(result(vector), "base64"))

    assert vector == base64.b64decode(text, validate=True)


@given(st.lists(VECTOR, min_size=1, max_size=8), st.sampled_from(["float", "base64"]))
def test_order(vectors: list[bytes], encoding: EncodingFormat) -> None:
    """Vectors keep their order."""
    together = embeddings(result_body(result(*vectors), encoding))

    assert [embeddings(result_body(result(vector), encoding))[0] for vector in vectors] == together


def test_numbers_of_both_kinds() -> None:
    """Vectors that know how they were written stand among others in their order, whatever their length."""
    for size in (2, 8192):
        written = codec.vector_from_json(b"[%b 0.1]" % (b"0.25, " * (size - 1)))
        plain = as_bytes(*[0.1] * size)
        found = embeddings(result_body(result(plain, written, plain), "float"))

        assert [plain, written, plain] == [as_bytes(*numbers) for numbers in found]


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_indexes(encoding: EncodingFormat) -> None:
    """Indexes count from 0 to the last of the most inputs."""
    body = json.loads(result_body(result(*[as_bytes(1)] * 2048), encoding))

    assert list(range(2048)) == [item["index"] for item in body["data"]]


@given(TEXTS)
def test_model_name(model: str) -> None:
    """Whatever the model's name holds, it comes back as it was."""

    assert model == json.loads(result_body(result(as_bytes(1), model=model), "float"))["model"]


@pytest.mark.parametrize("tokens", [0, 1, 2**40])
def test_usage(tokens: int) -> None:
    """Usage is the same number twice, and nothing else."""
    body = json.loads(result_body(result(as_bytes(1), tokens=tokens), "float"))

    assert {"prompt_tokens": tokens, "total_tokens": tokens} == body["usage"]


def test_repr() -> None:
    """A result that is printed shows no vector."""

    assert "vectors" not in repr(result(as_bytes(1)))


# ── Nugen's answer ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("encoding", "first", "second"), [("float", [1.0, -0.5], [0.25, 2.0]), ("base64", "AACAPwAAAL8=", "AACAPgAAAEA=")]
)
def test_nugen(encoding: EncodingFormat, first: Any, second: Any) -> None:
    """Nugen's answer has an id and a time, items without `object`, and one number of usage."""
    vectors = as_bytes(1, -0.5), as_bytes(0.25, 2)
    body = nugen_body(result(*vectors), encoding, request_id="req_1", created=1_800_000_000)
    expected = {
        "id": "embed-req_1",
        "object": "embedding",
        "data": [{"embedding": first, "index": 0}, {"embedding": second, "index": 1}],
        "model": "m",
        "created": 1_800_000_000,
        "usage": {"total_tokens": 7},
    }

    assert expected == json.loads(body)


@given(TEXTS, TEXTS)
def test_nugen_names(model: str, request_id: str) -> None:
    """Whatever id and model hold, they come back as they were."""
    body = json.loads(nugen_body(result(as_bytes(1), model=model), "float", request_id=request_id, created=1))

    assert (model, f"embed-{request_id}") == (body["model"], body["id"])


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(TEXTS, st.none() | TEXTS, st.none() | TEXTS)
def test_error_body(message: str, param: str | None, code: str | None) -> None:
    """Whatever message, param and code hold, the envelope brings them as they are."""
    body = json.loads(error_body(InvalidRequest(message, param=param, code=code)))
    expected = {"message": message, "type": "invalid_request_error", "param": param, "code": code}

    assert {"error": expected} == body
