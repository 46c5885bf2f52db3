"""A gateway with its upstreams, the load on it, and the question whether anything is left of that load."""

from __future__ import annotations

import asyncio
import pathlib
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.auth import key_hash, new_key
from tests.chaos import processes
from tests.chaos.asks import PATIENT, Ask
from tests.chaos.load import Load, Replicas
from tests.chaos.plan import Latency, Plan
from tests.chaos.server import API_KEY
from tests.chaos.upstream import ChaosUpstream
from tests.gateway_process import GatewayProcess

NAMES: Final = ("first", "second", "tls")
MODEL: Final = "text-embedding-3-small"
SECURE: Final = "secure"
"""A model whose first target speaks TLS, and whose second one does not."""
SERVER_SECONDS: Final = 60.0
TRY_SECONDS: Final = 2.0
"""Of a target after which another one is asked. A right answer takes milliseconds; too late a one costs nobody much."""
LAST_TRY_SECONDS: Final = 10.0
"""Of a target after which there is none: a right answer has to be in time on a machine that does much else, too."""
SLACK_SECONDS: Final = 30.0
CONCURRENT: Final = 48
"""Most requests at a time of the key."""
CONNECTIONS: Final = 16
"""Most calls at a time of each target, and so most connections."""
BUDGET: Final = 10**9
MEMORY_ROOM: Final = 48 * 2**20
"""What a process may have grown by, its allocator's habits included; one bomb that went off is more."""
KEY: Final = new_key()
KEYS: Final = f"""
- name: chaos
  sha256: {key_hash(KEY)}
  limits: {{concurrent: {CONCURRENT}}}
  budget: {{tokens: {BUDGET}, per: total, soft: 0.000000001}}
"""
SETTLING_SECONDS: Final = 60.0
ONE_TEXT: Final = Ask(["x"], ["x"], "base64", dimensions=8)


def models(
    upstream: ChaosUpstream, routes: Mapping[str, tuple[float, float]], ca_file: pathlib.Path | None = None
) -> str:
    """Routes of two targets each, the second of which is asked only when the first one fails; the seconds of each."""
    common = f"provider: openai, model: {MODEL}, api_key: {API_KEY}, base64: true"
    common += f", max_concurrency: {CONNECTIONS}, batch: {{inputs: 16}}"

    def route(alias: str, seconds: tuple[float, float]) -> str:
        first, more = ("tls", f", ca_file: {ca_file}") if alias == SECURE else ("first", "")
        return f"{alias}:\n  space: chaos\n  targets:\n" + "".join(
            f"    - {{name: {name}, base_url: '{upstream.base_url(name)}', priority: {priority}, "
            f"timeout: {seconds[priority]:g}s, {common}{rest}}}\n"
            for priority, (name, rest) in enumerate([(first, more), ("second", "")])
        )

    return "".join(route(alias, seconds) for alias, seconds in routes.items())


def gateway_of(
    folder: pathlib.Path, upstream: ChaosUpstream, routes: Iterable[str], ca_file: pathlib.Path
) -> GatewayProcess:
    """`MODEL` is for what is held: its targets have all the time that a request has."""
    server = f"timeout: {SERVER_SECONDS:g}s\nmetrics: public"
    tries = {MODEL: (SERVER_SECONDS, SERVER_SECONDS)}
    tries |= dict.fromkeys((*routes, SECURE), (TRY_SECONDS, LAST_TRY_SECONDS))
    return GatewayProcess(folder, models(upstream, tries, ca_file), server=server, keys=KEYS)


@dataclass(slots=True)
class Stage:
    """`idle` and `base` are descriptors and resident bytes of the gateway before any load."""

    gateway: GatewayProcess
    upstream: ChaosUpstream
    idle: int = 0
    base: int = 0

    def load(self, model: str) -> Load:
        targets = {"tls" if model == SECURE else "first", "second"}
        replicas = Replicas([self.gateway.url], KEY)
        return Load(replicas, seed=11, server_seconds=SERVER_SECONDS, model=model, targets=targets, slack=SLACK_SECONDS)

    async def begin(self) -> None:
        """Remembers what there is before a fault, once everything has been in use."""
        if not self.idle:
            with self.gateway.client(KEY) as http:
                http.get("/v1/usage").raise_for_status()  # it is announced a moment before it has opened its state
            self.idle = processes.descriptors(self.gateway.pid)
            await self.load(MODEL).run(16, 0.5, PATIENT)
        processes.forget_peak(self.gateway.pid)
        self.base = processes.memory(self.gateway.pid)

    async def recover(self, model: str, by: str | None = None) -> None:
        """Ends all faults, and prints after how many seconds all requests got their vectors again: from `by`."""
        self.upstream.all_well()
        seconds = await self.load(model).until_well(by)
        print(f"{model}: recovered{f' by {by}' if by else ''} in {seconds * 1000:.0f} ms")

    async def check_nothing_left(self) -> None:
        """No call, no connection beyond the pools', no memory, no limit held."""
        for name in NAMES:
            await eventually(lambda name=name: self.upstream.counts(name).running == 0, f"calls run at {name}")  # type: ignore[misc]
            assert self.upstream.counts(name).broken_rules == []
            assert self.upstream.counts(name).befallen["refused"] == 0
        most = self.idle + len(NAMES) * CONNECTIONS
        await eventually(lambda: processes.descriptors(self.gateway.pid) <= most, f"more than {most} descriptors")
        assert processes.memory(self.gateway.pid) <= self.base + MEMORY_ROOM
        await self._check_no_limit_held()

    async def _check_no_limit_held(self) -> None:
        """As many requests at a time as the key may have, held until one more has come, which alone is refused."""
        for name in ("first", "second"):
            self.upstream.plan(name, Plan(latency=Latency(SERVER_SECONDS)))
        load = self.load(MODEL)
        asking = asyncio.create_task(load.once(ONE_TEXT, CONCURRENT + 1))
        await eventually(lambda: load.tally.statuses[429] > 0, "none of too many requests at a time is refused")
        self.upstream.all_well()
        tally = await asking

        assert (1, []) == (tally.statuses[429], tally.faults), tally

    async def check_books(self) -> None:
        """Nothing is reserved any more: what the budget lacks, which nothing forgets, is what the ledger has."""
        await self.load(MODEL).once(ONE_TEXT)
        with self.gateway.client(KEY) as http:

            def spent() -> int:
                found = re.search(
                    r'^gateway_budget_used_ratio\{kind="token_budget".*\} (\S+)$', http.get("/metrics").text, re.M
                )
                assert found is not None
                return round(float(found[1]) * BUDGET)

            def written() -> int:
                return int(http.get("/v1/usage").json()["total"]["tokens"])

            await eventually(lambda: written() == spent(), f"the budget lacks {spent()}, the ledger has {written()}")


async def eventually(condition: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + SETTLING_SECONDS
    while not condition():
        assert time.monotonic() < end, f"{otherwise}, and still after {SETTLING_SECONDS:g} s"
        await asyncio.sleep(0.05)
