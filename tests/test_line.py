"""Which of the texts that wait go into a forward pass together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.line import FORWARD_TOKENS, MOST_PADDING, Line, Waiting

calls = st.lists(st.lists(st.integers(1, 2 * FORWARD_TOKENS) | st.integers(3, 40), max_size=30), max_size=12)


def line(*lengths: Sequence[int], most_texts: int = 64) -> Line[int]:
    """Of calls with texts of such lengths; a call is known by its number."""
    made: Line[int] = Line(most_texts)
    for call, tokens in enumerate(lengths):
        if tokens:
            made.add(call, [f"{call}:{place}" for place in range(len(tokens))], tokens)
    return made


def passes(waiting: Line[int]) -> list[list[Waiting[int]]]:
    taken = []
    while batch := waiting.take():
        taken.append(batch)
    return taken


def lengths(batch: Sequence[Waiting[int]]) -> list[int]:
    return [waiting.tokens for waiting in batch]


def test_nothing_waits() -> None:
    """Of an empty line nothing is taken."""
    assert [] == line().take()


@given(calls, st.sampled_from([1, 5, 64]))
def test_every_text_once(texts: list[list[int]], most_texts: int) -> None:
    """Each text of each call is in exactly one pass, as itself."""
    taken = [waiting for batch in passes(line(*texts, most_texts=most_texts)) for waiting in batch]
    expected = Counter(
        (call, place, f"{call}:{place}", n) for call, own in enumerate(texts) for place, n in enumerate(own)
    )

    assert expected == Counter((waiting.call, waiting.position, waiting.text, waiting.tokens) for waiting in taken)


@given(calls, st.sampled_from([1, 5, 64]))
def test_bounds(texts: list[list[int]], most_texts: int) -> None:
    """A pass holds no more texts than it may; several texts compute no more than the cap, a fifth more than asked."""
    for batch in passes(line(*texts, most_texts=most_texts)):
        computed = max(lengths(batch)) * len(batch)
        assert len(batch) <= most_texts
        assert len(batch) == 1 or computed <= min(FORWARD_TOKENS, MOST_PADDING * sum(lengths(batch)))


@given(calls)
@example([[5] * 30] * 11 + [[7]])
def test_turns(texts: list[list[int]]) -> None:
    """A call moves on by a text at least once in as many passes as calls wait."""
    waiting = line(*texts)
    left = {call: len(own) for call, own in enumerate(texts) if own}
    passed = dict.fromkeys(left, 0)
    while batch := waiting.take():
        served = {text.call for text in batch}
        for call in list(left):
            left[call] -= sum(text.call == call for text in batch)
            passed[call] = 0 if call in served else passed[call] + 1
            assert passed[call] < len(passed)
        left = {call: number for call, number in left.items() if number}


def test_small_beside_huge() -> None:
    """A small call that comes after a huge one has the second turn."""
    waiting = line([40] * 2_000)
    waiting.take()
    waiting.add(1, ["a", "b"], [4, 4])
    waiting.take()

    assert [1, 1] == [text.call for text in waiting.take()]


def test_like_lengths_go_together() -> None:
    """Texts of several calls that are alike in length share a pass."""
    assert [[40, 40, 40], [9, 10, 10, 10]] == list(map(lengths, passes(line([40, 10, 9], [40, 10], [10, 40]))))


def test_longer_neighbours() -> None:
    """The places beside a call's longest text go to the nearest in length, shorter or longer."""
    assert [[95, 100, 104]] == list(map(lengths, passes(line([100], [95], [104]))))


@pytest.mark.parametrize(("tokens", "expected"), [([512, 512], [2]), ([513, 513], [1, 1]), ([5000], [1])])
def test_cap(tokens: list[int], expected: list[int]) -> None:
    """The cap holds to the token; a text that alone is over it goes alone."""
    assert expected == [len(batch) for batch in passes(line(tokens))]


@pytest.mark.parametrize(("tokens", "expected"), [([12, 8], [2]), ([12, 7], [1, 1])])
def test_padding(tokens: list[int], expected: list[int]) -> None:
    """Twenty-four computed tokens are worth twenty, and not nineteen."""
    assert expected == [len(batch) for batch in passes(line(tokens))]


@given(calls, st.sets(st.integers(0, 11)))
def test_drop(texts: list[list[int]], dropped: set[int]) -> None:
    """What is left of a dropped call is never taken, and everything else is; dropping twice does nothing more."""
    waiting = line(*texts)
    taken = waiting.take()
    for call in [*dropped, *dropped]:
        waiting.drop(call)
    rest = [text for batch in passes(waiting) for text in batch]
    expected = sum(len(own) for call, own in enumerate(texts) if call not in dropped)

    assert not dropped & {text.call for text in rest}
    assert expected == sum(text.call not in dropped for text in [*taken, *rest])


def test_length() -> None:
    """A line is as long as texts wait."""
    waiting = line([3, 3], [500])
    before = len(waiting)
    waiting.drop(0)

    assert (3, 1) == (before, len(waiting))
