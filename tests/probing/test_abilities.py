"""What a target takes and how it answers, as its replies show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.probing import abilities
from gateway.probing.finding import Answer, Mark
from providers.base import Fault, FaultKind
from tests.fakes.backends import vector

counts = st.integers(1, 2048)
REFUSED = Fault(FaultKind.REJECTED, "at most 32")


@given(accepted=st.integers(1, 3), cap=st.integers(3, 4096), declared=counts, most=counts)
def test_largest_call_is_found(accepted: int, cap: int, declared: int, most: int) -> None:
    """Whatever a service takes, the search finds it exactly below what is declared.

    In at most 22 calls, twice the bits of 2,048.
    """
    refused, calls = None, 0
    while (count := abilities.next_count(accepted, refused, declared, most)) is not None:
        calls += 1
        assert accepted < count <= most
        if count <= cap:
            accepted = count
        else:
            refused = count
    wanted = min(declared, most)

    assert accepted == cap if cap < wanted else accepted >= wanted
    assert calls <= 22


def test_right_declaration_costs_two_calls() -> None:
    """A service that takes what is declared and no more is asked twice."""
    states: list[tuple[int, int | None]] = [(3, None), (96, None), (96, 192)]

    assert [96, 192, None] == [abilities.next_count(accepted, refused, 96, 2048) for accepted, refused in states]


@pytest.mark.parametrize(
    ("accepted", "refused", "fault", "expected"),
    [
        (64, None, None, (Mark.AGREES, "≥ 64")),
        (32, 33, REFUSED, (Mark.CONTRADICTS, "32")),
        (64, 128, REFUSED, (Mark.AGREES, "≥ 64")),
        (128, 256, REFUSED, (Mark.NOTE, "≥ 128")),
        (3, 64, Fault(FaultKind.TIMEOUT, ""), (Mark.UNKNOWN, "≥ 3")),
        (8, None, None, (Mark.AGREES, "≥ 8")),
    ],
)
def test_items(accepted: int, refused: int | None, fault: Fault | None, expected: tuple[Mark, str]) -> None:
    """Fewer inputs a call than the gateway may send contradict the configuration; more are worth a note."""
    found = abilities.items(accepted, refused, fault, 64, 64)

    assert expected == (found.mark, found.found)


def test_items_beyond_what_clients_may_send() -> None:
    """A limit of the target is not made smaller because clients may send even less."""
    assert Mark.AGREES is abilities.items(40, None, None, 10, 96).mark


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"data": [{"embedding": "AACAPw==", "index": 0}], "usage": {"cost": 0.5}}', "yes"),
        (b'{"data": [{"embedding": [0, 1.5]}]}', "floats"),
        (b'{"embeddings": {"float": [[0.5]]}}', "floats"),
        (b"[[0.5]]", "floats"),
    ],
)
def test_numbers_are_no_base64(body: bytes, expected: str) -> None:
    """Lists of numbers are found wherever they stand in an answer."""
    first, reply = Answer([vector(1.0)]), Answer([vector(1.0)], body=body)

    assert expected == abilities.base64(first, reply, True).found


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Answer([vector(1.0)]), (Mark.AGREES, "a vector")),
        (REFUSED, (Mark.AGREES, "refused")),
        (Fault(FaultKind.MALFORMED, "the vector is all zeros"), (Mark.AGREES, "no vector")),
        (Fault(FaultKind.BROKEN, ""), (Mark.AGREES, "fails")),
        (Fault(FaultKind.THROTTLED, ""), (Mark.UNKNOWN, "no answer")),
    ],
)
def test_empty(reply: Answer | Fault, expected: tuple[Mark, str]) -> None:
    """What comes of an empty string is told, and contradicts nothing: the gateway sends none."""
    found = abilities.empty(reply)

    assert expected == (found.mark, found.found)


@pytest.mark.parametrize(("may_cut", "expected"), [(True, Mark.AGREES), (False, Mark.CONTRADICTS)])
def test_cut_without_a_word(may_cut: bool, expected: Mark) -> None:
    """A text that is cut contradicts the configuration where the gateway counts on a refusal."""
    reply = Answer([vector(1.0, 0.5)])

    assert (expected, "cut") == ((found := abilities.too_long(reply, reply, 40, may_cut)).mark, found.found)
