"""A dialect: OpenAI's endpoint by other names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import openai_shape
from providers.base import EmbedCall, Endpoint, FaultKind, Limits, Response
from providers.dialect import Dialect
from providers.errors_shape import Meaning

PLAIN = Dialect()
OTHER = Dialect(
    version="api/v3",
    path="embed",
    input_field="texts",
    dimensions_field="output_dimension",
    user_field="end_user",
    role_field="task",
    roles={"query": "search", "document": "store"},
    asks_base64={"embedding_type": "base64"},
    always={"truncate": False},
    guarded=frozenset({"output_dtype"}),
)
BARE = EmbedCall("small", ["one"])
FULL = EmbedCall("small", ["one", "two"], dimensions=8, input_type="query", user="u-1", extra={"seed": 7})


def body_of(dialect: Dialect, call: EmbedCall, **fields: Any) -> Any:
    return json.loads(dialect.build_request(call, Endpoint("https://host", **fields)).body)


def test_nothing_that_nobody_asked_for() -> None:
    """A bare call sends the model with its inputs alone."""
    assert {"model": "small", "input": ["one"]} == body_of(PLAIN, BARE)


def test_plain_names() -> None:
    """A full call sends what the dialect has names for: no user, no role."""
    expected = {"model": "small", "input": ["one", "two"], "dimensions": 8, "seed": 7}

    assert expected == body_of(PLAIN, FULL)


def test_other_names() -> None:
    """Each field goes out under the dialect's own name."""
    expected = {
        "model": "small",
        "texts": ["one", "two"],
        "output_dimension": 8,
        "end_user": "u-1",
        "task": "search",
        "embedding_type": "base64",
        "truncate": False,
        "seed": 7,
    }

    assert expected == body_of(OTHER, FULL, base64=True)


@pytest.mark.parametrize("dialect", [PLAIN, OTHER], ids=["plain", "other"])
@pytest.mark.parametrize("base64", [True, False])
def test_base64(dialect: Dialect, base64: bool) -> None:
    """Base64 is asked for only where the target is known to speak it."""
    sent = body_of(dialect, BARE, base64=base64)

    assert base64 == (dialect.asks_base64.items() <= sent.items())


def test_role_without_a_name() -> None:
    """A role that the dialect has no word for is not sent."""
    assert "task" not in body_of(OTHER, EmbedCall("small", ["one"], input_type="clustering"))


def test_no_dimensions() -> None:
    """A dialect without a field for shorter vectors sends none."""
    assert {"model": "small", "input": ["one", "two"], "seed": 7} == body_of(Dialect(dimensions_field=None), FULL)


def test_token_ids() -> None:
    """Token ids are sent as they are."""
    assert [[1, 2], [3]] == body_of(PLAIN, EmbedCall("small", [[1, 2], [3]]))["input"]


def test_own_fields_win() -> None:
    """Whatever lies underneath, the gateway's own fields are sent as it sets them."""
    other = dict.fromkeys(OTHER.owned, "another")
    call = EmbedCall("small", ["one"], dimensions=8, input_type="query", user="u-1", extra=other)
    own = OTHER.body(call, Endpoint("https://host", base64=True))

    assert own == {name: body_of(OTHER, call, extra_body=other, base64=True)[name] for name in own}


def test_owned() -> None:
    """The gateway owns OpenAI's names, the dialect's, and what the dialect guards."""
    expected = {
        *("model", "input", "dimensions", "encoding_format"),
        *("texts", "output_dimension", "end_user", "task", "embedding_type", "truncate", "output_dtype"),
    }

    assert expected == OTHER.owned


@pytest.mark.parametrize(
    ("dialect", "base_url", "expected"),
    [
        (PLAIN, "https://host", "https://host/v1/embeddings"),
        (PLAIN, "https://host/v1/", "https://host/v1/embeddings"),
        (OTHER, "https://host", "https://host/api/v3/embed"),
        (OTHER, "https://host/api/v3", "https://host/api/v3/embed"),
        (Dialect(version=None), "https://host/", "https://host/embeddings"),
        (Dialect(version=None), "https://host/v1", "https://host/v1/embeddings"),
    ],
)
def test_address(dialect: Dialect, base_url: str, expected: str) -> None:
    """A request goes to the dialect's path below the versioned base URL."""
    assert expected == dialect.build_request(BARE, Endpoint(base_url)).url


def test_provider() -> None:
    """A provider has its dialect's facts besides its own."""
    made = OTHER.provider("other", "https://host/api/v3", limits=Limits(inputs=32), base64=True)

    assert ("other", "https://host/api/v3", Limits(inputs=32), True) == (
        made.name,
        made.base_url,
        made.limits,
        made.base64,
    )


def test_provider_of_a_dialect() -> None:
    """What a dialect has names for, its provider can do."""
    made = OTHER.provider("other")

    assert (True, set(OTHER.roles), OTHER.owned) == (made.shortens, set(made.roles), made.owned)


def test_provider_that_does_not_shorten() -> None:
    """Without a field for shorter vectors a provider does not shorten."""
    assert not Dialect(dimensions_field=None).provider("other").shortens


def test_provider_reads_openai() -> None:
    """A provider answers in OpenAI's shape."""
    assert openai_shape.parse_response is PLAIN.provider("other").parse_response


def test_meanings() -> None:
    """A provider knows its dialect's own meanings of failures."""
    made = PLAIN.provider("other", None, Meaning(FaultKind.TIMEOUT, 524))

    assert FaultKind.TIMEOUT == made.parse_error(Response(524, {}, b"")).kind
