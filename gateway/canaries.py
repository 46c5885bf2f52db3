"""Asks targets for the golden texts every so often, one process for all, and takes out those that have drifted.

Two turns go round in each process: one looks what the state says, and holds targets to it; the other runs what is due
and nobody else runs. While the state is away nothing is asked, and what was seen last holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway import golden, pinning
from gateway.canary import Reference, Verdict, compare, judged
from gateway.errors import StateUnavailable
from gateway.golden import Answer, Serving
from gateway.logs import GATEWAY
from gateway.metrics import Metrics
from gateway.recipe import reference_name, run_name
from gateway.routing import Route, Target
from gateway.spaces import Spaces
from gateway.together import together
from providers.base import Fault

LOOK_SECONDS: Final = 5.0
SOON_SECONDS: Final = 60.0
"""Between two runs of a target that did not answer, or not as it should."""


def hold(routes: Iterable[Route], verdicts: Mapping[str, Verdict]) -> None:
    """Takes out what has drifted, where the route wants it, and lets in what has not; `verdicts` are by run."""
    for route in routes:
        for target in route.targets:
            verdict = verdicts.get(run_name(route, target.mark))
            drift = None if verdict is None else verdict.drift
            target.health.ejected = drift if route.canary == "eject" else None


@dataclass(frozen=True, slots=True)
class _Member:
    route: Route
    target: Target
    run: str


class Canaries:
    """`serving` gives the gateway that serves now, which a reload changes; `interval` is in seconds.

    `clock` is in seconds since the epoch.
    """

    def __init__(
        self,
        serving: Callable[[], Serving],
        spaces: Spaces,
        metrics: Metrics,
        interval: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._serving = serving
        self._spaces = spaces
        self._metrics = metrics
        self._interval = interval
        self._soon = min(SOON_SECONDS, interval)
        self._clock = clock
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled."""
        await together([self._again_and_again(self.look), self._again_and_again(self.turn)])

    async def _again_and_again(self, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._sleep(min(LOOK_SECONDS, self._interval))
            try:
                await action()
            except Exception:  # noqa: BLE001 (one provider's mistake must not end the looking after all others)
                GATEWAY.error("a canary has failed", exc_info=True)

    async def look(self) -> None:
        """Holds every target to what the state says of it; as it did before while the state is away."""
        with contextlib.suppress(StateUnavailable):
            await self._spaces.look()
        self._hold()

    async def turn(self) -> None:
        """Runs whatever is due."""
        groups: dict[str, list[_Member]] = {}
        for member in self._members():
            groups.setdefault(reference_name(member.route), []).append(member)
        with contextlib.suppress(StateUnavailable):
            held = await self._spaces.held()
            await together(self._group(name, members, held) for name, members in groups.items())
        self._hold()

    def _members(self) -> Iterator[_Member]:
        for route in self._serving().routes:
            if route.canary != "off":
                for target in route.targets:
                    yield _Member(route, target, run_name(route, target.mark))

    def _hold(self) -> None:
        routes = list(self._serving().routes)
        hold(routes, self._spaces.verdicts)
        told = [
            (route.alias, target.name, verdict)
            for route in routes
            if route.canary != "off"
            for target in route.targets
            if (verdict := self._spaces.verdicts.get(run_name(route, target.mark))) is not None
        ]
        self._metrics.canaries([(alias, name, one.cosine, one.drift is not None) for alias, name, one in told])

    # ── one space ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _group(self, name: str, members: Sequence[_Member], held: frozenset[str]) -> None:
        by_run: dict[str, list[_Member]] = {}
        for member in members:
            by_run.setdefault(member.run, []).append(member)
        due = {run: alike for run, alike in by_run.items() if run not in held}
        if not due:
            return
        reference = await self._spaces.reference(name)
        if reference is None:
            if (run := f"agreement {name}") not in held:
                await self._agree(name, run, members)
            return
        await together(self._check(run, alike, reference) for run, alike in due.items())

    async def _check(self, run: str, alike: Sequence[_Member], reference: Reference) -> None:
        """Of the routes that have this deployment, and ask it alike, the first asks for all."""
        if not await self._spaces.begin(run):
            return
        route, target = alike[0].route, alike[0].target
        outcome = await golden.ask(route, target, self._serving().counters[route.tokenizer])
        fields: dict[str, object] = {"model": route.alias, "target": target.name, "space": route.space}
        if isinstance(outcome, Fault):
            GATEWAY.info("a canary had no answer", extra={"fields": {**fields, "fault": outcome.kind}})
            await self._spaces.end(run, self._soon)
            return
        before = self._spaces.verdicts.get(run)
        verdict = judged(
            compare(reference.vectors, outcome.vectors),
            reference,
            before,
            self._clock(),
            ejects=any(member.route.canary == "eject" for member in alike),
        )
        newly_out = verdict.ejected and not (before and before.ejected)
        if newly_out:
            await self._spaces.bump(route.space)  # first: what was kept of it is found no more, whatever happens now
        await self._spaces.end(run, self._interval if verdict.complaint is None else self._soon, verdict)
        if newly_out:
            self._hold()
            await self._spaces.bump(route.space)  # nor what was kept of it until all could know the verdict
        _tell(verdict, before, {**fields, "cosine": round(verdict.cosine, 5), "tokens": outcome.tokens})

    async def _agree(self, name: str, run: str, members: Sequence[_Member]) -> None:
        """A space without a reference gets one where two deployments of a route agree; otherwise that is told."""
        routes = {id(member.route): member.route for member in members}
        for route in routes.values():
            if len({target.mark for target in route.targets}) < 2:
                continue
            if not await self._spaces.begin(run):
                return
            asked = await pinning.ask(route, route.targets, self._serving().counters[route.tokenizer])
            reference = pinning.agreed(asked, self._clock())
            fields = {"model": route.alias, "space": route.space, "targets": [one.target.name for one in asked]}
            if reference is not None:
                await self._spaces.pin(name, reference, only_if_absent=True)
                GATEWAY.warning("a space has its reference from targets that agree", extra={"fields": fields})
                await self._spaces.end(run, self._soon)
                return
            answered = all(isinstance(one.outcome, Answer) for one in asked)
            if answered:
                GATEWAY.error("targets of one space do not agree, and it has no reference", extra={"fields": fields})
            await self._spaces.end(run, self._interval if answered else self._soon)


def _tell(verdict: Verdict, before: Verdict | None, fields: Mapping[str, object]) -> None:
    was_away = before is not None and before.drift is not None
    if verdict.drift is not None and not was_away:
        told = {**fields, "complaint": verdict.drift, "ejected": verdict.ejected}
        GATEWAY.error("a target has drifted out of its space", extra={"fields": told})
    elif verdict.drift is None and was_away:
        GATEWAY.warning("a target is back in its space", extra={"fields": dict(fields)})
    else:
        GATEWAY.info("a canary was asked", extra={"fields": {**fields, "complaint": verdict.complaint}})
