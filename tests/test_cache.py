"""Requests with a cache: always the vectors that there would be without one, and nothing is sent that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import cache_entry, planning
from gateway.allowances import Priority
from gateway.answers import Result, result_body
from gateway.auth import Caller
from gateway.cache import Cache
from gateway.cache_control import CacheControl
from gateway.cache_memory import Memory
from gateway.config import Scope
from gateway.delivery import Job
from gateway.dispatch import Dispatcher
from gateway.errors import GatewayError, NotCached, UpstreamError
from gateway.metrics import Metrics
from gateway.retry import Retry
from gateway.store import Usage
from gateway.supply import Supply, Want
from providers import codec
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Input, Limits
from tests.fakes.backends import DIMENSIONS, TOKENS_EACH, FakeBackend, failing, failing_on, rightly, vectors_of
from tests.fakes.caching import FakeShared, FakeState
from tests.fakes.clock import settle
from tests.fakes.openai_replies import vector_for
from tests.test_books import Kept
from tests.test_service import ANYONE, CUT, NATIVE, House, target

NO_CACHE = CacheControl.of("no-cache")
NO_STORE = CacheControl.of("no-store")
ONLY_IF_CACHED = CacheControl.of("only-if-cached")
BULK = Caller("k2", "another", ("*",), priority="bulk")


class Home:
    """A cache with everything that it stands on; `generation` and `now` can be set."""

    def __init__(self, *, limit: int = 10**6, shared: FakeShared | None = None, scope: Scope = "shared") -> None:
        self.generation, self.now = 0, 1_795_262_400.0
        self.state, self.shared = FakeState(), shared
        self.metrics = Metrics()
        self.cache = Cache(
            Memory(limit), shared, self.state, 3600.0, scope, lambda: self.now, self.metrics, lambda _: self.generation
        )


def by_everything(call: EmbedCall) -> Embeddings:
    """Vectors that depend on all that a vector may depend on."""
    told = [
        vector_for(repr((item, call.input_type, sorted(call.extra.items()))), call.dimensions or DIMENSIONS, DIMENSIONS)
        for item in call.inputs
    ]
    return Embeddings([vector.tobytes() for vector in told], prompt_tokens=TOKENS_EACH * len(told))


# ── always as without a cache ─────────────────────────────────────────────────────────────────────────────────────

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "dd dd dd dd", "e e", "[1, 2]"]), min_size=1, max_size=6)
IDS = st.lists(st.sampled_from([[1, 2], [1], [2, 1], [12]]), min_size=1, max_size=4)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "dimensions": st.sampled_from([2, 4, DIMENSIONS]),
        "input_type": st.sampled_from(["query", "document"]),
        "extra": st.sampled_from([{}, {"seed": 1}, {"seed": True}, {"seed": 1, "b": None}]),
        "user": st.sampled_from(["u1", "u2"]),
        "cache_control": st.sampled_from([NO_CACHE, NO_STORE]),
    },
)
ROUTES = st.sampled_from(
    [
        {"dimensions": NATIVE},
        {"dimensions": CUT},
        {"dimensions": CUT, "normalize": True},
        {"too_long": "truncate", "limits": Limits(input_tokens=4)},
        {"too_long": "average", "limits": Limits(input_tokens=4)},
        {"prompts": {"query": "Q: {text}", "document": "{text}"}},
    ]
)


@dataclass
class Ask:
    inputs: Sequence[Input]
    fields: dict[str, Any]


@settings(max_examples=60)
@given(
    ROUTES,
    st.lists(st.builds(Ask, TEXTS | IDS, FIELDS), min_size=2, max_size=8),
    st.integers(0, 4000),
    st.booleans(),
    st.randoms(use_true_random=False),
)
async def test_as_without(route: dict[str, Any], asks: list[Ask], limit: int, shares: bool, random: Any) -> None:
    """Whatever was asked before, in whatever memory, and however Redis spoils its entries: the answer is byte for byte
    the one of a gateway without a cache, or the same error.
    """
    options = {"passes_token_ids": True, "input_types": ["query", "document"], **route}
    home = Home(limit=limit, shared=FakeShared() if shares else None)
    await home.cache.learn()
    small = Limits(inputs=2)
    cached = House(targets=[target("t", FakeBackend(by_everything), limits=small)], cache=home.cache, **options)
    bare = House(targets=[target("t", FakeBackend(by_everything), limits=small)], **options)
    for ask in asks:
        if home.shared is not None:
            spoil(home.shared, random)
        fields = {name: value for name, value in ask.fields.items() if name != "cache_control"}

        assert await answer(bare, ask.inputs, fields) == await answer(cached, ask.inputs, ask.fields)


async def answer(house: House, inputs: Sequence[Input], fields: dict[str, Any]) -> list[bytes] | str:
    try:
        result = await house.embed(inputs, **fields)
    except GatewayError as error:
        return error.message
    bodies = [result_body(result, encoding).partition(b'"usage"')[0] for encoding in ("float", "base64")]
    return [*bodies, *result.vectors, repr(result.cut_items).encode()]


def spoil(shared: FakeShared, random: Any) -> None:
    """Lets an entry lose a byte, have a wrong one, or change its place with another; or none of it."""
    keys = sorted(key for key, entry in shared.entries.items() if entry)
    if not keys:
        return
    one, other = random.choice(keys), random.choice(keys)
    entries, what = shared.entries, random.randrange(4)
    if what == 0:
        entries[one], entries[other] = entries[other], entries[one]
    elif what == 1:
        entries[one] = entries[one][: random.randrange(len(entries[one]))]
    elif what == 2:
        place = random.randrange(len(entries[one]))
        entries[one] = entries[one][:place] + bytes([entries[one][place] ^ 1]) + entries[one][place + 1 :]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cache_control": NO_CACHE}, {}),
        ({}, {"user": "u2"}),
        ({"user": "u1"}, {}),
        ({"dimensions": DIMENSIONS}, {}),
        ({}, {"caller": BULK}),
    ],
)
async def test_what_decides_nothing(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Who asks, the user, and how the native length is asked for decide no vector: it is sent once."""
    backend = FakeBackend()
    house = House(backend, cache=Home().cache)
    await house.embed(["a"], **first)
    await house.embed(["a"], **second)

    assert [["a"]] == backend.asked


