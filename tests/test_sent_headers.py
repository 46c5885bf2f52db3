"""What a request's headers say."""

from __future__ import annotations

from typing import Any

from gateway import sent_headers


def test_first_of_each_name() -> None:
    """Of several headers of one name the first counts."""
    scope: dict[str, Any] = {"headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]}

    assert {b"a": b"1", b"b": b"2"} == sent_headers.of(scope)


def test_looked_through_once() -> None:
    """Whoever asks again gets what was found before."""
    scope: dict[str, Any] = {"headers": [(b"a", b"1")]}

    assert sent_headers.of(scope) is sent_headers.of(scope)
