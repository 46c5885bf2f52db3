"""Relays: the facts of each, and where they depart from OpenAI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Limits, Response
from providers.relays import RELAYS
from tests.fakes.backends import vector

BY_NAME = {provider.name: provider for provider in RELAYS}
FULL = EmbedCall("m", ["one"], dimensions=256, input_type="query", user="u-1")
OPENAI_LIKE = {"model": "m", "input": ["one"], "dimensions": 256, "user": "u-1"}


@pytest.mark.parametrize("name", BY_NAME)
def test_registered(name: str) -> None:
    """Each provider is found by its name."""
    assert BY_NAME[name] is PROVIDERS[name]


@pytest.mark.parametrize(
    ("name", "base_url", "expected"),
    [
        ("openrouter", None, "https://openrouter.ai/api/v1/embeddings"),
        ("openrouter", "https://openrouter.ai", "https://openrouter.ai/api/v1/embeddings"),
        ("github", None, "https://models.github.ai/inference/embeddings"),
        ("github", "https://models.github.ai", "https://models.github.ai/inference/embeddings"),
        (
            "github",
            "https://models.github.ai/orgs/acme/inference",
            "https://models.github.ai/orgs/acme/inference/embeddings",
        ),
        ("aihubmix", None, "https://aihubmix.com/v1/embeddings"),
        ("oneapi", "http://10.1.2.3:3000", "http://10.1.2.3:3000/v1/embeddings"),
    ],
)
def test_address(name: str, base_url: str | None, expected: str) -> None:
    """A relay is called at its public address or the one given."""
    provider = BY_NAME[name]

    assert expected == provider.build_request(FULL, Endpoint(base_url or provider.base_url or "")).url


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openrouter", OPENAI_LIKE),
        ("github", {**OPENAI_LIKE, "input_type": "query"}),
        ("aihubmix", OPENAI_LIKE),
        ("oneapi", OPENAI_LIKE),
    ],
)
def test_full_call(name: str, expected: dict[str, Any]) -> None:
    """A full call sends OpenAI's fields."""
    assert expected == json.loads(BY_NAME[name].build_request(FULL, Endpoint("https://host")).body)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("openrouter", (Limits(), True, False)),
        ("github", (Limits(), False, True)),
        ("aihubmix", (Limits(inputs=2048, request_tokens=300_000), True, False)),
        ("oneapi", (Limits(), False, False)),
    ],
)
def test_facts(name: str, expected: tuple[Limits, bool, bool]) -> None:
    """Limits, token ids and base64 are promised only where they are documented."""
    provider = BY_NAME[name]

    assert expected == (provider.limits, provider.token_ids, provider.base64)


@pytest.mark.parametrize("key", ["models", "provider", "route", "transforms", "input_type"])
def test_guarded(key: str) -> None:
    """No client may send OpenRouter elsewhere."""
    assert key in BY_NAME["openrouter"].owned


def test_timeout_of_a_proxy() -> None:
    """OpenRouter's 524 is a timeout."""
    body = b'{"error": {"message": "No.", "code": 524}}'

    assert Fault(FaultKind.TIMEOUT, "No.", 524) == BY_NAME["openrouter"].parse_error(Response(524, {}, body))


def test_leading_blanks() -> None:
    """Blanks before OpenRouter's answer are skipped."""
    body = b"\n \n" * 100 + b'{"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 4, "cost": 0.1}}'

    assert Embeddings([vector(0.5)], [0], 4) == BY_NAME["openrouter"].parse_response(Response(200, {}, body))


def test_error_behind_success() -> None:
    """An error that follows the blanks is no answer."""
    body = b'\n \n{"error": {"message": "Provider returned error", "code": 502}}'
    found = BY_NAME["openrouter"].parse_response(Response(200, {}, body))

    assert isinstance(found, Fault)
    assert FaultKind.MALFORMED is found.kind


def test_quota_of_a_day() -> None:
    """GitHub's quota of a day asks to wait for hours."""
    body = b'{"error": {"code": "RateLimitReached", "message": "No.", "details": "No."}}'
    headers = {"retry-after": "24367", "x-ratelimit-type": "UserByModelByDay"}
    expected = Fault(FaultKind.THROTTLED, "No.", 429, 24_367.0)

    assert expected == BY_NAME["github"].parse_error(Response(429, headers, body))