async def test_of_another_place() -> None:
    """Two routes that share a space share what is kept; those that only seem to do not."""
    home, backend = Home(), FakeBackend()
    for made_by in ("here", "here", "there"):
        await House(backend, cache=home.cache, made_by=made_by).embed(["a"])

    assert [["a"], ["a"]] == backend.asked


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_partial_hits() -> None:
    """Only what is not there goes upstream, each text once, and everything comes back in its order."""
    backend = FakeBackend()
    house = House(backend, cache=Home().cache)
    await house.embed(["a", "b"])
    result = await house.embed(["c", "b", "c", "a", "d"])

    assert [["a", "b"], ["c", "d"]] == backend.asked
    assert (vectors_of(["c", "b", "c", "a", "d"]), 2, ["t0"]) == (result.vectors, result.cached, result.targets)


async def test_all_there() -> None:
    """Where nothing has to be sent, the answer says that it is from the cache."""
    house = House(FakeBackend(), cache=Home().cache)
    await house.embed(["a"])
    result = await house.embed(["a", "a"])

    assert (vectors_of(["a", "a"]), 2, ["cache"]) == (result.vectors, result.cached, result.targets)


async def test_after_a_failure() -> None:
    """What was delivered is kept although the request has failed for another batch of it."""
    backend = FakeBackend(failing_on("b", FaultKind.MISCONFIGURED), failing_on("b", FaultKind.MISCONFIGURED), rightly)
    house = House(targets=[target("t", backend, limits=Limits(inputs=1))], cache=Home().cache)
    await house.refuses(["a", "b"])
    await house.embed(["a", "b"])

    assert [["a"], ["b"], ["b"]] == backend.asked


async def test_breach() -> None:
    """What breaks the output contract is not kept."""
    home = Home()
    house = House(FakeBackend(lambda call: Embeddings([bytes(4 * DIMENSIONS)] * len(call.inputs))), cache=home.cache)
    assert isinstance(await house.refuses(["a"]), UpstreamError)

    assert 0 == home.cache.statistics().entries


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"cache": None}, {}),
        ({}, {"caller": Caller("k1", "anyone", ("*",), cache=False)}),
        ({}, {"cache_control": NO_STORE}),
    ],
    ids=["no cache", "key", "no-store"],
)
async def test_off(options: dict[str, Any], fields: dict[str, Any]) -> None:
    """Without a cache, for a key without it, and for `no-store`, nothing is found, kept or told of a cache."""
    home, backend = Home(), FakeBackend()
    house = House(backend, **{"cache": home.cache, **options})
    results = [await house.embed(["a"], **fields) for _ in range(2)]

    assert ([["a"], ["a"]], [None, None], 0) == (
        backend.asked,
        [result.cached for result in results],
        home.cache.statistics().entries,
    )


