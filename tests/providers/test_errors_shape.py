"""What services say when they fail: words found in any shape, and the faults that statuses and words stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import errors_shape
from providers.base import Fault, FaultKind, Response
from providers.errors_shape import LONGEST_WAIT, Meaning, Said


def response(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Response(status, headers or {}, body)


def read(payload: object) -> Said:
    return errors_shape.read(response(payload).body)


def envelope(message: object, type_: str | None = None, code: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


# ── words ─────────────────────────────────────────────────────────────────────────────────────────────────────────


SHAPES = {
    "nested": (envelope("No.", "invalid_request_error", "model_not_found"), "model_not_found"),
    "number": ({"error": {"message": "No.", "type": None, "param": None, "code": 400}}, "400"),
    "no type": ({"error": {"code": "DeploymentNotFound", "message": "No."}}, "DeploymentNotFound"),
    "google": ({"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}, "INVALID_ARGUMENT"),
    "reason": ({"error": {"message": "No.", "details": [{"reason": "API_KEY_INVALID"}]}}, "API_KEY_INVALID"),
    "in a list": ([{"error": {"message": "No.", "status": "INVALID_ARGUMENT"}}], "INVALID_ARGUMENT"),
    "text": ({"error": "No.", "error_type": "Overloaded"}, "Overloaded"),
    "flat": ({"message": "No.", "code": 422, "type": "Validation"}, "Validation"),
    "flat object": ({"object": "error", "message": "No.", "type": "BadRequestError"}, "BadRequestError"),
    "siliconflow": ({"code": 20015, "message": "No.", "data": None}, "20015"),
    "databricks": ({"error_code": "BAD_REQUEST", "message": "No."}, "BAD_REQUEST"),
    "snowflake": ({"message": "No.", "code": "390303", "request_id": "1f"}, "390303"),
    "detail": ({"detail": "No."}, None),
    "detail object": ({"detail": {"message": "No.", "code": "AUTH_INVALID"}}, "AUTH_INVALID"),
    "errors": ({"success": False, "errors": [{"code": 10000, "message": "No."}], "result": None}, "10000"),
    "watsonx": ({"errors": [{"code": "invalid", "message": "No."}], "trace": "1f", "status_code": 400}, "invalid"),
    "rfc 7807": ({"title": "Bad Request", "detail": "No.", "status": 400}, "400"),
    "title": ({"title": "No.", "status": 400}, "400"),
    "text alone": ("No.", None),
    "plain": (b"No.\n", None),
}


@pytest.mark.parametrize(("payload", "code"), SHAPES.values(), ids=SHAPES)
def test_message(payload: object, code: str | None) -> None:
    """The message is found in every shape."""
    assert "No." == read(payload).message


@pytest.mark.parametrize(("payload", "code"), SHAPES.values(), ids=SHAPES)
def test_code(payload: object, code: str | None) -> None:
    """So is what names the error."""
    assert {code} - {None} <= read(payload).codes


def test_validation() -> None:
    """Of FastAPI's list each message is told with its place."""
    items = [
        {"loc": ["body", "input"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "user"], "msg": "Extra inputs are not permitted", "type": "extra_forbidden"},
    ]

    assert "body.input: Field required; body.user: Extra inputs are not permitted" == read({"detail": items}).message


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<html>No.</html>",
        b'{"error": {"message": "No.',
        b"\xff",
        b"x" * 1001,
        None,
        True,
        5,
        [],
        {},
        {"error": None},
        {"error": {}},
        envelope(None),
        envelope(5),
    ],
    ids=lambda payload: str(payload)[:30],
)
def test_nothing_said(payload: object) -> None:
    """What is in no known shape says nothing."""
    assert "" == read(payload).message


def test_deep_nesting() -> None:
    """A body nested without end is not followed to it."""
    depth = 900

    assert "" == errors_shape.read(b'{"error":' * depth + b'"No."' + b"}" * depth).message


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "errors", "message", "detail", "details", "code", "loc", "retryDelay"]),
            below,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(TREES | TREES.map(lambda tree: {"error": tree}) | st.binary(max_size=20), st.integers(300, 599))
def test_any_error_is_a_fault(payload: object, status: int) -> None:
    """Whatever comes with a status of failure, it is a fault of that status."""
    assert status == errors_shape.fault(response(payload, status)).status


# ── kinds ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, FaultKind.MISCONFIGURED),
        (307, FaultKind.MISCONFIGURED),
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
    """Each status has its kind of fault, and one of them is about the size of a batch."""
    expected = Fault(kind, "No.", status, divisible=status == 413)

    assert expected == errors_shape.fault(response(envelope("No."), status))


@pytest.mark.parametrize("fields", [("insufficient_quota", "insufficient_quota"), ("insufficient_quota", None)])
def test_insufficient_quota(fields: tuple[str, str | None]) -> None:
    """A 429 for a quota used up is exhaustion, not throttling."""
    expected = Fault(FaultKind.EXHAUSTED, "No credit.", 429)

    assert expected == errors_shape.fault(response(envelope("No credit.", *fields), 429))


