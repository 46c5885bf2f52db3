"""Replicas that look after their targets together, over one state, with time that passes when a test says so."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from gateway.canaries import LOOK_SECONDS, SOON_SECONDS, Canaries
from gateway.canary import GOLDEN, Reaction, Reference
from gateway.dimensions import Dimensions
from gateway.errors import StateUnavailable
from gateway.metrics import Metrics
from gateway.pinning import NotPinned, accept
from gateway.recipe import reference_name
from gateway.routing import Route, Target
from gateway.spaces import GENERATIONS, REFERENCES, RUNS, VERDICTS, Spaces
from gateway.store import Store
from gateway.store.embedded import EmbeddedStore
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink
from gateway.tokens import Counter
from providers import codec
from providers.base import EmbedCall, Embeddings, FaultKind, Limits
from tests.fakes import backends
from tests.fakes.backends import DIMENSIONS, Answer, FakeBackend, failing, rightly, twice_as_long
from tests.fakes.clock import FakeTime
from tests.fakes.counters import LetterCounter
from tests.fakes.redis_server import SECONDS, RedisServer

NOW = 1_790_000_000.0
INTERVAL = 21_600.0


def changed(change: Callable[[Any], Any]) -> Answer:
    """Right vectors, changed all together."""

    def answer(call: EmbedCall) -> Embeddings:
        right = codec.matrix(rightly(call).vectors)
        return Embeddings(codec.rows(np.ascontiguousarray(change(right), np.float32)))

    return answer


ANOTHER = changed(lambda vectors: np.roll(vectors, 1, axis=1))
DRIFTS: Mapping[str, Answer] = {
    "another model": ANOTHER,
    "another prompt": lambda call: rightly(replace(call, inputs=[f"passage: {item}" for item in call.inputs])),
    "one vector for all": changed(lambda vectors: vectors[[0] * len(vectors)]),
    "not of unit length": twice_as_long,
    "cut": changed(lambda vectors: vectors[:, : DIMENSIONS // 2]),
    "too long": changed(lambda vectors: np.hstack([vectors, vectors])),
    "noise": changed(lambda v: v + 0.3 * np.random.default_rng(1).standard_normal(v.shape).astype(np.float32)),
}


class Replica:
    """One process: its routes, and what it looks after them with. Each has backends of its own."""

    def __init__(self, store: Store, time: FakeTime, *routes: Route) -> None:
        self.routes: Sequence[Route] = routes
        self.counters: Mapping[str, Counter] = {"letters": LetterCounter()}
        self.spaces = Spaces(store)
        self.metrics = Metrics()
        self.canaries = Canaries(lambda: self, self.spaces, self.metrics, INTERVAL, time.clock, time.sleep)

    async def turn(self) -> None:
        await self.canaries.look()
        await self.canaries.turn()

    def ejected(self) -> list[str]:
        return [target.name for route in self.routes for target in route.targets if target.health.ejected]

    def told(self, name: str) -> dict[str, float]:
        """The metric by target."""
        lines = [line for line in self.metrics.text().decode().splitlines() if line.startswith(f"{name}{{")]
        return {line.split('target="')[1].split('"')[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


def target(name: str, backend: FakeBackend, mark: str | None = None, **fields: Any) -> Target:
    return Target(name, "fake", "their-small", backend, mark=mark or f"mark of {name}", **fields)


def route(*targets: Target, canary: Reaction = "eject", alias: str = "small", **fields: Any) -> Route:
    fields = {"tokenizer": "letters", "space": "our/space", "dimensions": Dimensions(DIMENSIONS), **fields}
    return Route(alias=alias, targets=targets, canary=canary, **fields)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(NOW)


@pytest.fixture
async def store(tmp_path: pathlib.Path, time: FakeTime) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "gateway.db", clock=time.clock)
    yield store
    await store.close()


async def pin(store: Store, of: Route, time: FakeTime) -> Reference:
    """By a target that answers rightly."""
    right = replace(of, targets=[target("right", FakeBackend())])
    return await accept(right, None, LetterCounter(), Spaces(store), time.clock)


async def flush(store: Store) -> None:
    for family in (REFERENCES, VERDICTS, RUNS, GENERATIONS):
        for name in await store.values(family):
            await store.drop_value(family, name)


# ── when ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_once_an_interval(store: Store, time: FakeTime) -> None:
    """A target that is well is asked once in an interval, in one call, as a document where the route says so."""
    backend = FakeBackend()
    one = Replica(
        store,
        time,
        route(
            target("t", backend),
            prompts={"query": "query: {text}", "document": "passage: {text}"},
            input_types=("query", "document"),
            default_input_type="document",
            normalize=True,
        ),
    )
    await pin(store, one.routes[0], time)
    counts = []
    for seconds in (0, 0, INTERVAL - 1, 2, 10):
        time.now += seconds
        await one.turn()
        counts.append(len(backend.calls))

    assert [1, 1, 1, 2, 2] == counts
    assert ([f"passage: {text}" for text in GOLDEN], "document", "bulk") == (
        backend.calls[0].inputs,
        backend.calls[0].input_type,
        backend.lanes[0],
    )
    assert {"t": 1.0} == {name: round(cosine, 6) for name, cosine in one.told("gateway_canary_cosine").items()}


async def test_small_calls(store: Store, time: FakeTime) -> None:
    """A target that takes one input in a call is asked in four calls."""
    backend = FakeBackend()
    one = Replica(store, time, route(target("t", backend, limits=Limits(inputs=1))))
    await pin(store, one.routes[0], time)
    await one.turn()

    assert ([[text] for text in GOLDEN], []) == (backend.asked, one.ejected())


async def test_shared(time: FakeTime, tmp_path: pathlib.Path) -> None:
    """Replicas over one Redis, and aliases of one deployment, ask once for all, and all know what came of it."""
    with RedisServer(tmp_path / "redis") as server:
        stores = [RedisStore(RedisLink(Address.of(server.url, None), timeout=SECONDS), time.clock) for _ in range(2)]
        backend = FakeBackend(ANOTHER)
        routes = [(route(target("t", backend)), route(target("u", backend, "mark of t"), alias="b")) for _ in stores]
        replicas = [Replica(store, time, *own) for store, own in zip(stores, routes, strict=True)]
        await pin(stores[0], routes[0][0], time)
        counts = []
        for _ in range(2):
            for replica in replicas:
                await replica.turn()
            counts.append(len(backend.calls))
            time.now += SOON_SECONDS
        for replica in replicas:
            await replica.canaries.look()
        ejected = [replica.ejected() for replica in replicas]
        drift = [replica.told("gateway_canary_drift") for replica in replicas]
        generations = [replica.spaces.generation("our/space") for replica in replicas]
        for store in stores:
            await store.close()

    assert ([1, 2], [["t", "u"]] * 2, [{"t": 1.0, "u": 1.0}] * 2) == (counts, ejected, drift)
    assert [3, 3] == generations  # the first when it was accepted, two when it was taken out


async def test_off(store: Store, time: FakeTime) -> None:
    """With `off` nobody is asked, and a target that had been taken out is let in."""
    backend = FakeBackend(ANOTHER)
    one = Replica(store, time, route(target("t", backend)))
    await pin(store, one.routes[0], time)
    for _ in range(2):
        await one.turn()
        time.now += SOON_SECONDS
    before = one.ejected()
    one.routes = [replace(one.routes[0], canary="off")]
    await one.turn()

    assert (["t"], [], 2, {}) == (before, one.ejected(), len(backend.calls), one.told("gateway_canary_drift"))


async def test_by_itself(store: Store, time: FakeTime) -> None:
    """It goes round every few seconds, a reload's new routes included, until it is cancelled."""
    backend = FakeBackend()
    one = Replica(store, time, route(target("t", backend)))
    await pin(store, one.routes[0], time)

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        time.now += seconds / 2  # two turns sleep side by side
        if backend.calls:
            one.routes = []
        if time.now > NOW + 10 * LOOK_SECONDS:
            raise Enough

    with pytest.raises(Enough):
        await Canaries(lambda: one, one.spaces, one.metrics, INTERVAL, time.clock, sleep).run()

    assert (1, {}) == (len(backend.calls), one.told("gateway_canary_cosine"))


