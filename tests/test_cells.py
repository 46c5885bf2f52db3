"""Counts and spreads: what they hold, and that Prometheus reads them as its own client's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric

from gateway import cells, exposition

BOUNDS = (0.5, 1.0, 2.0)


def text(metric: object) -> bytes:
    """As it is told: without the time at which each number was begun, which nobody asks for."""
    registry = CollectorRegistry()
    registry.register(metric)  # type: ignore[arg-type]  # of two classes
    return exposition.text(exposition.families(registry))


def test_counts() -> None:
    """What is counted under one label's values is told under these, and nothing else is."""
    found = cells.counts("seen_total", "What was seen.", ["kind"])
    found("a").inc()
    found("a").inc(2.5)
    found("b").inc(0)

    assert (3.5, 0.0) == (found("a").value, found("b").value)
    assert b'seen_total{kind="a"} 3.5' in text(found)


def test_without_labels() -> None:
    """What has no labels is told before anything was counted, and what has some is not."""

    assert b"alone_total 0.0" in text(cells.counts("alone_total", "Alone.", []))
    assert b"seen_total{" not in text(cells.counts("seen_total", "Seen.", ["kind"]))


@given(st.lists(st.sampled_from([*BOUNDS, 0.0, 0.4999, 0.50001, 1.5, 2.00001, 1e9]) | st.floats(0, 4)))
def test_alike(values: list[float]) -> None:
    """A spread is told as prometheus_client's own histogram is, and a count as its counter."""
    spread, counts = cells.spreads("took", "How long.", BOUNDS, ["of"]), cells.counts("sum_total", "Sum.", ["of"])
    histogram = Histogram("took", "How long.", ["of"], buckets=BOUNDS, registry=None)
    counter = Counter("sum_total", "Sum.", ["of"], registry=None)
    spread("x"), counts("x"), histogram.labels("x"), counter.labels("x")
    for value in values:
        spread("x").observe(value)
        counts("x").inc(value)
        histogram.labels("x").observe(value)
        counter.labels("x").inc(value)

    assert (lines(histogram), lines(counter)) == (lines(spread), lines(counts))


def lines(metric: object) -> list[bytes]:
    return sorted(text(metric).splitlines())


def test_made_while_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels that turn up while all are being told disturb nothing."""
    found = cells.counts("seen_total", "What was seen.", ["kind"])
    found("a").inc()
    add = Metric.add_sample

    def adding(*words: object, **more: object) -> None:
        found("b")
        add(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Metric, "add_sample", adding)

    assert b'seen_total{kind="a"} 1.0' in text(found)
