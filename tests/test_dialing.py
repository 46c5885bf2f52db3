"""Of several addresses the first that answers is taken."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from gateway import dialing
from tests.fakes.scripted_server import ScriptedServer, says

FOUR, SIX = socket.AF_INET, socket.AF_INET6


def test_families_take_turns() -> None:
    """The system's first choice is first, and the families take turns."""
    found = [(SIX, "a"), (SIX, "b"), (SIX, "b"), (SIX, "c"), (FOUR, "d"), (FOUR, "e")]

    assert [(SIX, "a"), (FOUR, "d"), (SIX, "b"), (FOUR, "e"), (SIX, "c")] == dialing.in_turns(found)


class Hosts:
    """Stands where the event loop asks for addresses and connects: some hosts never answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect = self._loop.create_connection
        self._found = addresses
        self.asked: list[str] = []
        monkeypatch.setattr(self._loop, "getaddrinfo", self._look_up)
        monkeypatch.setattr(self._loop, "create_connection", self._dial)

    async def _look_up(self, host: str, port: int, **_: Any) -> Sequence[Any]:
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in self._found]

    async def _dial(self, factory: Any, host: str, port: int, **_: Any) -> Any:
        self.asked.append(host)
        if host == "silent":
            await asyncio.Event().wait()
        if host == "refusing":
            raise ConnectionRefusedError("refused")
        return await self._connect(factory, host, port)


@pytest.mark.parametrize(
    ("hosts", "delay", "asked"),
    [
        (["127.0.0.1", "silent"], 60, ["127.0.0.1"]),
        (["refusing", "127.0.0.1"], 60, ["refusing", "127.0.0.1"]),
        (["silent", "127.0.0.1"], 0.005, ["silent", "127.0.0.1"]),
        (["silent", "refusing", "127.0.0.1"], 0.005, ["silent", "refusing", "127.0.0.1"]),
    ],
)
async def test_first_that_answers(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], delay: float, asked: list[str]
) -> None:
    """An address that is silent or refuses is not in the way of the next."""
    server = ScriptedServer(says())
    async with server.serving():
        port = int(server.url.rstrip("/").rpartition(":")[2])
        fake = Hosts(monkeypatch, *((FOUR, host) for host in hosts))
        transport, _ = await dialing.connected("name", port, delay=delay)
        transport.abort()
        await asyncio.sleep(0)

    assert asked == fake.asked


@pytest.mark.parametrize("hosts", [[], ["refusing"], ["refusing", "127.0.0.1"]])
async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, hosts: list[str]) -> None:
    """Without an address that answers there is no connection."""
    Hosts(monkeypatch, *((FOUR, host) for host in hosts))

    with pytest.raises(OSError, match=r"no address|[Rr]efused|Connect call failed"):
        await dialing.connected("name", 9, delay=0.005)


@pytest.mark.parametrize("host", ["a" * 70, "no.such.host.invalid"])
async def test_no_such_name(host: str) -> None:
    """A name that the DNS cannot have, or has not, is no address."""
    with pytest.raises(OSError, match=r"."):
        await dialing.connected(host, 9)
