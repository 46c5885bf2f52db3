"""Amazon's Nova embeddings on Bedrock."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Limits
from providers.bedrock_nova import BEDROCK_NOVA
from tests.providers.exchange import HTML, A, answer, body, malformed, roles_sent

BILLED = {"x-amzn-bedrock-input-token-count": "4"}


def test_registered() -> None:
    """The provider is found by its name."""
    assert BEDROCK_NOVA is PROVIDERS["bedrock-nova"]


def test_bare_request() -> None:
    """A text is sent with its purpose and the switch against cutting."""
    expected = {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX",
            "text": {"value": "hello", "truncationMode": "NONE"},
        },
    }

    assert expected == body(BEDROCK_NOVA, EmbedCall("m", ["hello"], input_type="document", user="u-1"))


def test_full_request() -> None:
    """A length is sent beside the purpose."""
    expected = {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_RETRIEVAL",
            "embeddingDimension": 1024,
            "text": {"value": "hello", "truncationMode": "NONE"},
        },
    }

    assert expected == body(BEDROCK_NOVA, EmbedCall("m", ["hello"], 1024, "query"))


def test_roles() -> None:
    """Four input types have a purpose."""
    expected = {
        "query": "GENERIC_RETRIEVAL",
        "document": "GENERIC_INDEX",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
    }

    assert expected == roles_sent(BEDROCK_NOVA, "embeddingPurpose")


def test_needs_role() -> None:
    """A call has to name its purpose."""
    assert BEDROCK_NOVA.needs_role


def test_limits() -> None:
    """A call holds one text."""
    assert Limits(inputs=1) == BEDROCK_NOVA.limits


@pytest.mark.parametrize(
    ("headers", "expected"), [(BILLED, Embeddings([A], None, 4)), ({}, Embeddings([A]))], ids=["usage", "no usage"]
)
def test_answer(headers: dict[str, str], expected: Embeddings) -> None:
    """The vector is read, and its tokens from the header."""
    payload = {"embeddings": [{"embedding": [0.1, 0.2], "embeddingType": "TEXT"}]}

    assert expected == BEDROCK_NOVA.parse_response(answer(payload, headers=headers))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        ({"message": "no"}, "the answer has no list `embeddings`"),
        ({"embeddings": [[0.1]]}, "`embeddings[0].embedding` is not a list of numbers"),
    ],
    ids=["html", "message", "bare"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without a vector is malformed."""
    assert malformed(message) == BEDROCK_NOVA.parse_response(answer(payload))
