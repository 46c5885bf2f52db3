"""The shape that OpenAI gave the field: what is sent, what is read, and what an error is taken for."""

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

BARE = EmbedCall("small", ["one"])
FULL = EmbedCall("small", ["one", "two"], dimensions=8, input_type="query", user="u-1", extra={"seed": 7})


def endpoint(base_url: str = "https://api.example.com/v1", **fields: Any) -> Endpoint:
    return Endpoint(base_url, **fields)


def body_of(call: EmbedCall, **fields: Any) -> Any:
    return json.loads(openai_shape.build_request(call, endpoint(**fields)).body)


def headers_of(**fields: Any) -> dict[str, str]:
    return dict(openai_shape.build_request(BARE, endpoint(**fields)).headers)


# ── the request's body ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("call", [BARE, FULL], ids=["bare", "full"])
def test_same_request_twice(call: EmbedCall) -> None:
    """Building a request twice gives the same request."""
    where = endpoint(api_key=KEY, headers={"X-Team": "search"}, extra_body={"zone": {"a": 1}}, base64=True)

    assert openai_shape.build_request(call, where) == openai_shape.build_request(call, where)


def test_nothing_that_nobody_asked_for() -> None:
    """A bare call sends the model with its inputs alone."""
    assert {"model": "small", "input": ["one"]} == body_of(BARE)


def test_all_fields() -> None:
    """A full call sends each field under OpenAI's name; an input type has none."""
    expected = {"model": "small", "input": ["one", "two"], "dimensions": 8, "user": "u-1", "seed": 7}

    assert expected == body_of(FULL)


def test_token_ids() -> None:
    """Token ids are sent as they are."""
    assert [[1, 2], [3]] == body_of(EmbedCall("small", [[1, 2], [3]]))["input"]


@pytest.mark.parametrize(("known", "expected"), [(True, "base64"), (False, None)])
def test_base64(known: bool, expected: str | None) -> None:
    """Base64 is asked for only where it is known to be good."""
    assert expected == body_of(BARE, base64=known).get("encoding_format")


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
    sent = body_of(EmbedCall("small", ["one"], extra=client), extra_body=target)

    assert {**expected, "model": "small", "input": ["one"]} == sent


def test_own_fields_win() -> None:
    """Whatever lies underneath, the gateway's own fields are sent as it sets them."""
    other = dict.fromkeys(openai_shape.OWNED, "another")
    call = EmbedCall("small", ["one"], dimensions=8, user="u-1", extra=other)

    assert {
        "model": "small",
        "input": ["one"],
        "dimensions": 8,
        "user": "u-1",
        "encoding_format": "base64",
    } == body_of(call, extra_body=other, base64=True)


def test_all_that_it_builds_is_owned() -> None:
    """A client may set no key that the adapter itself builds."""
    built = body_of(EmbedCall("small", ["one"], dimensions=8, user="u-1"), base64=True)

    assert openai_shape.OWNED == set(built)


@pytest.mark.parametrize("nulls", [{"seed": None}, {"zone": {"a": None}}], ids=["at the top", "below"])
@pytest.mark.parametrize("layer", ["target", "client"])
def test_no_null(nulls: dict[str, Any], layer: str) -> None:
    """No null is sent, whoever set it."""
    call = EmbedCall("small", ["one"], extra=nulls if layer == "client" else {})
    request = openai_shape.build_request(call, endpoint(extra_body=nulls if layer == "target" else {}))

    assert b"null" not in request.body


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


def test_address() -> None:
    """A request is posted to `embeddings` below the versioned base URL."""
    request = openai_shape.build_request(BARE, endpoint("https://host/"))

    assert ("POST", "https://host/v1/embeddings") == (request.method, request.url)


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


