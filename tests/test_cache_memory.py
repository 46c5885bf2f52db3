"""Memory that is bounded in bytes, and honest about what an entry takes."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from gateway.cache_entry import Kept
from gateway.cache_memory import BESIDES, Memory


def kept(size: int, tokens: int = 0) -> Kept:
    return Kept(bytes(size), tokens, "counted", 0.0)


def get(memory: Memory, name: str) -> Kept | None:
    return memory.find([name.encode()], -1.0)[0]


ONE = 33 + 8 + BESIDES
"""Bytes of an entry with a vector of 8."""
STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([0, 8, 500, 2000]), st.booleans()), max_size=40)


@given(STEPS)
def test_bound(steps: list[tuple[str, int, bool]]) -> None:
    """It never takes more than its limit, and what it holds is what was put there last."""
    memory, last = Memory(3000), dict[str, int]()
    for number, (name, size, puts) in enumerate(steps):
        if puts:
            memory.put(name.encode(), kept(size, number))
            last[name] = number
        found = get(memory, name)

        assert found is None or found.tokens == last[name]
        assert memory.bytes <= 3000
        assert (memory.bytes == 0) == (len(memory) == 0)


def test_the_longest_unused_goes() -> None:
    """What was looked up lately stays, however long it has been there."""
    memory = Memory(2 * ONE)
    memory.put(b"a", kept(8))
    memory.put(b"b", kept(8))
    get(memory, "a")
    memory.put(b"c", kept(8))

    assert (True, False, True, 1) == (*(get(memory, name) is not None for name in "abc"), memory.evictions)


def test_too_large() -> None:
    """What is larger than all of it drives nothing out."""
    memory = Memory(ONE)
    memory.put(b"a", kept(8))
    memory.put(b"b", kept(9))

    assert (True, None) == (get(memory, "a") is not None, get(memory, "b"))


def test_put_again() -> None:
    """What is put there twice counts once."""
    memory = Memory(10 * ONE)
    for _ in range(3):
        memory.put(b"a", kept(8))

    assert (1, ONE) == (len(memory), memory.bytes)


def test_clear() -> None:
    """Afterwards it is empty, and takes nothing."""
    memory = Memory(10 * ONE)
    memory.put(b"a", kept(8))
    memory.clear()

    assert (0, 0, None) == (len(memory), memory.bytes, get(memory, "a"))


def test_too_old() -> None:
    """What was made at the time that is asked for, or before, is not found; what is, is found at its place."""
    memory = Memory(10 * ONE)
    for name, made in ((b"a", 1.0), (b"b", 2.0), (b"c", 3.0)):
        memory.put(name, Kept(bytes(8), 1, "counted", made))

    assert [None, 3.0, None, None] == [each and each.made for each in memory.find([b"a", b"c", b"d", b"b"], 2.0)]


def test_honest() -> None:
    """What it says that it takes is at least what it takes, and at most half as much again."""
    count, size = 3000, 1024
    memory = Memory(10**9)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(count):
        memory.put(number.to_bytes(32, "little"), Kept(bytes(bytearray(size)), 1000 + number, "counted", float(number)))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert taken <= memory.bytes <= 1.5 * taken
