"""Snowflake Cortex: its address, its fields, and its nested vectors."""

from __future__ import annotations

import json

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Response
from providers.snowflake import SNOWFLAKE
from tests.fakes.backends import vector

ACCOUNT = "https://acme.snowflakecomputing.com"
CALL = EmbedCall("e5-base-v2", ["one", "two"], dimensions=256, input_type="query", user="u-1")


def answered(*embeddings: object) -> Embeddings | Fault:
    items = [{"object": "embedding", "embedding": one, "index": index} for index, one in enumerate(embeddings)]
    body = {"object": "list", "data": items, "model": "e5-base-v2", "usage": {"total_tokens": 4}}
    return SNOWFLAKE.parse_response(Response(200, {}, json.dumps(body).encode()))


def test_registered() -> None:
    """The provider is found by its name."""
    assert SNOWFLAKE is PROVIDERS["snowflake"]


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/v2", "/api/v2/cortex", "/api/v2/cortex/"])
def test_address(path: str) -> None:
    """The account's host is enough of a base URL."""
    url = SNOWFLAKE.build_request(CALL, Endpoint(ACCOUNT + path)).url

    assert f"{ACCOUNT}/api/v2/cortex/inference:embed" == url


def test_body() -> None:
    """Texts go out under Snowflake's name; it knows nothing else but the model."""
    sent = json.loads(SNOWFLAKE.build_request(CALL, Endpoint(ACCOUNT, base64=True)).body)

    assert {"model": "e5-base-v2", "text": ["one", "two"]} == sent


def test_nested_vectors() -> None:
    """Each vector is the only one of a list of its own."""
    assert Embeddings([vector(0.1, 0.2), vector(0.3, 0.4)], [0, 1], 4) == answered([[0.1, 0.2]], [[0.3, 0.4]])


def test_flat_vectors() -> None:
    """One that is not nested is read as well, even of one number."""
    assert Embeddings([vector(0.1, 0.2), vector(0.3)], [0, 1], 4) == answered([0.1, 0.2], [0.3])


@pytest.mark.parametrize("embedding", [[[0.1], [0.2]], [["0.1"]], [[[0.1]]], "no base64!"], ids=str)
def test_other_nesting(embedding: object) -> None:
    """Two vectors for one text, or deeper lists, are no vector."""
    assert isinstance(answered(embedding), Fault)


def test_empty_vector() -> None:
    """An empty vector is left to the output contract."""
    assert Embeddings([b""], [0], 4) == answered([[]])


def test_error() -> None:
    """Its errors are flat."""
    body = b'{"message": "No.", "code": "390303", "request_id": "1f"}'

    assert Fault(FaultKind.MISCONFIGURED, "No.", 403) == SNOWFLAKE.parse_error(Response(403, {}, body))
