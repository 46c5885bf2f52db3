"""The shape that OpenAI gave the field: where a request goes, what is laid over what, and what is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import codec, openai_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Request, Response
from tests.fakes.backends import vector

KEY = "sk-upstream-secret-0123456789"
SECRET = "a text that nobody else may see"
URL = "https://api.example.com/v1/embeddings"

BARE = EmbedCall("small", ["one"])
OWN = {"model": "small", "input": ["one"]}


def post(call: EmbedCall = BARE, **fields: Any) -> Request:
    return openai_shape.post(URL, OWN, call, Endpoint("https://api.example.com/v1", **fields))


def body_of(call: EmbedCall = BARE, **fields: Any) -> Any:
    return json.loads(post(call, **fields).body)


def headers_of(**fields: Any) -> dict[str, str]:
    return dict(post(**fields).headers)


# ── the request's body ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("target", "client", "expected"),
    [
        ({"seed": 1}, {}, {"seed": 1}),
        ({}, {"seed": 2}, {"seed": 2}),
        ({"seed": 1}, {"seed": 2}, {"seed": 2}),
        ({"zone": {"a": 1, "b": 1}}, {"zone": {"b": 2}}, {"zone": {"a": 1, "b": 2}}),
        ({"model": "x", "input": "y"}, {"model": "z", "input": []}, {}),
        ({"user": "target"}, {}, {"user": "target"}),
    ],
)
def test_layers(target: dict[str, Any], client: dict[str, Any], expected: dict[str, Any]) -> None:
    """The client's further fields lie over the target's, and the gateway's own over both."""
    assert {**expected, **OWN} == body_of(EmbedCall("small", ["one"], extra=client), extra_body=target)


@pytest.mark.parametrize("nulls", [{"seed": None}, {"zone": {"a": None}}], ids=["at the top", "below"])
@pytest.mark.parametrize("layer", ["target", "client"])
def test_no_null(nulls: dict[str, Any], layer: str) -> None:
    """No null is sent, whoever set it."""
    call = EmbedCall("small", ["one"], extra=nulls if layer == "client" else {})

    assert b"null" not in post(call, extra_body=nulls if layer == "target" else {}).body


# ── the request's address ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/", "https://api.openai.com/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("https://x.openai.azure.com/openai/v1", "https://x.openai.azure.com/openai/v1"),
        ("https://api.z.ai/api/paas/v4", "https://api.z.ai/api/paas/v4"),
        ("https://g.example.com/v1beta/openai", "https://g.example.com/v1beta/openai"),
        ("https://g.example.com/v1beta/openai/", "https://g.example.com/v1beta/openai"),
        ("https://api.fireworks.ai/inference/v1", "https://api.fireworks.ai/inference/v1"),
        ("https://host/api", "https://host/api/v1"),
        ("https://v1.example.com", "https://v1.example.com/v1"),
        ("https://host/vectors", "https://host/vectors/v1"),
        ("https://host/v", "https://host/v/v1"),
    ],
)
def test_versioned(base_url: str, expected: str) -> None:
    """The version is added where the path has none."""
    assert expected == openai_shape.versioned(base_url)


def test_another_version() -> None:
    """A service of another version has that added."""
    assert "https://host/v2" == openai_shape.versioned("https://host", "v2")


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://host", "https://host/api/v3/inference"),
        ("https://host/", "https://host/api/v3/inference"),
        ("https://host/api", "https://host/api/v3/inference"),
        ("https://host/api/v3", "https://host/api/v3/inference"),
        ("https://host/api/v3/inference", "https://host/api/v3/inference"),
        ("https://host/api/v3/inference/inference", "https://host/api/v3/inference/inference"),
        ("https://host/v2/other", "https://host/v2/other"),
    ],
)
def test_version_of_several_segments(base_url: str, expected: str) -> None:
    """Of a version of several segments only those are added that the base URL does not end in."""
    assert expected == openai_shape.versioned(base_url, "api/v3/inference")


def test_address() -> None:
    """A request is posted to the address given."""
    assert ("POST", URL) == (post().method, post().url)


# ── the request's headers ─────────────────────────────────────────────────────────────────────────────────────────


def test_headers_without_key() -> None:
    """A service without a key gets no authorization."""
    assert {"content-type": "application/json", "accept": "application/json"} == headers_of()


