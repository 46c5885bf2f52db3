"""Two gateway processes over one Redis, and what befalls them during a soak: death, lost state, new configuration."""

from __future__ import annotations

import asyncio
import os
import pathlib
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

import httpx

from gateway.auth import key_hash
from tests.chaos import processes
from tests.chaos.load import Replicas
from tests.chaos.stage import KEY, MODEL, TRY_SECONDS, models
from tests.chaos.upstream import ChaosUpstream
from tests.fakes.redis_server import RedisServer
from tests.gateway_process import GatewayProcess

SERVER_SECONDS: Final = 5.0
KEYS: Final = f"- {{name: soak, sha256: {key_hash(KEY)}, limits: {{rpm: 1000000, tpm: 1000000000, concurrent: 1000}}}}"
TRACES: Final = re.compile(r"Traceback|Exception ignored|was never (awaited|retrieved)")
PAUSE: Final = 3.0
"""Seconds between one blow and the next."""
RELOAD_SECONDS: Final = 20.0
LOOKS_SECONDS: Final = 0.5
"""Between a balancer's looks at whether a replica is ready."""


class Fleet:
    """`gateways` and the URLs of `replicas` have the same order. What it does, it does until `end`, on asyncio's clock,
    and leaves everything running.
    """

    def __init__(self, gateways: Sequence[GatewayProcess], redis: RedisServer) -> None:
        self.gateways = gateways
        self.redis = redis
        self.replicas = Replicas([gateway.url for gateway in gateways], KEY)
        self.traces: list[str] = []
        self.kills = 0
        self.rolled = 0
        self.reloads = 0
        self.not_reloaded: list[str] = []
        """Configurations that were not taken although they are good, or taken although they are bad."""
        self._next_reload = 0.0
        self._files = [gateway.config.read_text() for gateway in gateways]

    @property
    def can_reload(self) -> bool:
        return all(processes.catches(gateway.pid, signal.SIGHUP) for gateway in self.gateways)

    def resources(self) -> tuple[int, int]:
        """Resident bytes and descriptors of the larger one."""
        pids = [gateway.pid for gateway in self.gateways]
        return max(map(processes.memory, pids)), max(map(processes.descriptors, pids))

    def note_traces(self) -> None:
        """What the processes of now have logged that no process should; to be asked once of each."""
        for gateway in self.gateways:
            self._note(gateway)

    def _note(self, gateway: GatewayProcess) -> None:
        self.traces += [line for line in gateway.stderr.splitlines() if TRACES.search(line)]

    async def kill_in_turn(self, end: float) -> None:
        """kill -9 for one, a second without it, and a new one in its place; then the other."""
        while not await _over(end, PAUSE):
            place = self.kills % len(self.gateways)
            self.kills += 1
            os.kill(self.gateways[place].pid, signal.SIGKILL)
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self._restart, place)

    async def roll(self, end: float) -> None:
        """Each in turn is told to stop, leaves the rotation once a balancer has seen that, and is started anew."""
        while not await _over(end, PAUSE):
            place = self.rolled % len(self.gateways)
            self.rolled += 1
            self.gateways[place].terminate()
            async with self._client() as http:
                while await _is_ready(http, self.gateways[place]):  # noqa: ASYNC110 (another process sets no event here)
                    await asyncio.sleep(LOOKS_SECONDS)
            del self.replicas.urls[place]
            await asyncio.to_thread(self.gateways[place].wait, 60)
            await asyncio.to_thread(self._restart, place)

    def _restart(self, place: int) -> None:
        gateway = self.gateways[place]
        self._note(gateway)
        gateway.__exit__(None, None, None)
        gateway.__enter__()
        self.replicas.urls[place] = gateway.url

    async def restart_redis(self, end: float) -> None:
        """As a power cut would, what it had in memory being lost."""
        while not await _over(end, PAUSE):
            self.redis.kill()
            await asyncio.sleep(1.0)
            await asyncio.to_thread(self.redis.start)

    async def reload(self, end: float) -> None:
        """A good file and a bad one in turn, by SIGHUP, where the gateway listens to that."""
        loop = asyncio.get_running_loop()
        while self.can_reload and not await _over(end, self._next_reload - loop.time()):
            self._next_reload = loop.time() + RELOAD_SECONDS
            self.reloads += 1
            await self._reload(f"reloaded-{self.reloads}", good=self.reloads % 2 == 1)

    async def _reload(self, alias: str, *, good: bool) -> None:
        """The route gets another name, by which the new configuration is recognised."""
        changed = f"space: chaos\n    aliases: [{alias}]\n" + ("" if good else "    nonsense: true\n")
        for gateway, text in zip(self.gateways, self._files, strict=True):
            gateway.config.write_text(text.replace("space: chaos\n", changed, 1))
            os.kill(gateway.pid, signal.SIGHUP)
        await asyncio.sleep(PAUSE)
        async with self._client() as http:
            for gateway, text in zip(self.gateways, self._files, strict=True):
                answer = await http.get(f"{gateway.url}/models")
                if (alias in answer.text) is not good:
                    self.not_reloaded.append(alias)
                gateway.config.write_text(text)

    def _client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.AsyncClient(verify=False, trust_env=False, timeout=SERVER_SECONDS, headers=headers)  # noqa: S501 (no TLS here)


async def _is_ready(http: httpx.AsyncClient, gateway: GatewayProcess) -> bool:
    try:
        return (await http.get(f"{gateway.root_url}/health/ready")).is_success
    except httpx.TransportError:
        return False


async def _over(end: float, pause: float) -> bool:
    """Waits, and tells whether there is time for more."""
    await asyncio.sleep(max(0.0, min(pause, end - asyncio.get_running_loop().time())))
    return asyncio.get_running_loop().time() >= end


@contextmanager
def fleet(folder: pathlib.Path, upstream: ChaosUpstream) -> Iterator[Fleet]:
    """Without Python's development mode, which is for tests: here times are measured."""
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        gateways = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            gateways.append(
                stack.enter_context(
                    GatewayProcess(
                        folder / name,
                        models(upstream, {MODEL: (TRY_SECONDS, TRY_SECONDS)}),
                        server=f"timeout: {SERVER_SECONDS:g}s\nmetrics: public",
                        state=f"url: '{redis.url}'",
                        keys=KEYS,
                        may_complain=True,
                        python=[sys.executable],
                    )
                )
            )
        yield Fleet(gateways, redis)
