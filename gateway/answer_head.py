"""The head of an answer as bytes: its status line and its headers, of which none can become two."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

Header = tuple[bytes, bytes]

_LINES: Final = {status.value: b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in HTTPStatus}
_CONTROLS: Final = bytes({*range(32), 127} - {9})
"""What no header may hold: all control characters but the tab. https://www.rfc-editor.org/rfc/rfc9110#section-5.5"""


class HeaderError(Exception):
    """A header would end its line, or the head: whoever chose its value would write the rest of the answer."""


def head(status: int, headers: Sequence[Header]) -> bytes:
    """With the empty line that ends it. Names are in lower case and ours. Raises HeaderError."""
    line = _LINES.get(status) or b"HTTP/1.1 %d " % status
    written = b"\r\n".join([line, *map(b": ".join, headers), b"\r\n"])
    if len(written) - len(written.translate(None, _CONTROLS)) != 2 * (len(headers) + 2):  # ours are the only line ends
        raise HeaderError("A header holds a control character.")
    return written


def closes(connection: bytes) -> bool:
    """Whether a `connection` header says that no other request is answered on it."""
    return b"close" in [token.strip().lower() for token in connection.split(b",")]