async def test_off_for_a_model() -> None:
    """A model without the cache neither finds nor keeps anything."""
    home, backend = Home(), FakeBackend()
    await House(backend, cache=home.cache).embed(["a"])
    route = House(backend, cache=home.cache)
    without = next(iter(route._gateway.routes))
    object.__setattr__(without, "cache", False)

    assert None is (await route.embed(["a"])).cached
    assert [["a"], ["a"]] == backend.asked


async def test_no_cache() -> None:
    """`no-cache` asks anew, and what comes takes the place of what was there."""
    backend = FakeBackend(rightly, lambda call: Embeddings([codec.rows(-codec.matrix(rightly(call).vectors))[0]]))
    house = House(backend, cache=Home().cache)
    await house.embed(["a"])
    anew = await house.embed(["a"], cache_control=NO_CACHE)
    after = await house.embed(["a"])

    assert ([["a"], ["a"]], 0, 1) == (backend.asked, anew.cached, after.cached)
    assert anew.vectors == after.vectors != vectors_of(["a"])


async def test_only_if_cached() -> None:
    """`only-if-cached` gives what is there, and else an error, and asks no backend."""
    backend = FakeBackend()
    house = House(backend, cache=Home().cache)
    await house.embed(["a"])
    result = await house.embed(["a"], cache_control=ONLY_IF_CACHED)
    error = await house.refuses(["a", "b"], cache_control=ONLY_IF_CACHED)

    assert ([["a"]], vectors_of(["a"])) == (backend.asked, result.vectors)
    assert (NotCached, 504, "1 of 2 different inputs") == (type(error), error.status, error.message[:23])


async def test_only_if_cached_without_a_cache() -> None:
    """Where there is no cache, nothing is ever there."""
    backend = FakeBackend()

    assert isinstance(await House(backend).refuses(["a"], cache_control=ONLY_IF_CACHED), NotCached)
    assert [] == backend.asked


async def test_scope_key() -> None:
    """With `scope: key` a key finds only what was embedded for itself."""
    home, backend = Home(scope="key"), FakeBackend()
    house = House(backend, cache=home.cache)
    for caller in (ANYONE, BULK, ANYONE, BULK):
        await house.embed(["a"], caller=caller)

    assert [["a"], ["a"]] == backend.asked


async def test_too_old() -> None:
    """Nothing is found after its time, in memory or in Redis."""
    home, backend = Home(shared=FakeShared()), FakeBackend()
    await home.cache.learn()
    house = House(backend, cache=home.cache)
    await house.embed(["a"])
    home.now += 3601
    await house.embed(["a"])

    assert [["a"], ["a"]] == backend.asked


# ── replicas, generations and clearing ────────────────────────────────────────────────────────────────────────────


async def replica(first: Home) -> Home:
    """Another process over the same state and Redis."""
    second = Home(shared=first.shared)
    second.cache._state = second.state = first.state
    await second.cache.learn()
    return second


async def test_shared() -> None:
    """What one replica has kept the other finds in one look-up, and from then on in its own memory."""
    home = Home(shared=FakeShared())
    await home.cache.learn()
    other = await replica(home)
    backend = FakeBackend()
    await House(FakeBackend(), cache=home.cache).embed(["a", "b"])
    results = [await House(backend, cache=other.cache).embed(["b", "a"]) for _ in range(2)]

    assert ([], [vectors_of(["b", "a"])] * 2) == (backend.asked, [result.vectors for result in results])
    assert home.shared is not None
    assert [2, 2] == [len(keys) for keys in home.shared.looked_up]  # the first one's own, and the other's


async def test_shared_is_away() -> None:
    """Without Redis, memory goes on alone."""
    home, backend = Home(shared=FakeShared()), FakeBackend()
    await home.cache.learn()
    assert home.shared is not None
    home.shared.away = True
    house = House(backend, cache=home.cache)
    for _ in range(2):
        await house.embed(["a"])

    assert [["a"]] == backend.asked


