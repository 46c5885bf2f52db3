"""Perplexity: signed bytes behind base64, which tell a direction and no length."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, FaultKind, Limits
from providers.perplexity import PERPLEXITY
from tests.providers.exchange import KEY, answer, body, fault, kinds, malformed, request

CALL = EmbedCall("pplx-embed-v1-0.6b", ["one", "two"], 256, "query", user="u-1")
RECORDED = """{"data":[{"embedding":"AQL/","index":0,"object":"embedding"}],"model":"pplx-embed-v1-0.6b",
"object":"list","usage":{"cost":{"currency":"USD","input_cost":0.000000028,"total_cost":0.000000028},
"prompt_tokens":7,"total_tokens":7}}"""


def test_registered() -> None:
    """The provider is found by its name."""
    assert PERPLEXITY is PROVIDERS["perplexity"]


def test_body() -> None:
    """Model, texts and length are all that it is told: what it answers without an encoding is what can be read."""
    expected = {"model": "pplx-embed-v1-0.6b", "input": ["one", "two"], "dimensions": 256}

    assert expected == body(PERPLEXITY, CALL, base64=True)


def test_address() -> None:
    """It is called at its public address, with a bearer key."""
    sent = request(PERPLEXITY, CALL, api_key=KEY)

    assert ("https://api.perplexity.ai/v1/embeddings", f"Bearer {KEY}") == (sent.url, sent.headers["authorization"])


def test_facts() -> None:
    """A call holds 512 texts; vectors are handed on in unit length; clients may not ask for single bits."""
    assert (Limits(inputs=512), True) == (PERPLEXITY.limits, PERPLEXITY.unit_length)
    assert "encoding_format" in PERPLEXITY.owned


def test_recorded() -> None:
    """The signed bytes 1, 2 and -1 are the unit vector along them."""
    found = PERPLEXITY.parse_response(answer(RECORDED.encode()))

    assert isinstance(found, Embeddings)
    assert ([0], 7) == (found.indexes, found.prompt_tokens)
    assert pytest.approx([1 / 6**0.5, 2 / 6**0.5, -1 / 6**0.5]) == np.frombuffer(found.vectors[0], "<f4").tolist()


@pytest.mark.parametrize("embedding", ["AQL", "!!!!", "", [1, 2], [0.5]], ids=str)
def test_no_bytes(embedding: Any) -> None:
    """What is no base64 of at least one byte is no vector, and neither are numbers, whose scale nobody told."""
    payload = {"data": [{"embedding": embedding, "index": 0}]}
    expected = malformed("`data[0].embedding` is neither base64 nor a list of numbers")

    assert expected == PERPLEXITY.parse_response(answer(payload))


def test_error() -> None:
    """Its words are found, and its statuses mean what they say."""
    payload = json.loads('{"error":{"message":"Invalid API key provided.","type":"invalid_api_key","code":401}}')
    expected = {401: FaultKind.MISCONFIGURED, 429: FaultKind.THROTTLED}

    assert expected == kinds(PERPLEXITY, expected, payload)
    assert "Invalid API key provided." == fault(PERPLEXITY, payload, 401).message
