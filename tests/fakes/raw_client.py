"""A client that sends bytes as they are, and takes answers apart by hand."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

GUARD = 60.0
"""Seconds after which a read that hangs fails."""
STUCK = 0.3


@dataclass(frozen=True, slots=True)
class Answer:
    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    def header(self, name: str) -> str | None:
        """The only one of its name."""
        values = [value for own, value in self.headers if own == name]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None


def request(path: str = "/", method: str = "GET", *lines: str, body: bytes = b"", version: str = "1.1") -> bytes:
    """`lines` are further headers; a body's length is told unless it is chunked, or empty."""
    head = [f"{method} {path} HTTP/{version}", "host: x", *lines]
    if body and not any(line.startswith("transfer-encoding") for line in lines):
        head.append(f"content-length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


class RawClient:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=GUARD)
        self._came = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        self.socket.sendall(b"".join(parts))

    def until_stuck(self, part: bytes) -> int:
        """How many bytes the server takes of one part after the other, until it takes no more for a while."""
        sent = 0
        self.socket.settimeout(STUCK)
        try:
            while True:
                sent += self.socket.send(part)
        except TimeoutError:
            return sent
        finally:
            self.socket.settimeout(GUARD)

    def ask(self, *parts: bytes) -> Answer:
        self.send(*parts)
        return self.answer()

    def head(self) -> tuple[str, list[tuple[str, str]]]:
        while b"\r\n\r\n" not in self._came:
            self._read()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        line, *headers = head.decode("latin-1").split("\r\n")
        pairs = [header.partition(": ") for header in headers]
        return line, [(name, value) for name, _, value in pairs]

    def answer(self, *, bodiless: bool = False) -> Answer:
        line, headers = self.head()
        length = 0 if bodiless else int(dict(headers)["content-length"])
        while len(self._came) < length:
            self._read()
        body, self._came = self._came[:length], self._came[length:]
        return Answer(line, headers, body)

    def some(self, size: int) -> bytes:
        """So many bytes at least of what comes after a head, or before it."""
        while len(self._came) < size:
            self._read()
        return self._came

    def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        try:
            while True:
                self._read()
        except EOFError:
            return self._came

    def _read(self) -> None:
        part = self.socket.recv(2**20)
        if not part:
            raise EOFError(f"the server has closed the connection after {self._came!r}")
        self._came += part