async def test_state_was_never_reached() -> None:
    """Before the state has told the epoch, nothing is looked up in Redis or written to it: it may have been cleared."""
    home, backend = Home(shared=FakeShared()), FakeBackend()
    house = House(backend, cache=home.cache)
    for _ in range(2):
        await house.embed(["a"])

    assert home.shared is not None
    assert ([["a"]], {}, []) == (backend.asked, home.shared.entries, home.shared.looked_up)


async def test_generation() -> None:
    """Once a space's vectors have changed, none of those before is found."""
    home, backend = Home(), FakeBackend()
    house = House(backend, cache=home.cache)
    await house.embed(["a"])
    home.generation = 1
    await house.embed(["a"])

    assert [["a"], ["a"]] == backend.asked


async def test_clear() -> None:
    """Clearing empties this process at once, and others when they next hear; Redis has nothing for either."""
    home = Home(shared=FakeShared())
    await home.cache.learn()
    other, backend = await replica(home), FakeBackend()
    for cache in (home.cache, other.cache):
        await House(backend, cache=cache).embed(["a"])
    await home.cache.clear()
    await other.cache.learn()
    entries = [cache.statistics().entries for cache in (home.cache, other.cache)]
    await House(backend, cache=other.cache).embed(["a"])

    assert ([["a"], ["a"]], [0, 0]) == (backend.asked, entries)


async def test_clear_meanwhile() -> None:
    """What was being embedded while the cache was cleared is not found afterwards."""
    home, backend = Home(), Waiting()
    house = House(backend, cache=home.cache)
    asked = asyncio.create_task(house.embed(["a"]))
    await settle()
    await home.cache.learn()
    await home.cache.clear()
    backend.gate.set()
    await asked
    await house.embed(["a"])

    assert [["a"], ["a"]] == backend.asked


async def test_statistics_of_all() -> None:
    """Each process tells what it has; who ends is not told of any more."""
    home = Home()
    await home.cache.learn()
    other = await replica(home)
    for cache in (home.cache, other.cache):
        house = House(FakeBackend(), cache=cache)
        await house.embed(["a", "b"])
        await house.embed(["a"])
    await other.cache.of_all()
    both = await home.cache.of_all()
    await other.cache.close()
    one = await home.cache.of_all()

    assert ([{"small": (1, 2)}] * 2, [2, 2], 1) == (
        [each.models for each in both],
        [each.entries for each in both],
        len(one),
    )


async def test_metrics() -> None:
    """Hits and misses are counted by model, and what memory takes."""
    home = Home(limit=1000)
    house = House(FakeBackend(), cache=home.cache)
    await house.embed(["a", "b", "c"])
    await house.embed(["c"])
    text = home.metrics.text().decode()

    for line in (
        'gateway_cache_inputs_total{model="small",outcome="hit"} 1.0',
        'gateway_cache_inputs_total{model="small",outcome="miss"} 3.0',
        "gateway_cache_entries 2.0",
        "gateway_cache_evictions_total 1.0",
    ):
        assert line in text.splitlines()


# ── usage and books ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_usage() -> None:
    """The body counts every input; what was there is worth what it was when it was sent."""
    house = House(FakeBackend(), cache=Home().cache)
    await house.embed(["a"])
    await house.embed(["bb"])
    result = await house.embed(["a", "bb", "a"])

    assert (3 * TOKENS_EACH, "reported") == (result.tokens, result.usage_source)


async def test_usage_shared_out() -> None:
    """What was reported for several is shared out by counts: together they are the sum, and alone they are counted."""
    house = House(FakeBackend(), cache=Home().cache)
    await house.embed(["a", "bbbb", "ccc"])  # 9 are reported, and 8 counted
    parts = [await house.embed([text]) for text in ("a", "bbbb", "ccc")]

    assert (3 * TOKENS_EACH, {"counted"}) == (
        sum(part.tokens for part in parts),
        {part.usage_source for part in parts},
    )
    assert [1, 4, 4] == [part.tokens for part in parts]


async def test_books() -> None:
    """Quotas and costs follow what went upstream; what the cache has saved is written down beside them."""
    kept = Kept(FakeBackend(), price=2.0, cache=Home().cache)
    await kept.house.embed(["a"])
    await kept.house.embed(["a", "a", "b"])
    await kept.house.embed(["a"])

    expected = Usage(
        requests=3, inputs=5, reported=2 * TOKENS_EACH, cached=2 * TOKENS_EACH, nanos=2 * TOKENS_EACH * 2000
    )
    assert expected == await kept.usage()


