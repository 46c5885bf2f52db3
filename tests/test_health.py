"""What a target's calls come to decides whether it is asked."""

from __future__ import annotations

import json

import pytest

from gateway.health import LONGEST_COOLING, Health, Ticket
from gateway.policy import TABLE
from providers.base import Fault, FaultKind

NOW = 1000.0
OVERLOADED = Fault(FaultKind.OVERLOADED, "secret", 503)


def health() -> Health:
    return Health(lambda: 0.0)


def begun(health: Health, items: int = 1, now: float = NOW) -> Ticket:
    ticket = health.begin(items, now)
    assert isinstance(ticket, Ticket)
    return ticket


def after(*faults: Fault | None, items: int = 1) -> Health:
    """What calls that run side by side came to."""
    made = health()
    tickets = [begun(made, items) for _ in faults]
    for ticket, fault in zip(tickets, faults, strict=True):
        made.end(ticket, fault, NOW)
    return made


@pytest.mark.parametrize("kind", FaultKind)
def test_trips_as_the_table_says(kind: FaultKind) -> None:
    """Faults open the breaker as the table says, and no other does, however many there are."""
    states = {"open"} if TABLE[kind].trips else {"closed", "cooling"}

    assert after(*[Fault(kind, "")] * 50).state(NOW) in states


def test_halved_batches() -> None:
    """A batch that may be halved says nothing of the target; its last item does."""
    spoiled = Fault(FaultKind.MALFORMED, "", divisible=True)

    assert ["closed", "open"] == [after(*[spoiled] * 5, items=items).state(NOW) for items in (2, 1)]


def test_cut_off() -> None:
    """Calls that are cut off count neither way."""
    made = after(*[OVERLOADED] * 4)
    made.end(begun(made), None, NOW, cut_off=True)

    assert ("closed", 4, 0) == (made.state(NOW), made.report(NOW)["consecutive_failures"], made.in_flight)


@pytest.mark.parametrize(("seconds", "state"), [(0.3, "closed"), (0.5, "open")])
def test_hurried(seconds: float, state: str) -> None:
    """Clients in a hurry do not open it, unless others are served in half their time."""
    made = health()
    for _ in range(100):
        made.end(begun(made), None, NOW + 0.2)
    for _ in range(5):
        made.end(begun(made), Fault(FaultKind.TIMEOUT, ""), NOW + seconds, hurried=True)

    assert state == made.state(NOW + seconds)


def test_trial_that_is_cut_off() -> None:
    """A trial that is cut off is free for the next call."""
    made = after(*[OVERLOADED] * 5)
    trial = begun(made, now=NOW + 5)
    meanwhile = made.willing(NOW + 5)
    made.end(trial, None, NOW + 6, cut_off=True)

    assert (False, True) == (meanwhile, made.willing(NOW + 6))


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (Fault(FaultKind.THROTTLED, "", 429, retry_after=3.0), 3.0),
        (Fault(FaultKind.THROTTLED, "", 429), 0.5),
        (Fault(FaultKind.THROTTLED, "", 429, retry_after=24_367.0), LONGEST_COOLING),
        (Fault(FaultKind.EXHAUSTED, "", 429), 300.0),
        (Fault(FaultKind.EXHAUSTED, "", 429, retry_after=1.0), 300.0),
    ],
)
def test_cooling(fault: Fault, seconds: float) -> None:
    """Who throttles is left alone as long as it asks, within bounds; a call meanwhile comes to the same fault."""
    made = after(fault)
    told = made.refusal(NOW)
    assert told is not None

    assert (fault.kind, seconds) == (told.kind, told.retry_after)
    assert [False, True] == [made.willing(NOW + seconds - 0.1), made.willing(NOW + seconds)]


def test_longest_pause_counts() -> None:
    """A shorter hint does not end a longer pause."""
    hints = [Fault(FaultKind.THROTTLED, "", retry_after=seconds) for seconds in (3.0, 1.0)]

    assert not after(*hints).willing(NOW + 2)


def test_out_of_service() -> None:
    """A target that is drained or ejected takes no call, and says so."""
    drained, ejected = health(), health()
    drained.drained, ejected.ejected = True, "drift"

    assert [("drained", False), ("ejected", False)] == [
        (one.state(NOW), one.willing(NOW)) for one in (drained, ejected)
    ]


def test_report() -> None:
    """The operator is told everything in plain data, but no text."""
    made = after(*[OVERLOADED] * 5)
    report = json.loads(json.dumps(made.report(NOW + 2)))

    assert {
        "state": "open",
        "ejected": None,
        "seconds": 3.0,
        "in_flight": 0,
        "consecutive_failures": 5,
        "latency": [],
        "last_error": {"kind": "overloaded", "status": 503, "seconds_ago": 2.0},
        "retry_budget": 30.0,
    } == report


def test_latency_in_the_report() -> None:
    """Times are told for each size that was asked."""
    made = health()
    made.end(begun(made, items=3), None, NOW + 0.5)

    assert [{"inputs": "to 8", "mean": 0.5, "p95": None}] == made.report(NOW)["latency"]
