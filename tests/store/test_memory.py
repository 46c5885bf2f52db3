"""Limits in memory beyond what every home promises: what is forgotten, and how often that is looked for."""

from __future__ import annotations

import pytest

from gateway.store import memory
from gateway.store.memory import MemoryLimits
from tests.fakes.asking import Ask, ask, reserve, settle
from tests.fakes.clock import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def limits(time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> MemoryLimits:
    monkeypatch.setattr(memory, "SWEEP", 4)
    return MemoryLimits(time.clock)


async def use(limits: MemoryLimits, gate: Ask) -> None:
    await reserve(limits, "r", [gate], 10)
    await settle(limits, "r", [gate], [1])


async def test_ended_budgets_are_forgotten(limits: MemoryLimits, time: FakeTime) -> None:
    """What was spent of a period that has ended is forgotten, though no lasting home was ever told."""
    for number in range(3):
        await use(limits, ask("token_budget", f"key:{number}:day", 100, 1, ends=time.now + 3600))
    await use(limits, ask("token_budget", "key:a:total", 100, 1))
    time.now += 3601
    await use(limits, ask("token_budget", "key:b:total", 100, 1))

    assert {"token_budget:key:a:total", "token_budget:key:b:total"} == set(limits.unsaved())


async def test_unsaved_after_forgetting(limits: MemoryLimits, time: FakeTime) -> None:
    """What a lasting home did not take is kept, though it was forgotten meanwhile."""
    ends = time.now + 3600
    await use(limits, ask("token_budget", "key:a:day", 100, 1, ends=ends))
    changed = limits.unsaved()
    time.now += 3601
    for number in range(5):
        await use(limits, ask("token_budget", f"key:{number}:total", 100, 1))
    limits.keep_unsaved(changed)

    assert (1, ends) == limits.unsaved()["token_budget:key:a:day"]


async def test_forgetting_is_rare(limits: MemoryLimits, time: FakeTime) -> None:
    """Live limits are not looked through at each request: only when there are twice as many."""
    swept = 0
    before = limits._kept
    for number in range(64):
        await use(limits, ask("requests", f"key:{number}", 100, 1))
        swept += limits._kept is not before
        before = limits._kept

    assert 4 == swept
