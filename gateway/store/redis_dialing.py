"""How a connection to a server is opened, up to where it takes commands, and how a command is written."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import hiredis

from gateway.store import StoreError
from gateway.store.redis_channel import RedisChannel
from gateway.store.redis_faults import LoginRefused, Lost, Refused

FAILURES: Final = (OSError, UnicodeError, Lost, LoginRefused, Refused)
"""Of opening a connection, those of TLS and TimeoutError among them; a host's name may be none."""

Words = Sequence[str | bytes | float]


def pack(words: Words) -> bytes:
    """Numbers with every digit that they have, texts as UTF-8, be they whatever Python can hold."""
    try:
        return _pack(tuple(words))
    except UnicodeEncodeError:
        return _pack(tuple(word.encode("utf-8", "surrogatepass") if isinstance(word, str) else word for word in words))


def _pack(words: tuple[str | bytes | float, ...]) -> bytes:
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its types forget longer ones
    return packed


@functools.lru_cache(maxsize=1)
def trusting(ca_file: str | None) -> ssl.SSLContext:
    """For TLS, the same for all connections: reading the certificate authorities takes 50 ms. Raises StoreError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise StoreError(f"`state.ca_file`: {ca_file} cannot be used: it must be a file of PEM certificates.") from None


@dataclass(frozen=True, slots=True)
class Dial:
    """`seconds` are what an answer may take."""

    seconds: float
    tls: ssl.SSLContext | None = None
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    database: int = 0

    async def open(self, host: str, port: int) -> RedisChannel:
        """Raises one of `FAILURES`."""
        channel = RedisChannel(self.seconds)
        loop, name = asyncio.get_running_loop(), None if self.tls is None else host
        await loop.create_connection(lambda: channel, host, port, ssl=self.tls, server_hostname=name)
        try:
            await self._log_in(channel)
        except BaseException:
            channel.abort()
            raise
        return channel

    async def _log_in(self, channel: RedisChannel) -> None:
        """Nothing else is sent before: it might be done as another user, or in another database."""
        if self.user is not None or self.password is not None:
            login = (self.password or "",) if self.user is None else (self.user, self.password or "")
            answer = await channel.ask(pack(("AUTH", *login)))
            if isinstance(answer, Refused) and not answer.is_loss:
                raise LoginRefused
            _require(answer)
        if self.database:
            _require(await channel.ask(pack(("SELECT", self.database))))


def _require(answer: Any) -> None:
    if isinstance(answer, Exception):
        raise answer