def test_key_only_in_authorization() -> None:
    """The key is in the authorization header, nowhere else in the request."""
    request = openai_shape.build_request(FULL, endpoint(api_key=KEY))
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
        Endpoint("https://host", SECRET, {"x-key": SECRET}, {"note": SECRET}),
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
    return json.loads(codec.vector_to_json(raw))  # type: ignore[no-any-return]


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
    "nulls": (
        answer(item(0, [0.5]), item(1, [0.5, None])),
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


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────


def envelope(message: object, type_: str | None = None, code: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (300, FaultKind.MISCONFIGURED),
        (301, FaultKind.MISCONFIGURED),
        (307, FaultKind.MISCONFIGURED),
        (399, FaultKind.MISCONFIGURED),
        (400, FaultKind.REJECTED),
        (401, FaultKind.MISCONFIGURED),
        (402, FaultKind.EXHAUSTED),
        (403, FaultKind.MISCONFIGURED),
        (404, FaultKind.MISCONFIGURED),
        (405, FaultKind.MISCONFIGURED),
        (408, FaultKind.TIMEOUT),
        (413, FaultKind.REJECTED),
        (418, FaultKind.REJECTED),
        (422, FaultKind.REJECTED),
        (424, FaultKind.OVERLOADED),
        (429, FaultKind.THROTTLED),
        (499, FaultKind.REJECTED),
        (500, FaultKind.BROKEN),
        (501, FaultKind.BROKEN),
        (502, FaultKind.OVERLOADED),
        (503, FaultKind.OVERLOADED),
        (504, FaultKind.OVERLOADED),
        (529, FaultKind.OVERLOADED),
        (599, FaultKind.BROKEN),
    ],
)
def test_status(status: int, kind: FaultKind) -> None:
    """Each status has its kind of fault."""
    expected = Fault(kind, "No.", status)

    assert expected == openai_shape.parse_error(response(envelope("No."), status))


@pytest.mark.parametrize("fields", [("insufficient_quota", "insufficient_quota"), ("insufficient_quota", None)])
def test_insufficient_quota(fields: tuple[str, str | None]) -> None:
    """A 429 for a quota used up is exhaustion, not throttling."""
    expected = Fault(FaultKind.EXHAUSTED, "No credit.", 429)

    assert expected == openai_shape.parse_error(response(envelope("No credit.", *fields), 429))


def test_quota_elsewhere() -> None:
    """Another status keeps its kind, whatever the code says."""
    expected = Fault(FaultKind.MISCONFIGURED, "No.", 403)

    assert expected == openai_shape.parse_error(response(envelope("No.", code="insufficient_quota"), 403))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (envelope("No."), "No."),
        ({"error": "No."}, "No."),
        ({"error": {}}, ""),
        ({"error": None}, ""),
        ({"error": ["No."]}, ""),
        (envelope(None), ""),
        (envelope({"detail": "No."}), ""),
        ({"message": "No."}, ""),
        (["No."], ""),
        (None, ""),
        (b"", ""),
        (b"<html>No.</html>", ""),
        (b"\xff", ""),
    ],
    ids=str,
)
def test_message(payload: object, message: str) -> None:
    """The message is read from OpenAI's envelope; anything else is told by its status alone."""
    assert Fault(FaultKind.BROKEN, message, 500) == openai_shape.parse_error(response(payload, 500))


@given(TREES | TREES.map(lambda tree: {"error": tree}), st.integers(300, 599))
def test_any_error_is_a_fault(payload: object, status: int) -> None:
    """Whatever comes with a status of failure, it is a fault of that status."""
    assert status == openai_shape.parse_error(response(payload, status)).status


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "1500", "retry-after": "1"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after-ms": "250", "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "86401"}, 86_400.0),
        ({"retry-after": "1e307"}, 86_400.0),
        ({"retry-after-ms": "1e308"}, 86_400.0),
    ],
    ids=str,
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """The wait asked for is the longer of both hints; what is no sane number of seconds is none."""
    assert expected == openai_shape.parse_error(response(envelope("Slow."), 429, headers)).retry_after