def test_headers_of_target() -> None:
    """A target's own headers are added, their names in lower case."""
    expected = {"content-type": "application/json", "accept": "text/json", "x-team": "search"}

    assert expected == headers_of(headers={"X-Team": "search", "Accept": "text/json"})


def test_authorization_of_target() -> None:
    """A target may bring an authorization of its own."""
    assert "Basic abc" == headers_of(headers={"Authorization": "Basic abc"})["authorization"]


def test_key_wins() -> None:
    """A target's key wins over an authorization among its headers."""
    assert f"Bearer {KEY}" == headers_of(api_key=KEY, headers={"Authorization": "Basic abc"})["authorization"]


def test_other_credentials() -> None:
    """A service may want its credentials in a header of its own, and then no other header holds them."""
    where = Endpoint(URL, KEY, headers={"Api-Key": "of the configuration"})
    request = openai_shape.posted(URL, OWN, BARE, where, {"api-key": KEY})

    assert {**openai_shape.JSON_HEADERS, "api-key": KEY} == request.headers


def test_key_only_in_authorization() -> None:
    """The key is in the authorization header, nowhere else in the request."""
    request = post(api_key=KEY)
    places = {
        "url": request.url,
        "body": request.body.decode(),
        **{f"header {name}": value for name, value in request.headers.items()},
    }

    assert ["header authorization"] == [place for place, text in places.items() if KEY in text]


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value",
    [
        EmbedCall("small", [SECRET], user=SECRET, extra={"note": SECRET}),
        Endpoint("https://host", SECRET, headers={"x-key": SECRET}, extra_body={"note": SECRET}),
        Request("POST", "https://host", {"authorization": SECRET}, SECRET.encode()),
        Response(200, {"set-cookie": SECRET}, SECRET.encode()),
        Embeddings([SECRET.encode()]),
        Fault(FaultKind.REJECTED, SECRET),
    ],
    ids=lambda value: type(value).__name__,
)
def test_secrets_are_not_shown(value: object) -> None:
    """No value shows a key, a text or a vector."""
    assert SECRET not in repr(value)


# ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────────

A, B = vector(1, -2.5), vector(0.1, 3)
USAGE = {"prompt_tokens": 5, "total_tokens": 5}


def item(index: object, embedding: object) -> dict[str, object]:
    return {"object": "embedding", "index": index, "embedding": embedding}


