"""Upstreams that fail in every way there is, behind a real gateway, under load of real clients, which look at it all.

Whatever happens, each vector is its text's and each request is answered in time; afterwards nothing is left of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from gateway.middleware import CLIENT_LEFT
from tests.chaos import certificates, processes
from tests.chaos.asks import PATIENT, Habits
from tests.chaos.faults import FAULTS
from tests.chaos.plan import Latency, Plan
from tests.chaos.stage import (
    MEMORY_ROOM,
    MODEL,
    NAMES,
    ONE_TEXT,
    SECURE,
    TRY_SECONDS,
    Stage,
    eventually,
    gateway_of,
)
from tests.chaos.tally import Tally
from tests.chaos.upstream import ChaosUpstream

CALLERS = 8
SECONDS = 0.5
PAUSE = 0.03
CLASSES = {
    "throttled": ("throttled", "throttled_reset", "throttled_in_words", "throttled_unhinted"),
    "5xx": ("broken", "bad_gateway", "unavailable", "overloaded"),
    "reset": ("reset_unanswered", "closed_unanswered", "reset_amid", "closed_amid"),
    "hung": ("never_answers", "never_finishes", "endless_drip"),
    "miscounted": ("one_too_few", "one_too_many", "duplicate_index", "index_beyond", "missing_index"),
    "misshapen": ("wrong_length", "one_wrong_length", "null_embedding", "bad_base64"),
    "spoiled": ("nan", "infinity", "zero_vector"),
    "malformed": ("html_200", "empty_200", "cut_json", "error_with_200", "cut_gzip"),
    "bomb": ("bomb",),
}
HARMLESS = ("closed_when_reused", "closed_afterwards", "slow_drip", "shuffled", "gzipped", "leading_whitespace")
"""What every client has to cope with."""
MIXED = [name for name in FAULTS if name != "other_model"]
ROUTES = (*CLASSES, "looking", "harmless", "latency", "storm", "nobody-there", "mixed")
"""Each test has a route of its own, whose targets nobody has found sick before."""


@pytest.fixture(scope="module")
def running_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("chaos")
    ca_file, files = certificates.make(folder)
    with (
        ChaosUpstream(seed=7, names=NAMES, certificates=files) as upstream,
        gateway_of(folder, upstream, ROUTES, ca_file) as gateway,
    ):
        yield Stage(gateway, upstream)


@pytest.fixture
def stage(running_stage: Stage) -> Stage:
    """With every upstream well."""
    running_stage.upstream.all_well()
    return running_stage


def test_every_fault_has_its_turn() -> None:
    """No fault is left out, save vectors of another model, which nothing but a canary can tell."""
    named = [name for names in (*CLASSES.values(), HARMLESS) for name in names]

    assert sorted([*named, "other_model"]) == sorted(FAULTS)


def some_well(tally: Tally) -> bool:
    return tally.statuses[200] > 0


async def run(
    stage: Stage, model: str, habits: Habits, callers: int = CALLERS, until: Callable[[Tally], bool] = some_well
) -> Counter[int]:
    """The statuses that clients with these habits get; anything wrong, lost or odd fails at once."""
    tally = await stage.load(model).run(callers, SECONDS, habits, PAUSE, until)

    assert tally.faults == []
    print(f"{tally.asked} requests, {dict(tally.statuses)}, {tally.hung_up} hung up, p99 {tally.percentile(99):.2f} s")
    return tally.statuses


async def test_the_clients_look(stage: Stage) -> None:
    """Vectors of another model, which the gateway itself cannot tell, are wrong in the eyes of these clients."""
    for target in ("first", "second"):
        stage.upstream.plan(target, Plan(["other_model"]))
    tally = await stage.load("looking").run(4, 0.2, PATIENT, until=some_well)

    assert 0 < len(tally.wrong) == tally.statuses[200]


@pytest.mark.parametrize("name", CLASSES)
async def test_fault(stage: Stage, name: str) -> None:
    """One sick target costs nobody a vector; two cost clear errors, and no wrong vector; then all is as before."""

    def befallen() -> set[str]:
        return {fault for target in ("first", "second") for fault in stage.upstream.counts(target).befallen}

    def all_befallen(tally: Tally) -> bool:
        return some_well(tally) and set(CLASSES[name]) <= befallen()

    await stage.begin()
    stage.upstream.plan("first", Plan(CLASSES[name]))
    one_sick = await run(stage, name, PATIENT)
    for target in ("first", "second"):
        stage.upstream.plan(target, Plan(CLASSES[name], share=0.3))
    both_sick = await run(stage, name, Habits(), until=all_befallen)
    peak = processes.peak_memory(stage.gateway.pid)
    await stage.recover(name)
    await stage.check_nothing_left()

    assert {200} == set(one_sick)
    assert 200 in both_sick
    assert set(CLASSES[name]) <= befallen()
    assert peak <= stage.base + MEMORY_ROOM


async def test_harmless(stage: Stage) -> None:
    """What every client has to cope with costs nobody a vector, even where both targets do it all the time."""

    def all_befallen(tally: Tally) -> bool:
        return set(HARMLESS) <= set(stage.upstream.counts("first").befallen)

    await stage.begin()
    for target in ("first", "second"):
        stage.upstream.plan(target, Plan(HARMLESS))
    statuses = await run(stage, "harmless", PATIENT, until=all_befallen)
    befallen = stage.upstream.counts("first").befallen
    await stage.recover("harmless")
    await stage.check_nothing_left()

    assert {200} == set(statuses)
    assert set(HARMLESS) <= set(befallen)


async def test_latency(stage: Stage) -> None:
    """Answers that take their time, some of them far too long, cost nobody a vector."""
    await stage.begin()
    stage.upstream.plan("first", Plan(latency=Latency(0.02, sigma=1.0, spike=2 * TRY_SECONDS, share=0.05)))
    stage.upstream.plan("second", Plan(latency=Latency(0.02, sigma=0.5)))
    statuses = await run(stage, "latency", PATIENT)
    await run(stage, "latency", Habits())
    await stage.recover("latency")
    await stage.check_nothing_left()

    assert {200} == set(statuses)


async def test_storm(stage: Stage) -> None:
    """Two upstreams that take fewer requests than come, and say when they will take one: vectors, or a 429 and when."""
    await stage.begin()
    for target in ("first", "second"):
        stage.upstream.plan(target, Plan(rate=30))
    statuses = await run(stage, "storm", Habits())
    await stage.recover("storm")
    await stage.check_nothing_left()

    assert 200 in statuses


async def test_nobody_there(stage: Stage) -> None:
    """A target that refuses connections costs nobody a vector, two cost everybody a 503; the first is found again."""
    await stage.begin()
    stage.upstream.plan("first", Plan(listening=False))
    one = await run(stage, "nobody-there", PATIENT)
    stage.upstream.plan("second", Plan(listening=False))
    none = await run(stage, "nobody-there", PATIENT, callers=4, until=lambda tally: tally.asked > 0)
    await stage.recover("nobody-there", by="first")
    await stage.check_nothing_left()

    assert ({200}, {503}) == (set(one), set(none))


async def test_expired_certificate(stage: Stage) -> None:
    """A target whose certificate has ended gets no request, until it has a new one; another target is asked."""
    await stage.begin()
    stage.upstream.plan("tls", Plan(expired=True))
    before = stage.upstream.counts("tls").requests
    statuses = await run(stage, SECURE, PATIENT)
    asked = stage.upstream.counts("tls").requests - before
    await stage.recover(SECURE, by="tls")
    await stage.check_nothing_left()

    assert ({200}, 0) == (set(statuses), asked)


async def test_all_mixed(stage: Stage) -> None:
    """Every fault at once at both targets, under clients who hang up: right vectors, or clear errors in time."""
    await stage.begin()
    for target in ("first", "second"):
        stage.upstream.plan(target, Plan(MIXED, 0.6, Latency(0.01, sigma=1.0)))
    statuses = await run(stage, "mixed", Habits(leaves=0.2), callers=2 * CALLERS)
    await stage.recover("mixed")
    await stage.check_nothing_left()

    assert 200 in statuses


async def test_clients_hang_up(stage: Stage) -> None:
    """A client that hangs up ends the calls that were made for it: no other target is asked on its behalf."""

    def given_up() -> int:
        return sum(line.get("status") == CLIENT_LEFT for line in stage.gateway.log)

    await stage.begin()
    stage.upstream.plan("first", Plan(["never_answers"]))
    before, asked = given_up(), stage.upstream.counts("second").requests
    asking = asyncio.create_task(stage.load(MODEL).once(ONE_TEXT, CALLERS))
    await eventually(lambda: stage.upstream.counts("first").running == CALLERS, "not all are asked for")
    asking.cancel()
    await asyncio.wait([asking])
    await eventually(lambda: given_up() == before + CALLERS, "not every hang-up is known")

    assert (True, asked) == (asking.cancelled(), stage.upstream.counts("second").requests)
    stage.upstream.all_well()
    await stage.check_nothing_left()


async def test_books(stage: Stage) -> None:
    """After all of this what was taken from the budget is what was written down."""
    await stage.begin()
    await run(stage, "mixed", Habits())
    await stage.check_books()
