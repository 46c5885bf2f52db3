"""The head of an ordinary answer, read in one go: which is all heads but for those that ask for more care.

What is read here is a part of what the parser reads, and is read alike: HTTP/1.1, a status that has a body, one length,
and nothing that says how the body is to be read or that the connection ends. Anything else is left to the parser.
https://www.rfc-editor.org/rfc/rfc9112#name-message-format
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

_HEAD: Final = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) [\t -~\x80-\xff]*+"
    rb"((?:\r\n[A-Za-z0-9!#$%&'*+.^_`|~-]++:[\t -~\x80-\xff]*+)++)\r\n\r\n"
)
_WEIGHTY: Final = re.compile(
    rb"\r\n(content-length|content-encoding|transfer-encoding|(?:proxy-)?connection|upgrade):[\t ]*([^\r]*)"
)
_BODILESS: Final = (b"204", b"304")


class Headers(Mapping[str, str]):
    """Lines of a head, which are taken apart when somebody looks: of most answers nobody does."""

    __slots__ = ("_lines", "_told")

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self._told: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, str]:
        if self._told is None:
            lines = (line.partition(b":") for line in self._lines.split(b"\r\n") if line)
            self._told = told((name, value) for name, _, value in lines)
        return self._told


class Head(NamedTuple):
    """`size` are the head's own bytes, `length` those of the body behind it."""

    status: int
    headers: Headers
    length: int
    size: int


def read(data: memoryview | bytes) -> Head | None:
    """The head that the bytes begin with; None where it has not come whole, or the parser has to read it."""
    found = _HEAD.match(data)
    if found is None:
        return None
    status, lines = found.group(1, 2)
    length = None
    for name, value in _WEIGHTY.findall(lines.lower()):
        if name == b"content-length" and length is None and value.isdigit() and len(value) < 16:
            length = int(value)
        elif name != b"connection" or value != b"keep-alive":
            return None
    if length is None or status in _BODILESS:
        return None
    return Head(int(status), Headers(lines), length, found.end())


def told(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case, with the values of one name joined."""
    headers: dict[str, str] = {}
    for raw, value in lines:
        name, text = _name(raw), _text(value)
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers


@functools.lru_cache(maxsize=256)
def _name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()
