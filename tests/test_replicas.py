"""Processes that share a state: what each tells of its targets, and what an operator drains in all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from gateway.dimensions import Dimensions
from gateway.errors import NotFound, StateUnavailable
from gateway.replicas import FORGOTTEN_SECONDS, LOOK_SECONDS, Replicas
from gateway.routing import Route, Target
from gateway.store.embedded import EmbeddedStore
from tests.fakes.backends import FakeBackend
from tests.fakes.clock import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(1_790_000_000.0)


@pytest.fixture
async def store(tmp_path: pathlib.Path, time: FakeTime) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "gateway.db", clock=time.clock)
    yield store
    with contextlib.suppress(StateUnavailable):  # one that is closed already
        await store.close()


def route(alias: str, *targets: str) -> Route:
    made = [Target(name=name, provider="openai", model="m", backend=FakeBackend()) for name in targets]
    return Route(alias=alias, space="s", dimensions=Dimensions(8), targets=made)


def replicas(store: EmbeddedStore, *routes: Route, **options: Any) -> Replicas:
    return Replicas(store, lambda: routes, lambda: 0.0, **options)


def drained(*routes: Route) -> Sequence[str]:
    return [target.name for route in routes for target in route.targets if target.health.drained]


async def test_drain_and_restore(store: EmbeddedStore) -> None:
    """What one process drains, another learns at its next look; the same for what is restored."""
    here, there = route("a/b", "x:1", "y"), route("a/b", "x:1", "y")
    one, other = replicas(store, here), replicas(store, there)

    await one.drain("a/b", "x:1")
    await other.look()
    both = (drained(here), drained(there))
    await other.restore("a/b", "x:1")
    await one.look()

    assert (both, drained(here), drained(there)) == ((["x:1"], ["x:1"]), [], [])


async def test_state_that_forgets(store: EmbeddedStore) -> None:
    """What an emptied state has lost, a process that knows it puts back; what was restored is not put back."""
    here, there = route("a", "x", "y"), route("a", "x", "y")
    one, other = replicas(store, here), replicas(store, there)
    for target in ("x", "y"):
        await one.drain("a", target)
    await other.look()
    await one.restore("a", "y")
    for name in await store.values("drained"):
        if "x" in name:
            await store.drop_value("drained", name)
    await other.look()
    await one.look()

    assert (drained(here), drained(there)) == (["x"], ["x"])


async def test_of_one_model(store: EmbeddedStore) -> None:
    """A target of the same name in another model goes on."""
    routes = (route("a", "x"), route("b", "x"))

    await replicas(store, *routes).drain("b", "x")

    assert [target.health.drained for each in routes for target in each.targets] == [False, True]


async def test_after_a_reload(store: EmbeddedStore) -> None:
    """New targets that are drained are so before they serve."""
    served = [route("a", "x")]
    mine = Replicas(store, lambda: served, lambda: 0.0)
    await mine.drain("a", "x")

    served[:] = [route("a", "x", "y")]
    mine.mark(served)

    assert drained(*served) == ["x"]


@pytest.mark.parametrize("names", [("a", "nobody"), ("nobody", "x")])
async def test_unknown(store: EmbeddedStore, names: tuple[str, str]) -> None:
    """What is not served cannot be drained, and nothing is kept of it."""
    mine = replicas(store, route("a", "x"))

    with pytest.raises(NotFound, match="nobody"):
        await mine.drain(*names)

    assert await store.values("drained") == {}


async def test_restore_what_is_gone(store: EmbeddedStore) -> None:
    """The mark of a target that is served no more can be taken away, and then is unknown."""
    await replicas(store, route("a", "x")).drain("a", "x")
    mine = replicas(store, route("a", "y"))

    await mine.restore("a", "x")

    with pytest.raises(NotFound):
        await mine.restore("a", "x")


async def test_state_away(store: EmbeddedStore) -> None:
    """Without the state, what was known holds, and a process tells of itself alone."""
    here = route("a", "x")
    mine = replicas(store, here)
    await mine.drain("a", "x")
    await store.close()

    with pytest.raises(StateUnavailable):
        await mine.look()

    assert (drained(here), [report["replica"] for report in await mine.reports()]) == (["x"], [mine.name])


async def test_reports(store: EmbeddedStore, time: FakeTime) -> None:
    """A process lists itself and the others that have told of themselves lately; one that ends takes its leave."""
    told, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == LOOK_SECONDS
        told.set()
        await go_on.wait()

    mine, other = replicas(store, route("a", "x")), replicas(store, route("a", "x", "y"), sleep=sleep)
    running = asyncio.create_task(other.run())
    await told.wait()
    listed = [(report["replica"], [one["target"] for one in report["targets"]]) for report in await mine.reports()]
    time.now += FORGOTTEN_SECONDS + 1
    forgotten = await mine.reports()
    go_on.set()
    await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert listed == [(mine.name, ["x"]), (other.name, ["x", "y"])]
    assert [report["replica"] for report in forgotten] == [mine.name]
    assert await store.values("replicas") == {}


def test_report_is_plain(store: EmbeddedStore) -> None:
    """A report is JSON, with what an operator asks for first."""
    [target] = json.loads(json.dumps(replicas(store, route("a", "x")).report()))["targets"]

    assert (target["model"], target["target"], target["state"], target["waiting"]) == ("a", "x", "closed", 0)
