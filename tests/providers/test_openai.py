"""OpenAI's facts."""

from __future__ import annotations

from providers import PROVIDERS, openai_shape
from providers.base import Limits
from providers.openai import OPENAI


def test_registered() -> None:
    """The provider is found by its name."""
    assert OPENAI is PROVIDERS["openai"]


def test_address() -> None:
    """Its public address is OpenAI's."""
    assert "https://api.openai.com/v1" == OPENAI.base_url


def test_limits() -> None:
    """Its limits are OpenAI's."""
    assert Limits(inputs=2048, request_tokens=300_000) == OPENAI.limits


def test_token_ids() -> None:
    """It takes token ids."""
    assert OPENAI.token_ids


def test_shape() -> None:
    """It answers in the shape that OpenAI gave the field."""
    assert openai_shape.parse_response is OPENAI.parse_response


def test_owned() -> None:
    """Every field that OpenAI documents belongs to the gateway."""
    assert {"model", "input", "dimensions", "encoding_format", "user"} == OPENAI.owned
