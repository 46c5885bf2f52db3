"""Durations and sizes as people write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway.quantities import Duration, Size, octets, seconds

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
OCTETS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "KB": 1000, "MB": 1000**2, "GB": 1000**3}

AMOUNTS = st.integers(1, 10**10 - 1)
BLANKS = st.sampled_from(["", " ", "  ", "\t"])
NEARLY = st.from_regex(r"[0-9.]{0,12} ?(ms|s|m|h|d|B|KiB|MB|GiB|[a-zA-Z]{1,3})?", fullmatch=True)


def refusal(read: Callable[[object], float], value: object) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is what is tested
        read(value)
    return str(caught.value)


def answer(read: Callable[[object], float], value: str) -> float | None:
    """What is read, or None for a refusal."""
    try:
        return read(value)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 0.5),
        ("20s", 20.0),
        ("1.5s", 1.5),
        ("15m", 900.0),
        ("24h", 86400.0),
        ("30d", 2_592_000.0),
        (" 2 h ", 7200.0),
        ("0.001ms", 0.000001),
    ],
)
def test_seconds(text: str, expected: float) -> None:
    """A duration is read as seconds."""
    actual = seconds(text)

    assert expected == pytest.approx(actual)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1B", 1),
        ("64KiB", 65_536),
        ("32MiB", 33_554_432),
        ("1.5 GiB", 1_610_612_736),
        ("64KB", 64_000),
        ("32MB", 32_000_000),
        ("1GB", 1_000_000_000),
    ],
)
def test_octets(text: str, expected: int) -> None:
    """A size is read as bytes."""
    actual = octets(text)

    assert expected == actual


@pytest.mark.parametrize(("text", "expected"), [("0.5B", 1), ("0.1KiB", 103), ("0.0000001GB", 100)])
def test_part_of_a_byte(text: str, expected: int) -> None:
    """A part of a byte counts as a whole one."""
    actual = octets(text)

    assert expected == actual


@given(AMOUNTS, st.sampled_from(sorted(SECONDS)), BLANKS)
def test_all_durations(amount: int, unit: str, blank: str) -> None:
    """Any whole number of any unit is that many seconds."""
    actual = seconds(f"{amount}{blank}{unit}")

    assert float(amount * SECONDS[unit]) == actual


@given(AMOUNTS, st.sampled_from(sorted(OCTETS)), BLANKS)
def test_all_sizes(amount: int, unit: str, blank: str) -> None:
    """Any whole number of any unit is exactly that many bytes, as far as a float counts them."""
    actual = octets(f"{amount}{blank}{unit}")

    assert float(amount * OCTETS[unit]) == actual


@given(NEARLY | st.text())
def test_seconds_of_any_text(text: str) -> None:
    """Whatever is accepted is a finite time above zero."""
    actual = answer(seconds, text)

    assert actual is None or 0 < actual < math.inf


@given(NEARLY | st.text())
def test_octets_of_any_text(text: str) -> None:
    """Whatever is accepted is at least one byte."""
    actual = answer(octets, text)

    assert actual is None or actual >= 1


@pytest.mark.parametrize("value", [20, 1.5, True, None, "", "20", "s", "20S", "-1s", "1e3s", "1,5s", "20 sec", "٣s"])
def test_no_duration(value: object) -> None:
    """Anything but a number with a unit of time is refused with the units that there are."""
    actual = refusal(seconds, value)

    assert "must be a number with a unit, like 20s; units are ms, s, m, h, d" == actual


@pytest.mark.parametrize("value", [1024, "1024", "32Mib", "32M", "32mb", "1TiB", "0x10B", ["1B"], "9" * 400 + "B"])
def test_no_size(value: object) -> None:
    """Anything but a number with a unit of size is refused with the units that there are."""
    actual = refusal(octets, value)

    assert "must be a number with a unit, like 32MiB; units are B, KiB, MiB, GiB, KB, MB, GB" == actual


@pytest.mark.parametrize(("read", "value"), [(seconds, "0s"), (seconds, "0.0h"), (octets, "0B"), (octets, "0.0GiB")])
def test_nothing(read: Callable[[object], float], value: str) -> None:
    """Zero is refused."""
    actual = refusal(read, value)

    assert "must be more than zero" == actual


@pytest.mark.parametrize(("kind", "read"), [(Duration, seconds), (Size, octets)], ids=["Duration", "Size"])
@given(text=NEARLY)
def test_schema_agrees(kind: Any, read: Callable[[object], float], text: str) -> None:
    """An editor that knows the schema accepts what is read here, zero aside."""
    pattern = TypeAdapter(kind).json_schema()["pattern"]
    is_zero = re.match(r"[0.]*(?![0-9.])", text) is not None

    assert (answer(read, text.strip()) is not None) == (bool(re.search(pattern, text.strip())) and not is_zero)
