"""Amazon's Titan text models on Bedrock."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Limits, Provider
from providers.bedrock_titan import BEDROCK_TITAN, BEDROCK_TITAN_V1
from tests.providers.exchange import HTML, A, answer, body, malformed

BOTH = pytest.mark.parametrize("provider", [BEDROCK_TITAN, BEDROCK_TITAN_V1], ids=lambda provider: provider.name)
BILLED = {"x-amzn-bedrock-input-token-count": "6"}


@BOTH
def test_registered(provider: Provider) -> None:
    """The provider is found by its name."""
    assert provider is PROVIDERS[provider.name]


@BOTH
def test_bare_request(provider: Provider) -> None:
    """A text is sent alone, and the model stands in the address."""
    assert {"inputText": "hello"} == body(provider, EmbedCall("m", ["hello"], input_type="query", user="u-1"))


def test_full_request() -> None:
    """A length is sent to the second version."""
    assert {"inputText": "one", "dimensions": 256} == body(BEDROCK_TITAN, EmbedCall("m", ["one"], 256))


def test_shortens() -> None:
    """Only the second version shortens."""
    assert (True, False) == (BEDROCK_TITAN.shortens, BEDROCK_TITAN_V1.shortens)


@BOTH
def test_limits(provider: Provider) -> None:
    """A call holds one text."""
    assert Limits(inputs=1) == provider.limits


@BOTH
@pytest.mark.parametrize("key", ["inputText", "dimensions", "normalize", "embeddingTypes"])
def test_owned(provider: Provider, key: str) -> None:
    """No client may change the text or what kind of vector it gets."""
    assert key in provider.owned


@BOTH
@pytest.mark.parametrize(
    ("payload", "headers", "expected"),
    [
        ({"embedding": [0.1, 0.2], "inputTextTokenCount": 5}, {}, Embeddings([A], None, 5)),
        ({"embedding": [0.1, 0.2], "inputTextTokenCount": 5}, BILLED, Embeddings([A], None, 5)),
        ({"embedding": [0.1, 0.2]}, BILLED, Embeddings([A], None, 6)),
        ({"embedding": [0.1, 0.2]}, {}, Embeddings([A])),
        (
            {"embedding": [0.1, 0.2], "embeddingsByType": {"float": [0.1, 0.2]}, "inputTextTokenCount": 5},
            {},
            Embeddings([A], None, 5),
        ),
    ],
    ids=["body", "both", "header", "neither", "by type"],
)
def test_answer(provider: Provider, payload: object, headers: dict[str, str], expected: Embeddings) -> None:
    """The vector is read, and its tokens from the body or else from the header."""
    assert expected == provider.parse_response(answer(payload, headers=headers))


@BOTH
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        ({"message": "no"}, "the answer has no list of numbers `embedding`"),
        ({"embedding": [[0.1]]}, "the answer has no list of numbers `embedding`"),
    ],
    ids=["html", "message", "nested"],
)
def test_malformed(provider: Provider, payload: object, message: str) -> None:
    """An answer without a vector is malformed."""
    assert malformed(message) == provider.parse_response(answer(payload))
