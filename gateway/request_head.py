"""What a request's head says beyond what the parser tells of it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from urllib.parse import unquote

import httptools

from gateway.answer_head import Header


@functools.lru_cache(64)
def target(url: bytes) -> tuple[str, bytes, bytes]:
    """The path without its escapes, the path as it is, and the query.

    Raises ValueError, or one of httptools' errors, where there is no path.
    """
    if url.startswith(b"/") and b"#" not in url:
        raw_path, _, query = url.partition(b"?")
    else:  # as clients send it to proxies: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
        parsed = httptools.parse_url(url)
        raw_path, query = parsed.path or b"", parsed.query or b""
        if not raw_path:
            raise ValueError("there is no path")
    return unquote(raw_path.decode("ascii")), raw_path, query


def plain(method: bytes, url: bytes, headers: Sequence[Header]) -> bytes:
    """A head without its wish for another protocol. Raises ValueError where it had none, as in CONNECT."""
    others = [b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]
    if len(others) == len(headers):
        raise ValueError("another protocol comes by itself")
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, url, b"".join(others))
