"""Cohere's models on Bedrock."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Limits, Provider
from providers.bedrock_cohere import BEDROCK_COHERE, BEDROCK_COHERE_V4
from tests.providers.exchange import HTML, A, B, answer, body, malformed, roles_sent

BOTH = pytest.mark.parametrize("provider", [BEDROCK_COHERE, BEDROCK_COHERE_V4], ids=lambda provider: provider.name)
BILLED = {"x-amzn-bedrock-input-token-count": "4"}


@BOTH
def test_registered(provider: Provider) -> None:
    """The provider is found by its name."""
    assert provider is PROVIDERS[provider.name]


@BOTH
def test_bare_request(provider: Provider) -> None:
    """Texts are sent with their role and the switch against cutting; the model stands in the address."""
    expected = {"texts": ["one", "two"], "input_type": "search_document", "truncate": "NONE"}

    assert expected == body(provider, EmbedCall("m", ["one", "two"], input_type="document", user="u-1"))


def test_full_request() -> None:
    """A length is sent to the fourth generation."""
    expected = {"texts": ["one"], "input_type": "search_query", "output_dimension": 256, "truncate": "NONE"}

    assert expected == body(BEDROCK_COHERE_V4, EmbedCall("m", ["one"], 256, "query"))


def test_shortens() -> None:
    """Only the fourth generation shortens."""
    assert (True, False) == (BEDROCK_COHERE_V4.shortens, BEDROCK_COHERE.shortens)


@BOTH
def test_roles(provider: Provider) -> None:
    """Four input types have a name at Cohere."""
    expected = {
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }

    assert expected == roles_sent(provider, "input_type")


@BOTH
def test_needs_role(provider: Provider) -> None:
    """A call without an input type is refused there."""
    assert provider.needs_role


@BOTH
def test_limits(provider: Provider) -> None:
    """A call holds 96 texts; the third generation counts the characters of each, however few tokens they are."""
    chars = 2048 if provider is BEDROCK_COHERE else None

    assert Limits(inputs=96, input_chars=chars) == provider.limits


BY_TYPE = {
    "embeddings": {"float": [[0.1, 0.2]]},
    "id": "3893ebf7",
    "response_type": "embeddings_by_type",
    "texts": ["Hello, world!"],
}
BARE = {"embeddings": [[0.1, 0.2], [0.3, 0.4]], "id": "3893ebf7", "response_type": "embeddings_floats"}


@BOTH
@pytest.mark.parametrize(
    ("payload", "headers", "expected"),
    [
        (BY_TYPE, BILLED, Embeddings([A], None, 4)),
        (BARE, BILLED, Embeddings([A, B], None, 4)),
        (BARE, {}, Embeddings([A, B])),
    ],
    ids=["by type", "bare", "no usage"],
)
def test_answer(provider: Provider, payload: object, headers: dict[str, str], expected: Embeddings) -> None:
    """Vectors are read from either form, tokens from the header."""
    assert expected == provider.parse_response(answer(payload, headers=headers))


@BOTH
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        ({"message": "no"}, "the answer has no list `embeddings`"),
        ({"embeddings": {"int8": [[1]]}}, "the answer has no list `embeddings.float`"),
    ],
    ids=["html", "message", "another type"],
)
def test_malformed(provider: Provider, payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == provider.parse_response(answer(payload))
