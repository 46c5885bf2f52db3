"""Answers are read alike however their bytes arrive, and only right ones."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.answer_bytes import AnswerBytes
from gateway.answer_parser import MOST_FRAMING
from gateway.exchange_faults import BROKEN_OFF, CLOSED_EARLY, NOT_HTTP, TOO_LARGE
from providers.base import Fault, Response

MOST = 3000
OK = b"HTTP/1.1 200 OK\r\n"


def arrive(answer: AnswerBytes, data: bytes) -> None:
    """As a connection receives: into the room that there is, or else in one piece."""
    while data and answer.outcome is None:
        if answer.room is None:
            answer.feed(memoryview(data))
            return
        count = min(len(data), len(answer.room))
        answer.room[:count] = data[:count]
        answer.fill(count)
        data = data[count:]


def read(pieces: Sequence[bytes], most: int = MOST) -> tuple[Response | Fault | None, bool]:
    """What comes of them when the connection closes then, and whether it could have been used again."""
    answer = AnswerBytes(most)
    for piece in pieces:
        arrive(answer, piece)
    reusable = answer.reusable
    answer.end()
    return answer.outcome, reusable


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]
    return [raw[begin:end] for begin, end in itertools.pairwise(edges) if begin < end]


def chunked(body: bytes, places: Sequence[int], ending: bytes = b"") -> bytes:
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in cut(body, places))
    return chunks + b"0\r\n" + ending + b"\r\n"


PLACES = st.lists(st.integers(0, 5000), max_size=8)
BODIES = st.binary(max_size=2000)


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Response, bool]:
    """The bytes, what they say, and whether the connection is kept."""
    body, status = draw(BODIES), draw(st.sampled_from([200, 201, 400, 429, 503]))
    interim = b"HTTP/1.1 103 Early Hints\r\nx-early: 1\r\n\r\n" * draw(st.integers(0, 2))
    version, closing = draw(st.sampled_from([(b"1.1", False), (b"1.1", True), (b"1.0", True)]))
    head = interim + b"HTTP/%b %d What\r\nX-One:  1 \r\nx-one: 2\r\n" % (version, status)
    said = {"x-one": "1, 2"}
    if closing and version == b"1.1":
        head, said = head + b"connection: close\r\n", {**said, "connection": "close"}
    framing = draw(st.sampled_from(["length", "chunks", "end"] if version == b"1.1" else ["length", "end"]))
    if framing == "length":
        said["content-length"] = str(len(body))
        raw = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    elif framing == "chunks":
        said["transfer-encoding"] = "chunked"
        raw = head + b"transfer-encoding: chunked\r\n\r\n" + chunked(body, draw(PLACES), b"x-trailer: 1\r\n")
    else:
        raw = head + b"\r\n" + body
    return raw, Response(status, said, body), not closing and framing != "end"


@given(answers(), PLACES)
def test_any_pieces(answer: tuple[bytes, Response, bool], places: list[int]) -> None:
    """A right answer is read whole, wherever its bytes are cut."""
    raw, expected, kept = answer

    assert (expected, kept) == read(cut(raw, places))


@given(answers(), st.integers(0, 4000))
def test_cut_short(answer: tuple[bytes, Response, bool], place: int) -> None:
    """An answer that ends early is none, unless its end is all that says how long it is."""
    raw, expected, _ = answer
    part = raw[: place % len(raw)]
    outcome, kept = read([part])
    endless = not {"content-length", "transfer-encoding"} & expected.headers.keys()

    assert not kept
    assert outcome == CLOSED_EARLY or (endless and isinstance(outcome, Response))


@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(lambda a, b, at: a[0][:at] + b + a[0][at:], answers(), BODIES, PLACES.map(sum)),
    ),
    PLACES,
)
@example(OK + b"content-length: 1\r\n\r\nab", [])
def test_garbage(raw: bytes, places: list[int]) -> None:
    """Whatever comes is an answer or a fault, and the same one wherever its bytes are cut."""
    outcome, _ = read([raw])

    assert isinstance(outcome, Response | Fault)
    assert outcome == read(cut(raw, places))[0]


@given(BODIES, st.binary(min_size=1, max_size=50).filter(lambda more: more.strip(b"\r\n") != b""), st.integers(0, 100))
def test_more_than_was_asked_for(body: bytes, more: bytes, before: int) -> None:
    """What follows an answer at once is no part of it, and ends the connection."""
    raw = OK + b"content-length: %d\r\n\r\n" % len(body)

    expected = Response(200, {"content-length": str(len(body))}, body)
    assert (expected, False) == read([raw + body + more])
    early = body[: before % (len(body) or 1)]
    if early != body:
        assert (expected, False) == read([raw + early, body[len(early) :] + more])


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        OK + b"no header\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nab",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"content-length: 1e3\r\n\r\n",
        OK + b"content-length:\r\n\r\n",
        OK + b"content-length: 99999999999999999999999\r\n\r\n",
        OK + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: gzip\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_not_http(raw: bytes) -> None:
    """What breaks the rules of HTTP is a fault at once, and not only when the connection ends."""
    answer = AnswerBytes(MOST)
    answer.feed(raw)

    assert NOT_HTTP == answer.outcome


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(("header", "kept"), [(b"", True), (b"content-length: 5\r\n", False)])
def test_no_body(status: int, header: bytes, kept: bool) -> None:
    """Two kinds of answers have no body, whatever they say; those that say otherwise end the connection."""
    answer = AnswerBytes(MOST)
    answer.feed(b"HTTP/1.1 %d No\r\n%b\r\n" % (status, header))

    assert isinstance(answer.outcome, Response)
    assert (status, b"", kept) == (answer.outcome.status, answer.outcome.body, answer.reusable)


@pytest.mark.parametrize(
    "framed",
    [
        lambda body: OK + b"content-length: %d\r\n\r\n" % len(body) + body,
        lambda body: OK + b"transfer-encoding: chunked\r\n\r\n" + chunked(body, [7]),
        lambda body: OK + b"\r\n" + body,
    ],
    ids=["length", "chunks", "end"],
)
@pytest.mark.parametrize(("size", "fits"), [(MOST, True), (MOST + 1, False)])
def test_limit(framed: object, size: int, fits: bool) -> None:
    """A body may be as large as the limit."""
    assert callable(framed)
    outcome, _ = read([framed(b"x" * size)])

    assert fits == isinstance(outcome, Response)
    assert fits or outcome == TOO_LARGE


def test_announced_size() -> None:
    """A body that is announced too large is not waited for."""
    answer = AnswerBytes(MOST)
    answer.feed(OK + b"content-length: %d\r\n\r\n" % (MOST + 1))

    assert TOO_LARGE == answer.outcome


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (OK, b"x-header: 1\r\n"),
        (OK + b"x-header: ", b"x" * 100),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"transfer-encoding: chunked\r\n\r\n1;", b"e" * 100),
        (OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-trailer: 1\r\n"),
    ],
    ids=["headers", "header", "interim", "extension", "trailers"],
)
def test_endless_framing(begin: bytes, more: bytes) -> None:
    """What is no body and has no end is given up."""
    answer = AnswerBytes(MOST)
    answer.feed(begin)
    for _ in range(MOST_FRAMING // len(more) + 1):
        answer.feed(more)

    assert NOT_HTTP == answer.outcome


def test_compressed() -> None:
    """A compressed body is handed on decompressed."""
    body = gzip.compress(b"x" * 1000)
    outcome, kept = read([OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body])

    assert isinstance(outcome, Response)
    assert (b"x" * 1000, True) == (outcome.body, kept)


def test_lost() -> None:
    """A connection that breaks is no end of an answer."""
    answer = AnswerBytes(MOST)
    answer.feed(OK + b"\r\nbody")
    answer.lose()

    assert BROKEN_OFF == answer.outcome
