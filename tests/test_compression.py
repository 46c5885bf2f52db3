"""Bodies are decompressed as far as they may go."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway import compression
from gateway.exchange_faults import NOT_DECOMPRESSED, TOO_LARGE

BODY = b"vectors " * 100


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body)[2:-4]


@pytest.mark.parametrize(
    ("codings", "sent"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("X-GZIP", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:13]) + gzip.compress(BODY[13:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
    ],
)
def test_codings(codings: str, sent: bytes) -> None:
    """What servers apply is undone, the last first."""
    assert BODY == compression.decoded(sent, codings, len(BODY))


@pytest.mark.parametrize("codings", ["gzip", "deflate"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_bomb(codings: str, pieces: int) -> None:
    """A body that unpacks to a byte more than the limit is too large."""
    bomb = gzip.compress(BODY) * pieces if codings == "gzip" else zlib.compress(BODY * pieces)

    assert TOO_LARGE == compression.decoded(bomb, codings, len(BODY) * pieces - 1)


@pytest.mark.parametrize(
    ("codings", "sent"),
    [
        ("gzip", b""),
        ("gzip", b"plain"),
        ("gzip", gzip.compress(BODY)[:-1]),
        ("gzip", gzip.compress(BODY) + b"more"),
        ("deflate", b"plain"),
        ("deflate", zlib.compress(BODY)[:-1]),
        ("deflate", raw_deflate(BODY)[:-1]),
        ("br", BODY),
        ("zstd", BODY),
    ],
)
def test_damaged(codings: str, sent: bytes) -> None:
    """What is cut, damaged or of an unknown kind is a fault."""
    assert NOT_DECOMPRESSED == compression.decoded(sent, codings, 10_000)