def test_quota_elsewhere() -> None:
    """Another status keeps its kind, whatever the code says."""
    expected = Fault(FaultKind.MISCONFIGURED, "No.", 403)

    assert expected == errors_shape.fault(response(envelope("No.", code="insufficient_quota"), 403))


MEANINGS = {
    "status": (Meaning(FaultKind.MISCONFIGURED, 501), True),
    "code": (Meaning(FaultKind.MISCONFIGURED, code="not_supported_error"), True),
    "words": (Meaning(FaultKind.MISCONFIGURED, says="not Supported"), True),
    "all": (Meaning(FaultKind.MISCONFIGURED, 501, "not_supported_error", "supported"), True),
    "another status": (Meaning(FaultKind.MISCONFIGURED, 500, says="supported"), False),
    "another code": (Meaning(FaultKind.MISCONFIGURED, 501, code="supported"), False),
    "other words": (Meaning(FaultKind.MISCONFIGURED, 501, says="loading"), False),
}


@pytest.mark.parametrize(("meaning", "fits"), MEANINGS.values(), ids=MEANINGS)
def test_meaning(meaning: Meaning, fits: bool) -> None:
    """A provider's own meaning counts where all that it gives fits."""
    payload = envelope("This is not supported.", "not_supported_error")
    expected = FaultKind.MISCONFIGURED if fits else FaultKind.BROKEN

    assert expected == errors_shape.parser(meaning)(response(payload, 501)).kind


def test_first_meaning() -> None:
    """Of several meanings that fit the first counts."""
    parse_error = errors_shape.parser(Meaning(FaultKind.TIMEOUT, 524), Meaning(FaultKind.BROKEN, 524))

    assert FaultKind.TIMEOUT == parse_error(response(None, 524)).kind


def test_quota_beside_meanings() -> None:
    """A quota used up is known everywhere."""
    parse_error = errors_shape.parser(Meaning(FaultKind.TIMEOUT, 524))

    assert FaultKind.EXHAUSTED == parse_error(response(envelope("No.", code="insufficient_quota"), 429)).kind


# ── waits ─────────────────────────────────────────────────────────────────────────────────────────────────────────


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
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:27:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "yesterday"}, None),
        ({"retry-after": "5", "date": "Wed, 21 Oct 2026 07:28:30 GMT"}, 5.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "860ms"}, 0.86),
        ({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": "1s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "soon"}, None),
        ({"retry-after": "2", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h0m0s"}, 2.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1e307"}, LONGEST_WAIT),
        ({"retry-after-ms": "1e308"}, LONGEST_WAIT),
    ],
    ids=str,
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """The wait asked for is the longer of both hints, else what is left of a limit; what is not sane is none."""
    assert expected == errors_shape.fault(response(envelope("Slow."), 429, headers)).retry_after


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Limit 1000000, Used 976163. Please try again in 2.812s. Visit https://platform.openai.com.", 2.812),
        ("Please try again in 6ms.", 0.006),
        ("Please try again in 1m12.5s.", 72.5),
        ("Please try again in 7h12m0s.", 25_920.0),
        ("Please retry after 55 seconds. Contact Azure support.", 55.0),
        ("Please retry after 1 second.", 1.0),
        ("Please retry in 58.8s.", 58.8),
        ("Try again in 2 minutes.", 120.0),
        ("Please retry after 9 days.", LONGEST_WAIT),
        ("Please try again in 20 soup spoons.", None),
        ("Please try again in a while.", None),
        ("Please try again later.", None),
        ("It took 20s.", None),
    ],
)
def test_wait_in_words(words: str, expected: float | None) -> None:
    """The wait asked for may stand in the message."""
    wait = errors_shape.fault(response(envelope(words), 429)).retry_after

    assert pytest.approx(expected) == wait if expected is not None else wait is None


@pytest.mark.parametrize(
    ("delay", "expected"),
    [("58s", 58.0), ("58.5s", 58.5), ("0s", 0.0), ("soon", None), (58, None), (None, None)],
)
def test_retry_delay(delay: object, expected: float | None) -> None:
    """Google says in a detail how long to wait."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    payload = {"error": {"code": 429, "message": "You exceeded your current quota.", "details": details}}

    assert expected == errors_shape.fault(response(payload, 429)).retry_after


def test_longest_hint() -> None:
    """Of the hints in header and message the longer counts."""
    payload = envelope("Please retry after 55 seconds.")

    assert 55.0 == errors_shape.fault(response(payload, 429, {"retry-after": "1"})).retry_after


def test_no_wait_for_a_refusal() -> None:
    """A message that quotes the input asks for no wait."""
    payload = envelope("This is too long: 'please try again in 5s'.")

    assert errors_shape.fault(response(payload, 400)).retry_after is None


def test_long_messages() -> None:
    """A hint is looked for in time that grows no faster than the message."""
    message = "try again in " + "1s " * 100_000 + "retry in 1" * 10_000

    assert LONGEST_WAIT == errors_shape.fault(response(envelope(message), 429)).retry_after