async def test_provider_that_raises(store: Store, time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """A provider's mistake is told, and the next turn comes."""
    one = Replica(store, time, route(target("t", FakeBackend(backends.raising, rightly))))
    await pin(store, one.routes[0], time)

    class Enough(Exception):
        pass

    turns = iter(range(100))

    async def sleep(seconds: float) -> None:
        time.now += seconds
        if next(turns) == 99:
            raise Enough

    with pytest.raises(Enough):
        await Canaries(lambda: one, one.spaces, one.metrics, INTERVAL, time.clock, sleep).run()

    assert ({"t": 1.0}, 1) == (
        {name: round(cosine, 6) for name, cosine in one.told("gateway_canary_cosine").items()},
        caplog.text.count("a canary has failed"),
    )


# ── what is found ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", DRIFTS)
async def test_drift(store: Store, time: FakeTime, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """A target that drifts is out after two bad runs, a minute apart, and in again after a good one."""
    backend = FakeBackend(rightly, DRIFTS[way], DRIFTS[way], DRIFTS[way], rightly)
    one = Replica(store, time, route(target("t", backend), target("u", FakeBackend())))
    await pin(store, one.routes[0], time)
    await one.turn()
    time.now += INTERVAL
    found = []
    for _ in range(4):
        await one.turn()
        found.append((one.ejected(), one.told("gateway_canary_drift")["t"], one.spaces.generation("our/space")))
        time.now += SOON_SECONDS
    events = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    assert [([], 0.0, 1), (["t"], 1.0, 3), (["t"], 1.0, 3), ([], 0.0, 3)] == found
    assert ["a target has drifted out of its space", "a target is back in its space"] == events
    assert not any(text in str(vars(record)) for record in caplog.records for text in GOLDEN)


async def test_report(store: Store, time: FakeTime) -> None:
    """With `report` drift is told, and the target stays in until `eject` says otherwise."""
    one = Replica(store, time, route(target("t", FakeBackend(ANOTHER)), canary="report"))
    await pin(store, one.routes[0], time)
    found = []
    for reaction in ("report", "report", "eject"):
        one.routes = [replace(one.routes[0], canary=reaction)]
        await one.turn()
        found.append((one.ejected(), one.told("gateway_canary_drift"), one.spaces.generation("our/space")))
        time.now += SOON_SECONDS

    assert [([], {"t": 0.0}, 1), ([], {"t": 1.0}, 1), (["t"], {"t": 1.0}, 3)] == found


async def test_fp16(store: Store, time: FakeTime) -> None:
    """Half precision is no drift."""
    half = changed(lambda vectors: vectors.astype(np.float16))
    one = Replica(store, time, route(target("t", FakeBackend(half))))
    await pin(store, one.routes[0], time)
    for _ in range(3):
        await one.turn()
        time.now += INTERVAL

    assert ([], {"t": 0.0}) == (one.ejected(), one.told("gateway_canary_drift"))


async def test_one_bad_run(store: Store, time: FakeTime) -> None:
    """A single bad run between good ones is no drift."""
    backend = FakeBackend(*[ANOTHER, rightly] * 3)
    one = Replica(store, time, route(target("t", backend)))
    await pin(store, one.routes[0], time)
    ejected = []
    for _ in range(6):
        await one.turn()
        ejected += one.ejected()
        time.now += INTERVAL

    assert ([], 6) == (ejected, len(backend.calls))


@pytest.mark.parametrize("kind", [FaultKind.TIMEOUT, FaultKind.MISCONFIGURED, FaultKind.THROTTLED])
async def test_no_answer(store: Store, time: FakeTime, kind: FaultKind) -> None:
    """A target that does not answer has not drifted, nor come back; it is asked again in a minute."""
    backend = FakeBackend(failing(kind), failing(kind), ANOTHER, ANOTHER, failing(kind))
    one = Replica(store, time, route(target("t", backend)))
    await pin(store, one.routes[0], time)
    ejected = []
    for _ in range(6):
        await one.turn()
        ejected.append(one.ejected())
        time.now += SOON_SECONDS

    assert ([[], [], [], ["t"], ["t"], ["t"]], 6) == (ejected, len(backend.calls))


async def test_golden_texts_too_long(store: Store, time: FakeTime) -> None:
    """A model that is too narrow for the golden texts is not asked, and nothing happens to it."""
    backend = FakeBackend(ANOTHER)
    one = Replica(store, time, route(target("t", backend), limits=Limits(input_tokens=5)))
    await pin(store, replace(one.routes[0], limits=Limits()), time)
    for _ in range(3):
        await one.turn()
        time.now += INTERVAL

    assert ([], []) == (backend.calls, one.ejected())


# ── where references come from ────────────────────────────────────────────────────────────────────────────────────


async def test_unpinned(store: Store, time: FakeTime) -> None:
    """Without a reference a single deployment is not asked, however many targets it has."""
    fakes = [FakeBackend(), FakeBackend(ANOTHER)]
    one = Replica(store, time, route(*(target(f"t{place}", fake, "same") for place, fake in enumerate(fakes))))
    for _ in range(3):
        await one.turn()
        time.now += INTERVAL

    assert ([], [], {}) == (fakes[0].calls, fakes[1].calls, dict(await store.values(REFERENCES)))


async def test_agreement(store: Store, time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """Two deployments that agree make the reference, and the third is held to it; that is told."""
    one = Replica(
        store,
        time,
        route(
            target("a", FakeBackend(ANOTHER)),
            target("b", FakeBackend(), priority=1),
            target("c", FakeBackend(), priority=2),
        ),
    )
    for _ in range(3):
        await one.turn()
        time.now += SOON_SECONDS
    reference = await one.spaces.reference(reference_name(one.routes[0]))

    assert (["a"], "b, c") == (one.ejected(), reference and reference.by)
    assert "a space has its reference from targets that agree" in caplog.text


async def test_disagreement(store: Store, time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """Where no two deployments agree nothing is learned and nobody is out, which is told once in an interval."""
    one = Replica(store, time, route(target("a", FakeBackend(ANOTHER)), target("b", FakeBackend())))
    for _ in range(3):
        await one.turn()
        time.now += SOON_SECONDS

    assert ([], {}) == (one.ejected(), dict(await store.values(REFERENCES)))
    assert 1 == caplog.text.count("targets of one space do not agree")


async def test_flushed(store: Store, time: FakeTime) -> None:
    """A state that was emptied learns nothing from a target that has drifted meanwhile: the reference comes back."""
    backend = FakeBackend(rightly, ANOTHER)
    one = Replica(store, time, route(target("t", backend)))
    await pin(store, one.routes[0], time)
    before = await store.values(REFERENCES)
    await one.turn()
    await flush(store)
    for _ in range(2):
        await one.turn()
        time.now += SOON_SECONDS

    assert (before, ["t"]) == (await store.values(REFERENCES), one.ejected())
    assert 3 == one.spaces.generation("our/space") == int(dict(await store.values(GENERATIONS))["our/space"])


async def test_out_when_flushed(store: Store, time: FakeTime) -> None:
    """A state that was emptied lets nobody in who is out: the verdict comes back, for other processes, too."""
    one, two = (Replica(store, time, route(target("t", FakeBackend(ANOTHER)))) for _ in range(2))
    await pin(store, one.routes[0], time)
    for _ in range(2):
        await one.turn()
        time.now += SOON_SECONDS
    await flush(store)
    await one.canaries.look()
    await two.canaries.look()

    assert ([["t"], ["t"]], 3) == ([one.ejected(), two.ejected()], one.spaces.generation("our/space"))


async def test_who_is_out_makes_nothing_of_the_new_generation(store: Store, time: FakeTime) -> None:
    """In no process, at no moment, is a target in that makes vectors of a generation which goes on without it."""
    seen: set[tuple[int, bool]] = set()
    replicas: list[Replica] = []

    class Observed:
        """Between any two steps of a replica another one may look, or answer a request."""

        def __getattr__(self, name: str) -> Any:
            async def observed(*args: Any, **options: Any) -> Any:
                note()
                outcome = await getattr(store, name)(*args, **options)
                if name == "put_value":
                    await replicas[1].canaries.look()
                note()
                return outcome

            return observed

    def note() -> None:
        seen.update((replica.spaces.generation("our/space"), bool(replica.ejected())) for replica in replicas)

    backend = FakeBackend(ANOTHER)
    replicas += [Replica(each, time, route(target("t", backend))) for each in (Observed(), store)]
    await pin(store, replicas[0].routes[0], time)
    for _ in range(2):
        await replicas[0].turn()
        time.now += SOON_SECONDS
    note()

    last = max(generation for generation, _ in seen)
    assert {True} == {out for generation, out in seen if generation == last}
    assert (1, False) in seen


async def test_flushed_and_restarted(store: Store, time: FakeTime) -> None:
    """A process that has never seen the reference leaves the space without one."""
    await pin(store, route(), time)
    await flush(store)
    backend = FakeBackend(ANOTHER)
    one = Replica(store, time, route(target("t", backend)))
    for _ in range(3):
        await one.turn()
        time.now += INTERVAL

    assert ([], {}, []) == (backend.calls, dict(await store.values(REFERENCES)), one.ejected())


async def test_accept(store: Store, time: FakeTime) -> None:
    """What an operator accepts is what counts from then on, and begins a new generation."""
    one = Replica(store, time, route(target("a", FakeBackend(ANOTHER)), target("b", FakeBackend())))
    await pin(store, one.routes[0], time)
    ejected = []
    for name in (None, None, "a", None):
        if name is not None:
            await accept(one.routes[0], name, LetterCounter(), one.spaces, time.clock)
        await one.turn()
        ejected.append(one.ejected())
        time.now += INTERVAL

    # `a` is well at once, `b` drifts after two runs; an ejection begins two generations, too.
    assert [[], ["a"], [], ["b"]] == ejected
    assert 6 == one.spaces.generation("our/space")


@pytest.mark.parametrize(
    ("answers", "name", "message"),
    [
        ([rightly, ANOTHER], None, "`t1` does not agree with `t0`: cosine"),
        ([rightly], "t7", "`small` has no target `t7`; it has `t0`"),
        ([failing(FaultKind.TIMEOUT)], None, "No target of `small` answered: `t0` (timeout)"),
        ([DRIFTS["cut"]], "t0", "`t0` makes vectors of 4 values, and the routing file says 8"),
    ],
)
async def test_not_accepted(
    store: Store, time: FakeTime, answers: Sequence[Answer], name: str | None, message: str
) -> None:
    """Nothing is pinned where it is not plain what is right; the message says why."""
    of = route(*(target(f"t{place}", FakeBackend(answer)) for place, answer in enumerate(answers)))
    spaces = Spaces(store)
    with pytest.raises(NotPinned) as refused:
        await accept(of, name, LetterCounter(), spaces, time.clock)

    assert str(refused.value).startswith(message)
    assert ({}, 0) == (dict(await store.values(REFERENCES)), spaces.generation("our/space"))


# ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class LostAtTimes:
    """A store of values that can be lost."""

    store: Store
    is_lost: bool = field(default=False)

    def __getattr__(self, name: str) -> Any:
        if self.is_lost:
            raise StateUnavailable("The state is gone.")
        return getattr(self.store, name)


async def test_state_away(store: Store, time: FakeTime) -> None:
    """While the state is away nobody is asked, and whoever is out stays out."""
    kept = LostAtTimes(store)
    backend = FakeBackend(ANOTHER)
    one = Replica(kept, time, route(target("t", backend)))
    await pin(store, one.routes[0], time)
    for _ in range(2):
        await one.turn()
        time.now += SOON_SECONDS
    kept.is_lost = True
    await one.turn()
    lost = (one.ejected(), len(backend.calls))
    kept.is_lost = False
    await one.turn()

    assert ((["t"], 2), 3) == (lost, len(backend.calls))


async def test_nobody_finished(store: Store, time: FakeTime) -> None:
    """A run that a process began and did not end is another's after two minutes."""
    one = Replica(store, time, route(target("t", FakeBackend(backends.raising))))
    two = Replica(store, time, route(target("t", FakeBackend())))
    await pin(store, one.routes[0], time)
    with pytest.raises(backends.ProviderMistake):
        await one.turn()
    counts = []
    for _ in range(3):
        await two.turn()
        counts.append(len(two.told("gateway_canary_cosine")))
        time.now += 61

    assert [0, 0, 1] == counts