# ── what is in flight ─────────────────────────────────────────────────────────────────────────────────────────────


class Waiting(FakeBackend):
    """Answers when its gate opens; `cancelled` are the calls that were given up."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(*answers)
        self.gate = asyncio.Event()
        self.cancelled: list[list[Input]] = []

    async def embed(self, call: EmbedCall, deadline: float, lane: Any = "interactive") -> Embeddings | Fault:
        outcome = await super().embed(call, deadline, lane)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(list(call.inputs))
            raise
        return outcome


async def test_in_flight() -> None:
    """What another request has under way is waited for, and only the rest is sent; it costs whoever sent it."""
    backend = Waiting()
    kept = Kept(backend, cache=Home().cache)
    asked = []
    for inputs in (["a", "b"], ["b", "c", "a"], ["c", "b"]):
        asked.append(asyncio.create_task(kept.house.embed(inputs)))
        await settle()
    backend.gate.set()
    results = [await each for each in asked]

    assert [["a", "b"], ["c"]] == backend.asked
    assert [vectors_of(inputs) for inputs in (["a", "b"], ["b", "c", "a"], ["c", "b"])] == [r.vectors for r in results]
    assert [0, 2, 2] == [result.cached for result in results]
    assert 3 * TOKENS_EACH == (await kept.usage()).reported


async def test_first_one_leaves() -> None:
    """Whoever has begun it may hang up: the call goes on for the other, and is sent once."""
    backend = Waiting()
    house = House(backend, cache=Home().cache)
    first = asyncio.create_task(house.embed(["a"]))
    await settle()
    second = asyncio.create_task(house.embed(["a"]))
    await settle()
    first.cancel()
    await settle()
    backend.gate.set()

    assert (vectors_of(["a"]), [["a"]], []) == ((await second).vectors, backend.asked, backend.cancelled)


async def test_last_one_leaves() -> None:
    """The call is cancelled with the last one who waits, and whoever comes then has it sent anew."""
    backend = Waiting()
    house = House(backend, cache=Home().cache)
    both = [asyncio.create_task(house.embed(["a"])) for _ in range(2)]
    await settle()
    for each in both:
        each.cancel()
    await settle()
    third = asyncio.create_task(house.embed(["a"]))
    await settle()
    backend.gate.set()

    assert (vectors_of(["a"]), [["a"], ["a"]], [["a"]]) == ((await third).vectors, backend.asked, backend.cancelled)


async def test_first_one_fails() -> None:
    """The failure of one is not the failure of those who waited for it: they send it themselves."""
    backend = Waiting(failing(FaultKind.MISCONFIGURED), rightly)
    house = House(backend, cache=Home().cache)
    both = [asyncio.create_task(house.embed(["a"])) for _ in range(2)]
    await settle()
    backend.gate.set()
    first, second = await asyncio.gather(*both, return_exceptions=True)

    assert isinstance(first, UpstreamError)
    assert not isinstance(second, BaseException)
    assert (vectors_of(["a"]), [["a"], ["a"]], ["t0"]) == (second.vectors, backend.asked, second.targets)


class HangingOnce(Waiting):
    """The first call waits for its gate, the others are answered at once."""

    async def embed(self, call: EmbedCall, deadline: float, lane: Any = "interactive") -> Embeddings | Fault:
        if self.calls:
            return await FakeBackend.embed(self, call, deadline, lane)
        return await super().embed(call, deadline, lane)


async def test_another_that_hangs() -> None:
    """Whoever waits for another's call keeps half of its time to send its input itself."""
    backend = HangingOnce()
    kept = Kept(backend, cache=Home().cache)
    first = asyncio.create_task(kept.house.embed(["a"]))
    await settle()
    kept.house.time.now = asyncio.get_running_loop().time() - 30  # of its sixty seconds the first half is over at once
    second = await kept.house.embed(["a"])
    backend.gate.set()

    assert [vectors_of(["a"])] * 2 == [second.vectors, (await first).vectors]
    assert ([["a"], ["a"]], 2 * TOKENS_EACH) == (backend.asked, (await kept.usage()).reported)