def response(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Response(status, headers or {}, body)


def numbers(raw: bytes) -> list[float]:
    read: list[float] = json.loads(codec.vector_to_json(raw))
    return read


def base64(raw: bytes) -> str:
    return codec.vector_to_base64(raw).decode()


def answer(*items: object, **fields: object) -> dict[str, object]:
    return {"object": "list", "data": list(items), "model": "small", "usage": USAGE, **fields}


@pytest.mark.parametrize(
    "payload",
    [
        answer(item(0, numbers(A)), item(1, numbers(B))),
        answer(item(0, base64(A)), item(1, base64(B))),
        answer(item(0, base64(A)), item(1, numbers(B))),
        answer(item(0, numbers(A)), item(1, numbers(B)), error=None, warnings=["slow"]),
    ],
    ids=["numbers", "base64", "both", "with more"],
)
def test_parse_response(payload: object) -> None:
    """Vectors are read from numbers or base64, whichever came."""
    assert Embeddings([A, B], [0, 1], 5) == openai_shape.parse_response(response(payload))


def test_indexes_are_as_they_came() -> None:
    """Vectors stay in the order of the answer with the indexes that it gives; the contract puts them right."""
    found = openai_shape.parse_response(response(answer(item(7, numbers(B)), item(-1, numbers(A)))))

    assert Embeddings([B, A], [7, -1], 5) == found


def test_leading_blanks() -> None:
    """Blanks before the answer, which keep a connection alive, are skipped."""
    body = b"\n  \r\n" * 50 + json.dumps(answer(item(0, numbers(A)))).encode()

    assert Embeddings([A], [0], 5) == openai_shape.parse_response(response(body))


MALFORMED = {
    "empty": (b"", "the answer is not JSON"),
    "html": (b"<!DOCTYPE html><html></html>", "the answer is not JSON"),
    "cut": (b'{"data": [{"index": 0, "embedding": [0.5', "the answer is not JSON"),
    "nan": (b'{"data": [{"index": 0, "embedding": [NaN]}]}', "the answer is not JSON"),
    "binary": (b"\xff\xfe\x00", "the answer is not JSON"),
    "list": ([], "the answer is not a JSON object"),
    "null": (None, "the answer is not a JSON object"),
    "text": ("ok", "the answer is not a JSON object"),
    "error object": (
        {"error": {"message": SECRET}},
        "the answer is an error behind a status of success",
    ),
    "error text": (answer(error=SECRET), "the answer is an error behind a status of success"),
    "no data": ({"object": "list"}, "the answer has no `data`"),
    "null data": ({"data": None}, "the answer has no `data`"),
    "data object": ({"data": {"0": [0.5]}}, "the answer has no `data`"),
    "bare vector": (answer(item(0, [0.5]), [0.5]), "`data[1]` is not an object"),
    "null item": (answer(None), "`data[0]` is not an object"),
    "no index": (answer({"embedding": [0.5]}), "`data[0]` has no index"),
    "null index": (answer(item(None, [0.5])), "`data[0]` has no index"),
    "text index": (answer(item("0", [0.5])), "`data[0]` has no index"),
    "float index": (answer(item(0.0, [0.5])), "`data[0]` has no index"),
    "boolean index": (answer(item(False, [0.5])), "`data[0]` has no index"),
    "no embedding": (answer(item(0, [0.5]), {"index": 1}), "`data[1]` has no embedding"),
    "null embedding": (answer(item(0, None)), "`data[0]` has no embedding"),
    "object embedding": (answer(item(0, {"float": [0.5]})), "`data[0]` has no embedding"),
    "number embedding": (answer(item(0, 0.5)), "`data[0]` has no embedding"),
    "words": (
        answer(item(0, "no base64!")),
        "`data[0].embedding` is neither base64 nor a list of numbers",
    ),
    "3 bytes": (
        answer(item(0, "AAAA")),
        "`data[0].embedding` is neither base64 nor a list of numbers",
    ),
    "a boolean among numbers": (
        answer(item(0, [0.5]), item(1, [0.5, True])),
        "`data[1].embedding` is neither base64 nor a list of numbers",
    ),
    "texts": (
        answer(item(0, ["0.5"])),
        "`data[0].embedding` is neither base64 nor a list of numbers",
    ),
    "nested": (
        answer(item(0, [[0.5]])),
        "`data[0].embedding` is neither base64 nor a list of numbers",
    ),
    "booleans": (
        answer(item(0, [0.5, True])),
        "`data[0].embedding` is neither base64 nor a list of numbers",
    ),
}


@pytest.mark.parametrize(("payload", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(payload: object, message: str) -> None:
    """An answer without right vectors is malformed, said in our own words."""
    expected = Fault(FaultKind.MALFORMED, message, 200)

    assert expected == openai_shape.parse_response(response(payload))


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "index", "embedding", "usage", "error", "x"]), below, max_size=4)
    ),
    max_leaves=12,
)


@given(TREES | TREES.map(lambda tree: {"data": tree}) | TREES.map(lambda tree: {"data": [item(0, tree)]}))
def test_any_json_is_read_or_malformed(payload: object) -> None:
    """Whatever JSON comes, reading it gives vectors or a fault."""
    assert isinstance(openai_shape.parse_response(response(payload)), Embeddings | Fault)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 5, "total_tokens": 6}, 5),
        ({"prompt_tokens": 1}, 1),
        ({"total_tokens": 6}, 6),
        ({"prompt_tokens": 0, "total_tokens": 6}, 6),
        ({"prompt_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": None}, None),
        ({"prompt_tokens": "5"}, None),
        ({"prompt_tokens": 5.0}, None),
        ({"prompt_tokens": True}, None),
        ({}, None),
        (None, None),
        ([5], None),
        (5, None),
    ],
    ids=str,
)
def test_usage(usage: object, expected: int | None) -> None:
    """Tokens are those that the upstream says; none and zero are not said."""
    assert expected == openai_shape.prompt_tokens(usage)


def test_missing_usage() -> None:
    """An answer without usage says no tokens."""
    payload = {"data": [item(0, numbers(A))]}

    assert Embeddings([A], [0], None) == openai_shape.parse_response(response(payload))
