"""How long calls take at a target is known for each size, and forgotten."""

from __future__ import annotations

import pytest

from gateway.latency import Latency, size_class

NOW = 1000.0


def of(*seconds: float) -> Latency:
    latency = Latency()
    for each in seconds:
        latency.add(each, NOW)
    return latency


def test_sizes() -> None:
    """One input, a few, many and bulk are told apart."""
    assert [0, 1, 1, 2, 2, 3, 3] == [size_class(items) for items in (1, 2, 8, 9, 64, 65, 2048)]


def test_nothing_known() -> None:
    """Without a call nothing is known."""
    assert (None, None, None) == (of().mean, of().recent(NOW), of().p95)


def test_mean() -> None:
    """The mean follows the last calls."""
    assert pytest.approx(1.0) == of(9.0, *[1.0] * 100).mean


def test_recent_fades() -> None:
    """It counts for half after ten seconds."""
    assert [4.0, 2.0, 1.0] == [of(4.0).recent(NOW + seconds) for seconds in (0, 10, 20)]


def test_p95() -> None:
    """Of the last hundred calls 95 were as fast as that, or faster."""
    assert 0.95 == of(*[9.0] * 100, *(number / 100 for number in range(1, 101))).p95


@pytest.mark.parametrize(("samples", "expected"), [(39, None), (40, 1.0)])
def test_p95_needs_samples(samples: int, expected: float | None) -> None:
    """A few calls do not tell."""
    assert expected == of(*[1.0] * samples).p95


@pytest.mark.parametrize(("seconds", "mean"), [(0.5, 1.0), (2.0, 1.2)])
def test_cut_off(seconds: float, mean: float) -> None:
    """A call that was cut off is slow, if it had taken longer than usual by then, and else tells nothing."""
    latency = of(1.0)
    latency.cut_off(seconds, NOW)

    assert pytest.approx(mean) == latency.mean
