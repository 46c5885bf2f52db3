"""The tree of errors: its drawing, its envelope, and how long a client is told to wait."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.answers import error_body
from gateway.errors import GatewayError, retry_headers


def family(error: type[GatewayError] = GatewayError, depth: int = 0) -> Iterator[tuple[int, type[GatewayError]]]:
    """A class and all below it, in the order of the file, each with its depth."""
    yield depth, error
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child, depth + 1)


def drawn() -> list[tuple[int, str, int]]:
    """Depth, name and status of each branch of the drawing."""
    branches = re.findall(r"^([│ ]*)[├└]── (\w+) +(\d{3})(?:  .*)?$", errors.__doc__ or "", re.MULTILINE)
    return [(len(indent) // 4 + 1, name, int(status)) for indent, name, status in branches]


FAMILY = [error for _, error in family()]
WAITS = st.floats(0, 1_000_000)


def test_drawing() -> None:
    """The drawing at the top of the module is the tree of its classes, with their statuses."""
    actual = [(depth, error.__name__, error.status) for depth, error in family() if depth]

    assert drawn() == actual


@pytest.mark.parametrize("error", FAMILY)
def test_envelope(error: type[GatewayError]) -> None:
    """Every error's body is OpenAI's envelope with its four keys."""
    body = json.loads(error_body(error("What to do.")))

    assert {"error": {"message": "What to do.", "type": error.type, "param": None, "code": error.code}} == body


@pytest.mark.parametrize("error", FAMILY)
def test_str(error: type[GatewayError]) -> None:
    """An error's text is its message, which the command line prints."""

    assert "What to do." == str(error("What to do."))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.InvalidRequest, (400, "invalid_request_error", None)),
        (errors.ContextLengthExceeded, (400, "invalid_request_error", "context_length_exceeded")),
        (errors.TooManyTokens, (400, "max_tokens_per_request", "max_tokens_per_request")),
        (errors.Unauthenticated, (401, "invalid_request_error", None)),
        (errors.ModelNotFound, (404, "invalid_request_error", "model_not_found")),
        (errors.UnknownPath, (404, "invalid_request_error", None)),
        (errors.MethodNotAllowed, (405, "invalid_request_error", "method_not_supported")),
        (errors.SpaceMismatch, (409, "invalid_request_error", "space_mismatch")),
        (errors.RequestTooLarge, (413, "invalid_request_error", "request_too_large")),
        (errors.Throttled, (429, "requests", "rate_limit_exceeded")),
        (errors.QuotaExhausted, (429, "insufficient_quota", "insufficient_quota")),
        (errors.UpstreamError, (502, "server_error", "upstream_error")),
        (errors.UpstreamUnavailable, (503, "server_error", "upstream_unavailable")),
        (errors.Overloaded, (503, "server_error", "overloaded")),
        (errors.UpstreamTimeout, (504, "server_error", "upstream_timeout")),
    ],
)
def test_design_table(error: type[GatewayError], expected: tuple[int, str, str | None]) -> None:
    """Status, type and code are those of the design's table."""

    assert expected == (error.status, error.type, error.code)


@pytest.mark.parametrize("error", FAMILY)
def test_type_by_status(error: type[GatewayError]) -> None:
    """What is none of the caller's doing, and nothing else, is a `server_error`."""
    is_server_error = error.type == "server_error"

    assert (error.status >= 500 and error is not GatewayError) == is_server_error


def test_code_of_one_error() -> None:
    """A code given to one error replaces its class's."""

    assert "invalid_api_key" == errors.Unauthenticated("m", code="invalid_api_key").error_code


@pytest.mark.parametrize("error", [errors.SpaceMismatch, errors.QuotaExhausted])
def test_no_retry(error: type[GatewayError]) -> None:
    """Where trying again cannot help, the client's SDK is told not to."""

    assert {"x-should-retry": "false"} == error("m").headers


def test_unauthenticated_names_the_scheme() -> None:
    """A 401 says how to authenticate, as HTTP demands."""

    assert {"www-authenticate": 'Bearer realm="embedding gateway"'} == errors.Unauthenticated("m").headers


def test_further_headers() -> None:
    """Headers given to one error join those of its class."""
    error = errors.QuotaExhausted("m", headers={"a": "b"})

    assert {"x-should-retry": "false", "a": "b"} == error.headers


def test_headers_are_not_shared() -> None:
    """A header added to one error is not added to the next of its class."""
    errors.QuotaExhausted("m").headers["a"] = "b"

    assert "a" not in errors.QuotaExhausted("m").headers


# ── how long to wait ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, {}),
        (0, {"retry-after": "1", "retry-after-ms": "1"}),
        (0.0001, {"retry-after": "1", "retry-after-ms": "1"}),
        (0.25, {"retry-after": "1", "retry-after-ms": "250"}),
        (1, {"retry-after": "1", "retry-after-ms": "1000"}),
        (1.0004, {"retry-after": "2", "retry-after-ms": "1001"}),
        (60, {"retry-after": "60", "retry-after-ms": "60000"}),
    ],
)
def test_retry_headers(seconds: float | None, expected: dict[str, str]) -> None:
    """A wait is told in whole seconds as well as in milliseconds, and is never zero."""

    assert expected == retry_headers(seconds)


@given(WAITS)
def test_waiting_suffices(seconds: float) -> None:
    """Whoever waits so many milliseconds has waited long enough, but for the clock's own grain."""

    assert int(retry_headers(seconds)["retry-after-ms"]) / 1000 >= seconds - 1e-9


@given(WAITS)
def test_waiting_no_longer_than_needed(seconds: float) -> None:
    """Rounding up adds at most a millisecond."""

    assert int(retry_headers(seconds)["retry-after-ms"]) / 1000 <= seconds + 0.001


@given(WAITS)
def test_seconds_cover_milliseconds(seconds: float) -> None:
    """The whole seconds are the milliseconds rounded up."""
    headers = retry_headers(seconds)

    assert -(-int(headers["retry-after-ms"]) // 1000) == int(headers["retry-after"])
