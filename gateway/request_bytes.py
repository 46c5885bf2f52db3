"""The head of a request as it goes over the wire. What could smuggle a line into it is refused.

https://www.rfc-editor.org/rfc/rfc9112#name-message-format
"""

from __future__ import annotations

import functools
import re
from typing import Final

from gateway import __version__
from gateway.destination import Destination
from gateway.exchange_faults import BAD_HEADERS
from providers.base import Fault, Request

USER_AGENT: Final = f"embedding-gateway/{__version__}"
_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection", "proxy-authorization"})
_HEAD: Final = re.compile(r"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[A-Za-z0-9!#$%&'*+.^_`|~-]+: [\t\x20-\x7e\x80-\xff]*\r\n)+")


def head(request: Request, destination: Destination, absolute: bool, proxy_authorization: str | None) -> bytes | Fault:
    """With `absolute`, the request line has the whole URL, which a proxy reads; BAD_HEADERS where it cannot be sent."""
    target = destination.absolute if absolute else destination.target
    proxy = proxy_authorization if absolute else None
    fixed = _fixed(request.method, target, destination.host, proxy, tuple(request.headers.items()))
    if isinstance(fixed, Fault):
        return fixed
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        return b"%bcontent-length: %d\r\n\r\n" % (fixed, len(request.body))
    return fixed + b"\r\n"


@functools.lru_cache(maxsize=256)
def _fixed(
    method: str, target: str, host: str, proxy_authorization: str | None, headers: tuple[tuple[str, str], ...]
) -> bytes | Fault:
    """All but the length and the empty line: calls to one target differ in nothing else, until its token changes."""
    lines = [f"{method} {target} HTTP/1.1\r\n"]
    given = set()
    for name, value in headers:
        small = name.lower()
        if small not in _OURS:
            given.add(small)
            lines.append(f"{name}: {value}\r\n")
    if "host" not in given:
        lines.insert(1, f"host: {host}\r\n")
    if "user-agent" not in given:
        lines.append(f"user-agent: {USER_AGENT}\r\n")
    if "accept-encoding" not in given:
        lines.append("accept-encoding: identity\r\n")
    if proxy_authorization is not None:
        lines.append(f"proxy-authorization: {proxy_authorization}\r\n")
    text = "".join(lines)
    if text.count("\r\n") != len(lines) or not _HEAD.fullmatch(text):  # a line more than lines: a value held one
        return BAD_HEADERS
    return text.encode("latin-1")
