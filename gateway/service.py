"""The gateway itself: what happens to one embeddings request, top to bottom. It knows neither HTTP nor providers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway import admission, away, balance, contract, lanes, planning, policy, usage
from gateway.allowances import Priority
from gateway.answers import Result
from gateway.auth import Caller
from gateway.books import Books, Entry
from gateway.delivery import Delivery, Job
from gateway.dimensions import Length
from gateway.dispatch import Dispatcher
from gateway.errors import UpstreamTimeout
from gateway.in_time import in_time
from gateway.lockstep import STEP
from gateway.metrics import TargetNow
from gateway.planning import Plan
from gateway.policy import Attempt
from gateway.record import Record
from gateway.routing import Route, Routes, Target
from gateway.shelf import Shelf
from gateway.supply import Supply, Want
from gateway.tokens import Counter
from gateway.wire import EmbeddingsRequest
from providers.base import Embeddings, Fault, InputType

_T = TypeVar("_T")

CACHE: Final = "cache"
"""What answered where no target was asked."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """`counters` has a counter for every tokenizer that a route names; `random` shares load by weight."""

    routes: Routes
    counters: Mapping[str, Counter]
    dispatcher: Dispatcher
    books: Books
    random: Callable[[], float]
    supply: Supply | None = None
    """Without one there is no cache."""

    async def embed(self, request: EmbeddingsRequest, caller: Caller, deadline: float, record: Record) -> Result:
        """N inputs in, N right vectors out; anything else is a GatewayError.

        `deadline` is on the event loop's clock; `record` is told what happens.
        """
        route, input_type = self.routes.find(request.model, caller, request.input_type)
        counter, inputs = self.counters[route.tokenizer], request.inputs
        record.route = route.alias
        record.lane = lanes.lane_of(caller.priority, request.priority, len(inputs))
        with self.books.entry(caller, route, counter, len(inputs), record) as entry, away.counting(record):
            request.check_space(route.space)
            role = route.role(input_type)
            length = route.dimensions.resolve(request.dimensions)
            route.check_extra(request.extra)
            record.step("tokens")
            admitted = admission.admit_at_once(inputs, role, route, counter)
            if admitted is None:
                admitted = await _in_time(admission.admit(inputs, role, route, counter), deadline)
            plan = planning.plan(admitted.inputs, admitted.sizes, admitted.items, admitted.overhead)
            await STEP
            cache = None if self.supply is None else self.supply.cache
            shelf = Shelf.of(cache, request, caller, route, role, length, plan)
            if shelf.looks_up:
                record.step("cache")
                await shelf.look_up(length.upstream, route.alias)
            await _in_time(entry.reserve(shelf.misses, deadline), deadline)
            await STEP
            shelf.check()
            record.step("upstream")
            job = _job(request, route, role, shelf.misses, length, record.lane, entry)
            if not shelf.missing:
                delivery = Delivery([])
            elif shelf.cache is None or self.supply is None:
                delivery = await self.dispatcher.run(job, self._targets(route, job), deadline)
            else:
                delivery = await self._bring(self.supply, shelf, job, route, deadline)
            record.step("")
            record.targets, record.attempts = delivery.targets, delivery.attempts
            entry.saved = shelf.saved
            found = shelf.vectors(delivery)
            await entry.charge(delivery.tokens if found is not None else None, shelf.misses, delivery)
            await STEP
            if found is None:
                raise policy.refusal(delivery.attempts)
            vectors = found if plan.plain else _merged(found, plan, length)
            used = await usage.total(delivery.tokens, shelf.sent, route, counter, shared=delivery.shared)
            tokens, source = shelf.with_kept(*used)
        record.tokens = tokens
        return Result(
            model=request.model,
            vectors=_finished(vectors, route, length),
            tokens=tokens,
            usage_source=source,
            space=route.space,
            targets=delivery.targets or [CACHE],
            cut_items=admitted.cut_items,
            cached=shelf.cached,
        )

    async def _bring(self, supply: Supply, shelf: Shelf, job: Job, route: Route, deadline: float) -> Delivery:
        """What is missing in the cache; what another request has had sent meanwhile is put on the shelf."""
        counted = usage.of_counts(route, self.counters[route.tokenizer])
        want = Want(job, shelf.wanted, self._targets(route, job), deadline, counted)
        delivery, others = await supply.bring(want, joins=shelf.looks_up)
        shelf.add(others)
        return delivery

    def _targets(self, route: Route, job: Job) -> Sequence[Target]:
        return balance.in_order(route.targets, len(job.plan.inputs), self.dispatcher.clock(), self.random)

    def target_states(self) -> list[TargetNow]:
        """How each target stands now."""
        now = self.dispatcher.clock()
        return [_stands(route, target, now) for route in self.routes for target in route.targets]


async def _in_time(work: Coroutine[Any, Any, _T], deadline: float) -> _T:
    try:
        return await in_time(work, deadline)
    except TimeoutError:
        raise UpstreamTimeout("The request's time was up before its tokens were counted. Send fewer at once.") from None


def _job(
    request: EmbeddingsRequest,
    route: Route,
    role: InputType | None,
    plan: Plan,
    length: Length,
    lane: Priority,
    entry: Entry,
) -> Job:
    return Job(
        plan=plan,
        dimensions=length.upstream,
        kept=length.final,
        sent_dimensions=length.sent,
        input_type=role,
        user=request.user,
        extra=request.extra,
        lane=lane,
        alias=route.alias,
        hedge=route.hedge,
        counts=lambda: entry.counts(plan),
    )


def _stands(route: Route, target: Target, now: float) -> TargetNow:
    load = target.backend.load
    interactive = load.waiting - load.waiting_bulk
    return TargetNow(route.alias, target.name, target.health.state(now), load.running, interactive, load.waiting_bulk)


def _merged(vectors: Sequence[bytes], plan: Plan, length: Length) -> Sequence[bytes]:
    """Each input's vector. Means of parts have to keep the output contract as well: parts may cancel each other out."""
    merged = plan.merged(vectors, contract.mean)
    means = Embeddings([merged[item] for item in plan.averages])
    outcome = contract.check(means, len(means.vectors), length.upstream, length.final) if means.vectors else merged
    if isinstance(outcome, Fault):
        raise policy.refusal([Attempt("mean", outcome, plan.averages)])
    return merged


def _finished(vectors: Sequence[bytes], route: Route, length: Length) -> Sequence[bytes]:
    if length.final < length.upstream:
        return contract.shortened(vectors, length.final)
    return contract.unit_length(vectors) if route.normalize else vectors
