"""The way to a Redis: a command goes out once, and comes back soon or fails.

What reserves may not run twice, so nothing is sent again. An idle connection that the server has closed is noticed
before it is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import pathlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

from gateway.errors import StateUnavailable
from gateway.logs import GATEWAY
from gateway.store import StoreError, unavailable
from gateway.store.outage import Outage, Refusals
from gateway.store.redis_address import Address
from gateway.store.redis_dialing import Dial, Words, trusting
from gateway.store.redis_faults import Refused, TooMany, reason
from gateway.store.redis_sentinels import Sentinels
from gateway.store.redis_server import RedisServer

TIMEOUT_SECONDS: Final = 0.5
"""For one command; where a connection has to be made first, for that as well."""

_LEFT: Final = ("READONLY", "MAXCLIENTS")
"""Refusals after which another connection is made: the name may lead to another server by now, this one hangs up."""


class _Way(Protocol):
    """Every outcome is a value: an answer, or an exception."""

    def ask(self, words: Words) -> asyncio.Future[Any]: ...

    def ask_all(self, each: Sequence[Words]) -> asyncio.Future[Any]: ...

    def leave(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, which a Redis knows by its SHA-1 once it has seen it."""

    text: str = field(repr=False)
    sha1: str

    @classmethod
    def of(cls, *names: str) -> Self:
        """The files of `lua/`, one after the other."""
        folder = pathlib.Path(__file__).with_name("lua")
        text = "\n".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in names)
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class RedisLink:
    """Texts are sent as UTF-8, answers come as bytes. Every failure is StateUnavailable; its cause says why.

    `clock` is in seconds and never goes back.
    """

    def __init__(
        self,
        address: Address,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """Connects to nothing yet; raises StoreError where the CA file cannot be used."""
        self.name = address.name
        self.is_cluster = address.kind == "cluster"
        self._way = _way(address, ca_file, timeout, self._require)
        self._outage = Outage(clock)
        self._refusals = Refusals(clock)
        self._late_since: float | None = None
        self._reason = ""
        self._closed = False

    async def command(self, *words: str | bytes | float) -> Any:
        return await self._once(words)

    def begin(self, *words: str | bytes | float) -> asyncio.Future[Any]:
        """For whoever may not wait until the end; the outcome is a value, for every failure an exception."""
        try:
            began = self._begin()
        except StateUnavailable as error:
            future = asyncio.get_running_loop().create_future()
            future.set_result(error)
            return future
        future = self._way.ask(words)
        future.add_done_callback(lambda done: self._judge(done.result(), began))
        return future

    async def commands(self, each: Sequence[Words]) -> list[Any]:
        """Sent together, one after the other and not as one step; in a Cluster to all nodes concerned at once."""
        began = self._begin()
        outcome = await self._way.ask_all(each)
        answers: list[Any] = outcome if isinstance(outcome, list) else [outcome]
        for answer in answers:
            if isinstance(answer, Exception):
                raise self._failed(answer, began)
        self._answered()
        return answers

    async def script(self, script: Script, keys: Sequence[str], values: Words) -> Any:
        """Runs a script; a Redis that has forgotten it, and so has not run it, is sent its text."""
        rest = (len(keys), *keys, *values)
        answer = await self._once(("EVALSHA", script.sha1, *rest), unless="NOSCRIPT")
        return await self._once(("EVAL", script.text, *rest)) if isinstance(answer, Refused) else answer

    async def close(self) -> None:
        self._closed, self._reason = True, "it is closed"
        await self._way.close()

    async def _once(self, words: Words, unless: str = "") -> Any:
        """A refusal of the code `unless` is an answer, too."""
        began = self._begin()
        answer = await self._way.ask(words)
        if isinstance(answer, Exception) and not (isinstance(answer, Refused) and answer.code == unless):
            raise self._failed(answer, began)
        self._answered()
        return answer

    def _begin(self) -> float:
        self._require()
        return asyncio.get_running_loop().time()

    def _require(self) -> None:
        """Raises StateUnavailable where nobody may be asked."""
        if self._closed or not self._outage.may_try():
            raise self._unavailable(self._reason)

    def _answered(self) -> None:
        self._late_since = None
        self._outage.end()

    def _judge(self, outcome: Any, began: float) -> None:
        if isinstance(outcome, Exception):
            self._failed(outcome, began)
        else:
            self._answered()

    def _failed(self, failure: Exception, began: float) -> StateUnavailable:
        """What is to be raised."""
        if isinstance(failure, StateUnavailable):
            return failure
        why = reason(failure)
        if isinstance(failure, Refused) and not failure.is_loss:
            self._answered()
            if (refused := self._refusals.add()) is not None:
                told = {"state": self.name, "error": failure.code, "commands": refused}
                GATEWAY.error("the state refuses a command", extra={"fields": told})
        elif not isinstance(failure, (TooMany, TimeoutError)) or (
            isinstance(failure, TimeoutError) and self._late_again(began)
        ):
            self._reason = why
            self._outage.begin()
        if isinstance(failure, Refused) and failure.code in _LEFT:
            self._way.leave()
        return self._unavailable(why)

    def _late_again(self, began: float) -> bool:
        """Whether a command that had no answer in time began after another had none: one stall is no outage."""
        if self._late_since is None:
            self._late_since = asyncio.get_running_loop().time()
        return began >= self._late_since

    def _unavailable(self, reason: str) -> StateUnavailable:
        error = unavailable()
        error.__cause__ = StoreError(f"The state at {self.name} cannot be reached: {reason}.")
        return error


def _way(address: Address, ca_file: str | None, seconds: float, require: Callable[[], None]) -> _Way:
    tls = trusting(ca_file) if address.tls else None
    dial = Dial(seconds, tls, address.user, address.password, address.database)
    if address.kind == "cluster":
        from gateway.store.redis_cluster import RedisServers  # 6 MB, for few

        return RedisServers(address.hosts, dial, require)
    if address.kind == "sentinel":
        return RedisServer(Sentinels(address.hosts, address.service, dial).master, dial)
    (host,) = address.hosts

    async def known() -> tuple[str, int]:
        return host

    return RedisServer(known, dial)
