from __future__ import annotations

from collections.abc import Callable

import pytest
import tiktoken
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway import token_ids
from gateway.token_ids import BadTokenIds, Decoded, decode
from gateway.vocabulary import cl100k

# Characters at which cl100k's pattern decides, their near misses, and some of several bytes.
TRICKY = st.text(alphabet=" \t\n\r\v\f\x1c\x85\xa0\u180e\u2003\u200b\u2028\u3000ab'sS19!.-é漢😀", max_size=60)
TEXTS = TRICKY | st.text()
RUNS = st.lists(st.builds(str.__mul__, st.sampled_from("   \t\n\r\x1c\u3000a1!"), st.integers(1, 7))).map("".join)


@pytest.fixture(scope="module", name="encoding")
def _encoding() -> tiktoken.Encoding:
    return cl100k()


def ids_of(encoding: tiktoken.Encoding, raw: bytes) -> list[int]:
    """One token a byte."""
    return [encoding.encode_single_token(bytes([byte])) for byte in raw]


@given(TEXTS)
def test_decode_reverses_encode(encoding: tiktoken.Encoding, text: str) -> None:
    """The ids of a text decode to that text, untrimmed."""
    assume(text)

    assert Decoded(text, trimmed=False) == decode(encoding, encoding.encode_ordinary(text))


@given(st.text(alphabet="aé漢😀🏳\u0301ß한", min_size=1, max_size=30), st.data())
def test_cut_anywhere(encoding: tiktoken.Encoding, text: str, data: st.DataObject) -> None:
    """Ids cut anywhere decode to the whole characters among them."""
    ids = encoding.encode_ordinary(text)
    start = data.draw(st.integers(0, len(ids)))
    raw = encoding.decode_bytes(ids[start : data.draw(st.integers(start, len(ids)))])
    whole = raw.decode(errors="ignore")
    assume(whole)

    assert Decoded(whole, trimmed=whole.encode() != raw) == decode(encoding, ids_of(encoding, raw))
    assert whole in text


@given(st.binary(max_size=12) | st.text(max_size=4).map(lambda text: text.encode()[1:-1]))
def test_any_bytes(encoding: tiktoken.Encoding, raw: bytes) -> None:
    """Whatever the bytes, at most three at each edge are dropped from a text."""
    try:
        decoded = decode(encoding, ids_of(encoding, raw))
    except BadTokenIds:
        return
    head, text, tail = raw.partition(decoded.text.encode())

    assert text
    assert max(len(head), len(tail)) <= 3
    assert decoded.trimmed == bool(head or tail)


@pytest.mark.parametrize(
    "raw", [b"\x9f\x98\x80ok", b"\x80ok", b"ok\xf0\x9f\x98", b"ok\xe6", b"\xbc\xa2ok\xc3", b"ok\xed\x9f"]
)
def test_half_characters(encoding: tiktoken.Encoding, raw: bytes) -> None:
    """Half a character at an edge is dropped."""
    assert Decoded("ok", trimmed=True) == decode(encoding, ids_of(encoding, raw))


@pytest.mark.parametrize(
    ("raw", "position"),
    [
        (b"\x80\x80\x80\x80ok", 3),
        (b"\xffok", 0),
        (b"\x80\xffok", 1),
        (b"ok\xff", 2),
        (b"ok\xc0", 2),
        (b"ok\x80", 2),
        (b"ok\xf4\x90", 2),
        (b"ok\xe0\x80", 2),
        (b"ok\xed\xa0", 2),
        (b"o\xe6\xbck", 1),
        (b"ok\xed\xa0\x80", 2),
    ],
)
def test_not_utf8(encoding: tiktoken.Encoding, raw: bytes, position: int) -> None:
    """Bytes that are no half character at an edge are refused with the position of their id."""
    with pytest.raises(BadTokenIds, match=f"at position {position} adds is not UTF-8") as caught:
        decode(encoding, ids_of(encoding, raw))

    assert position == caught.value.position


def test_position_counts_ids(encoding: tiktoken.Encoding) -> None:
    """The position is that of the id, not of its byte."""
    before = encoding.encode_ordinary("hello world")
    ids = [*before, *ids_of(encoding, b"\xff"), *before]

    with pytest.raises(BadTokenIds) as caught:
        decode(encoding, ids)

    assert len(before) == caught.value.position


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\xf0\x9f\x98", b"\x9f\x98\xe6\xbc"])
def test_nothing_left(encoding: tiktoken.Encoding, raw: bytes) -> None:
    """Ids without one whole character are refused."""
    with pytest.raises(BadTokenIds, match="no whole character") as caught:
        decode(encoding, ids_of(encoding, raw))

    assert caught.value.position is None


@pytest.mark.parametrize(
    "token_id",
    [-1, 100256, 100261, 100275, 100277, 2**31, 2**32 + 1, 2**64, 10**5000, -(10**5000)],
    ids=["negative", "gap", "gap's start", "gap's end", "next", "2^31", "2^32+1", "2^64", "huge", "huge negative"],
)
@pytest.mark.parametrize("refuse", [decode, token_ids.check_ids])
def test_outside_the_vocabulary(
    encoding: tiktoken.Encoding, refuse: Callable[[tiktoken.Encoding, list[int]], object], token_id: int
) -> None:
    """An id outside the vocabulary is refused with its position."""
    before = encoding.encode_ordinary("hello")

    with pytest.raises(BadTokenIds, match="position 1 is not in the vocabulary of `cl100k_base`") as caught:
        refuse(encoding, [*before, token_id, token_id])

    assert len(before) == caught.value.position


def test_ids_inside_the_vocabulary(encoding: tiktoken.Encoding) -> None:
    """Every id of the vocabulary is let through, special ones and parts of characters too."""
    token_ids.check_ids(encoding, [*range(100256), 100257, 100258, 100259, 100260, 100276])


def test_text_stays_out_of_logs() -> None:
    """A decoded text does not show itself."""
    assert "secret" not in repr(Decoded("secret", trimmed=False))