async def test_between_hits() -> None:
    """What comes of another's flight has its place beside what was there, and beside what is sent."""
    backend = Waiting()
    house = House(backend, cache=Home().cache)
    backend.gate.set()
    await house.embed(["a"])
    backend.gate.clear()
    asked = []
    for inputs in (["b", "c"], ["d", "a", "c", "b", "a"]):
        asked.append(asyncio.create_task(house.embed(inputs)))
        await settle()
    backend.gate.set()
    _, result = await asyncio.gather(*asked)

    assert ([["a"], ["b", "c"], ["d"]], vectors_of(["d", "a", "c", "b", "a"]), 4) == (
        backend.asked,
        result.vectors,
        result.cached,
    )


async def test_item_at_fault() -> None:
    """An error names the item as the request has it, whatever of the others was there."""
    backend = FakeBackend(rightly, failing(FaultKind.REJECTED, "no", item=0))
    house = House(backend, cache=Home().cache)
    await house.embed(["a"])
    error = await house.refuses(["a", "a", "b"])

    assert "`input[2]`" in error.message


async def test_charge_beside_a_flight() -> None:
    """What may have been billed without being delivered is charged at its own count, not at a neighbour's."""
    backend = Waiting(rightly, failing(FaultKind.TIMEOUT))
    kept = Kept(backend, cache=Home().cache)
    first = asyncio.create_task(kept.house.embed(["bbbbb"]))
    await settle()
    second = asyncio.create_task(kept.house.embed(["bbbbb", "aa"]))
    await settle()
    backend.gate.set()
    await asyncio.gather(first, second, return_exceptions=True)
    usage = await kept.usage()

    assert (TOKENS_EACH, 2) == (usage.reported, usage.counted)


async def test_lanes() -> None:
    """Who is in a hurry does not wait for what is sent in the lane of those who are not."""
    backend, home = Waiting(), Home()
    retry = Retry(lambda: 0.0, asyncio.sleep, lambda: 0.5)
    supply = Supply(home.cache, Dispatcher(retry, lambda: 0.0))

    def want(lane: Priority) -> Want:
        job = Job(planning.plan(["a"], [1], [0]), DIMENSIONS, lane=lane)
        return Want(job, [b"key"], [target("t", backend)], 1e9, "counted")

    asked = [asyncio.create_task(supply.bring(want(lane), joins=True)) for lane in ("bulk", "interactive", "bulk")]
    await settle()
    backend.gate.set()
    brought = [delivery.complete or others[0] for delivery, others in await asyncio.gather(*asked)]

    assert ["bulk", "interactive"] == backend.lanes
    assert [list, list, cache_entry.Kept] == [type(each) for each in brought]


REQUESTS = st.lists(
    st.tuples(TEXTS, st.sampled_from(["wait", "leave", "fresh"]), st.booleans()), min_size=2, max_size=6
)


@settings(max_examples=60)
@given(REQUESTS, st.lists(st.booleans(), min_size=12, max_size=12))
async def test_flights_together(requests: list[tuple[list[str], str, bool]], failures: list[bool]) -> None:
    """Whoever comes, leaves and fails beside it: a request has its own vectors, or an error; nothing stays behind."""
    answers = [failing(FaultKind.MISCONFIGURED) if fails else by_everything for fails in failures]
    backend = Waiting(by_everything, *answers, by_everything)
    home = Home()
    house = House(targets=[target("t", backend, limits=Limits(inputs=2))], cache=home.cache)
    backend.gate.set()
    await house.embed(["a"])
    backend.gate.clear()
    tasks: list[asyncio.Task[Result]] = []
    for inputs, _, pauses in requests:
        control = CacheControl() if requests[len(tasks)][1] != "fresh" else NO_CACHE
        tasks.append(asyncio.create_task(house.embed(inputs, cache_control=control)))
        if pauses:
            await settle()
    for task, (_, what, _) in zip(tasks, requests, strict=True):
        if what == "leave":
            task.cancel()
    await settle()
    backend.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for (inputs, what, _), outcome in zip(requests, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, asyncio.CancelledError if what == "leave" else UpstreamError)
        else:
            assert by_everything(EmbedCall("", inputs)).vectors == outcome.vectors
    await settle()

    assert house._gateway.supply is not None
    assert 0 == len(house._gateway.supply.flights)
