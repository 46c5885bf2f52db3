"""Decompresses an answer's body, and never to more than is wanted.

Requests say `accept-encoding: identity`: vectors hardly compress. Some servers and relays compress all the same.
https://www.rfc-editor.org/rfc/rfc9110#name-content-codings
"""

from __future__ import annotations

import zlib
from typing import Final

from gateway.exchange_faults import NOT_DECOMPRESSED, TOO_LARGE
from providers.base import Fault

_GZIP: Final = 31
_ZLIB: Final = 15
_RAW: Final = -15
"""What some servers take `deflate` for."""


def decoded(body: bytes, codings: str, most: int) -> bytes | Fault:
    """`codings` is the header `content-encoding`, whose last was applied last; at most `most` bytes come out."""
    for coding in reversed([word.strip().lower() for word in codings.split(",")]):
        if coding in ("", "identity"):
            continue
        try:
            if coding in ("gzip", "x-gzip"):
                plain = _members(body, most)
            elif coding == "deflate":
                plain = _deflated(body, most)
            else:
                return NOT_DECOMPRESSED
        except zlib.error:
            return NOT_DECOMPRESSED
        if isinstance(plain, Fault):
            return plain
        body = plain
    return body


def _members(body: bytes, most: int) -> bytes | Fault:
    """Gzip allows several streams, one behind the other."""
    parts: list[bytes] = []
    rest = body
    while rest or not parts:
        one = zlib.decompressobj(_GZIP)
        parts.append(one.decompress(rest, most + 1 - sum(map(len, parts))))
        if sum(map(len, parts)) > most:
            return TOO_LARGE
        if not one.eof:
            return NOT_DECOMPRESSED
        rest = one.unused_data
    return b"".join(parts)


def _deflated(body: bytes, most: int) -> bytes | Fault:
    try:
        return _stream(body, _ZLIB, most)
    except zlib.error:
        return _stream(body, _RAW, most)


def _stream(body: bytes, kind: int, most: int) -> bytes | Fault:
    one = zlib.decompressobj(kind)
    plain = one.decompress(body, most + 1)
    if len(plain) > most:
        return TOO_LARGE
    return plain if one.eof else NOT_DECOMPRESSED
