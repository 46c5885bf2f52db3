"""What a target's vectors show."""

from __future__ import annotations

import pytest

from gateway.dimensions import Dimensions
from gateway.probing import vectors
from gateway.probing.finding import Answer, Mark, Reply
from providers.base import Fault, FaultKind
from tests.fakes.backends import vector

A, B, C = vector(1, 0, 0), vector(0, 1, 0), vector(0, 0, 1)
NEAR_A = vector(1, 0.01, 0)
FIRST = Answer([A, B, C])
THROTTLED = Fault(FaultKind.THROTTLED, "")
REFUSED = Fault(FaultKind.REJECTED, "no")


@pytest.mark.parametrize(
    ("again", "twice", "order"),
    [
        (Answer([A, B, C]), (Mark.AGREES, "yes"), (Mark.AGREES, "yes")),
        (Answer([NEAR_A, B, C]), (Mark.AGREES, "yes"), (Mark.AGREES, "yes")),
        (Answer([B, C, A]), (Mark.AGREES, "yes"), (Mark.CONTRADICTS, "wrong")),
        (Answer([A, C, B]), (Mark.AGREES, "yes"), (Mark.CONTRADICTS, "wrong")),
        (Answer([vector(1, 1, 0), B, C]), (Mark.CONTRADICTS, "no"), (Mark.UNKNOWN, "?")),
        (Answer([vector(1, 0)] * 3), (Mark.CONTRADICTS, "no"), (Mark.UNKNOWN, "?")),
        (REFUSED, (Mark.CONTRADICTS, "no"), (Mark.UNKNOWN, "?")),
        (THROTTLED, (Mark.UNKNOWN, "no answer"), (Mark.UNKNOWN, "no answer")),
    ],
)
def test_steady(again: Reply, twice: tuple[Mark, str], order: tuple[Mark, str]) -> None:
    """The same texts have to get the same vectors, give or take a batch's rounding, and each its own."""
    found = vectors.steady(FIRST, again)

    assert [twice, order] == [(finding.mark, finding.found) for finding in found]


def test_one_text_has_no_order() -> None:
    """With one text a call there is nothing to put in order."""
    assert Mark.NOT_ASKED is vectors.steady(Answer([A]), Answer([A]))[1].mark


@pytest.mark.parametrize(
    ("replies", "shorten", "expected"),
    [
        ({2: Answer([vector(1, 0)])}, "native", (Mark.AGREES, "2")),
        ({2: Answer([vector(1, 0)])}, "truncate", (Mark.NOTE, "yes")),
        ({2: FIRST}, "native", (Mark.CONTRADICTS, "not to 2")),
        ({2: FIRST}, "never", (Mark.AGREES, "no")),
        ({1: Answer([vector(1)]), 2: REFUSED}, "native", (Mark.CONTRADICTS, "not to 2")),
        ({1: Answer([vector(1)]), 2: THROTTLED}, "native", (Mark.UNKNOWN, "no answer")),
        ({}, "native", (Mark.NOT_ASKED, "–")),
    ],
)
def test_shortens(replies: dict[int, Reply], shorten: str, expected: tuple[Mark, str]) -> None:
    """Shorter vectors have to be as long as was asked for, where the configuration says that they can be."""
    found = vectors.shortens(replies, Dimensions(3, 1, shorten))  # type: ignore[arg-type]

    assert expected == (found.mark, found.found)


@pytest.mark.parametrize(
    ("norms", "claimed", "normalizes", "expected"),
    [
        ((1, 1), None, False, (Mark.AGREES, "yes", {"unit_length": True})),
        ((1, 0.995), True, True, (Mark.AGREES, "yes", {"unit_length": True})),
        ((3, 3), True, True, (Mark.CONTRADICTS, "3", {"unit_length": False})),
        ((3, 3), None, False, (Mark.NOTE, "3", {"normalize": True})),
        ((1, 3), False, False, (Mark.NOTE, "1 to 3", {"normalize": True})),
        ((1, 3), False, True, (Mark.AGREES, "1 to 3", {"normalize": True})),
    ],
)
def test_unit_length(
    norms: tuple[float, float], claimed: bool | None, normalizes: bool, expected: tuple[Mark, str, dict[str, bool]]
) -> None:
    """Vectors of another length than 1 are worth a note where the route neither expects nor mends that."""
    found = vectors.unit_length(Answer([vector(0, norm) for norm in norms]), claimed, normalizes)
    setting = {} if found.setting is None else {found.setting.key: found.setting.value}

    assert expected == (found.mark, found.found, setting)


@pytest.mark.parametrize(
    ("other", "expected"),
    [(Answer([NEAR_A]), Mark.AGREES), (Answer([B]), Mark.CONTRADICTS), (Answer([vector(1, 0)]), Mark.CONTRADICTS)],
)
def test_one_space(other: Answer, expected: Mark) -> None:
    """Targets of one model have to give one text the same vector."""
    assert expected is vectors.one_space(FIRST, other, "first").mark
