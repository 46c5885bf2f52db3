import lzma
import runpy
import threading
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import tiktoken
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # tiktoken_ext has no py.typed

from gateway import tokens
from gateway.tokens import BadTokenIds, Decoded, FileCounter, TiktokenCounter, cl100k, counter, counts, decode

# Characters at which cl100k's pattern decides, their near misses, and some of several bytes.
TRICKY = st.text(alphabet=" \t\n\r\v\f\x1c\x85\xa0\u180e\u2003\u200b\u2028\u3000ab'sS19!.-é漢😀", max_size=60)
TEXTS = TRICKY | st.text()
BLANK = st.text(alphabet="  \t\n\r\x1c\u3000a1!", max_size=16)


@pytest.fixture(scope="module", name="encoding")
def _encoding() -> tiktoken.Encoding:
    return cl100k()


@pytest.fixture(scope="module", name="tokenizer_file")
def _tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words are tokens, two special ones go around them, and the file asks for truncation to 4 and padding to 16."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "hello": 3, "world": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=16)
    path = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="module", name="file_counter")
def _file_counter(tokenizer_file: Path) -> FileCounter:
    return FileCounter(tokenizer_file)


def ids_of(encoding: tiktoken.Encoding, raw: bytes) -> list[int]:
    """One token a byte."""
    return [encoding.encode_single_token(bytes([byte])) for byte in raw]


# ── the vocabulary ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("hello world", [15339, 1917]),
        ("tiktoken is great!", [83, 1609, 5963, 374, 2294, 0]),
        ("2 + 2 = 4", [17, 489, 220, 17, 284, 220, 19]),
        ("お誕生日おめでとう", [33334, 45918, 243, 21990, 9080, 33334, 62004, 16556, 78699]),
    ],
)
def test_known_ids(encoding: tiktoken.Encoding, text: str, ids: list[int]) -> None:
    """The packed vocabulary gives the ids that OpenAI's examples show."""
    assert ids == encoding.encode_ordinary(text)


def test_same_as_tiktoken(encoding: tiktoken.Encoding, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, pattern, ranks and special tokens are those that the installed tiktoken would make of its download."""

    def load(_: str, expected_hash: str) -> dict[bytes, int]:
        ranks = {token: rank for rank, token in enumerate(tokens.unpack(tokens.VOCABULARY.read_bytes()))}
        file = b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in ranks.items())
        assert expected_hash == sha256(file).hexdigest()
        return ranks

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load)

    assert openai_public.cl100k_base() == encoding.__getstate__()


def test_longest_token(encoding: tiktoken.Encoding) -> None:
    """No token is longer than the lower bound takes for granted."""
    longest = max(map(len, encoding.token_byte_values()))

    assert longest == tokens.LONGEST_TOKEN


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: b"",
        lambda packed: packed[:-20],
        lambda packed: lzma.compress(lzma.decompress(packed)[:-1]),
        lambda packed: lzma.compress(lzma.decompress(packed).replace(b"hello", b"hallo", 1)),
    ],
    ids=["empty", "cut off", "a byte short", "another token"],
)
def test_damaged_vocabulary(damage: Callable[[bytes], bytes]) -> None:
    """A damaged vocabulary is refused by name, with what to do."""
    with pytest.raises(RuntimeError, match=r"cl100k_base\.xz is .*install the package again"):
        tokens.unpack(damage(tokens.VOCABULARY.read_bytes()))


def test_pack_vocabulary() -> None:
    """The script packs npm's form of the vocabulary into the file that is shipped."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "pack-vocabulary"))
    packed = tokens.VOCABULARY.read_bytes()
    words = [b64encode(token).decode() for token in tokens.unpack(packed)]
    lines = ["! 60000 " + " ".join(words[60_000:]), "! 0 " + " ".join(words[:60_000])]

    parsed = script["parse"]("\n".join(lines))
    script["check"](parsed)

    assert lzma.decompress(packed) == script["pack"](parsed)


def test_pack_vocabulary_refuses() -> None:
    """The script refuses tokens that are not the published ones."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "pack-vocabulary"))

    with pytest.raises(SystemExit, match="not cl100k_base"):
        script["check"]([b"a", b"b"])


# ── counting ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(TEXTS)
def test_count_is_bounded(encoding: tiktoken.Encoding, text: str) -> None:
    """A count lies between the two cheap bounds."""
    counter = TiktokenCounter(encoding)

    assert counter.least(text) <= counter.count(text) <= counter.most(text)


@pytest.mark.parametrize(
    ("text", "most", "least"), [("", 0, 0), ("a" * 128, 128, 1), ("a" * 129, 129, 2), ("漢", 3, 1)]
)
def test_bounds(encoding: tiktoken.Encoding, text: str, most: int, least: int) -> None:
    """The bounds are the UTF-8 length and its 128th part, rounded up."""
    counter = TiktokenCounter(encoding)

    assert (most, least) == (counter.most(text), counter.least(text))


def test_special_tokens_are_text(encoding: tiktoken.Encoding) -> None:
    """What looks like a special token is counted as the text that it is."""
    assert len(encoding.encode_ordinary("<|endoftext|>")) == TiktokenCounter(encoding).count("<|endoftext|>") == 7


@given(BLANK | TEXTS, st.integers(1, 5))
@settings(max_examples=400)
def test_pieces_count_as_the_whole(encoding: tiktoken.Encoding, text: str, long: int) -> None:
    """The pieces' tokens, one after the other, are the whole text's."""
    parts = list(tokens.pieces(text, long))

    assert encoding.encode_ordinary(text) == [id_ for part in parts for id_ in encoding.encode_ordinary(part)]


def test_blanks() -> None:
    """The blanks are what tiktoken's regex takes for white space, but for carriage return and newline."""
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    bytewise = {bytes([byte]): byte for byte in range(256)}
    regex = tiktoken.Encoding("blanks", pat_str=r"[^\S\r\n]", mergeable_ranks=bytewise, special_tokens={})

    assert regex.decode(regex.encode_ordinary(every)) == tokens.BLANKS


@given(BLANK | TEXTS, st.integers(1, 5))
def test_pieces_hold_no_long_run(text: str, long: int) -> None:
    """No piece has a newline-free run of more than `long` blanks in front of something else."""
    for part in tokens.pieces(text, long):
        runs = tokens.SOME_BLANKS.finditer(part)

        assert not [
            run for run in runs if len(run[0]) > long and part[run.end() : run.end() + 1] not in ("", "\r", "\n")
        ]


@given(TRICKY)
def test_long_text_counts_as_short(encoding: tiktoken.Encoding, text: str) -> None:
    """Long texts are counted by another call of tiktoken, with the same result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "LONG", 0)
        long = TiktokenCounter(encoding).count(text)

    assert len(encoding.encode_ordinary(text)) == long


@pytest.mark.parametrize("blank", [" ", "\t", "\u3000"])
def test_a_million_blanks(encoding: tiktoken.Encoding, blank: str) -> None:
    """A run of blanks at which tiktoken's regex gives up is counted."""
    counter = TiktokenCounter(encoding)
    run = blank * 1_000_000

    assert 1 + counter.count("\n" + run[1:]) + counter.count(blank + "x") == counter.count("a\n" + run + "x")


@pytest.mark.parametrize(("text", "count"), [("", 2), ("hello world", 4), ("hello big wide world !", 7)])
def test_file_counter(file_counter: FileCounter, text: str, count: int) -> None:
    """A tokenizer file counts with its special tokens, and neither cuts nor pads."""
    assert count == file_counter.count(text)


@given(text=TEXTS)
def test_file_counter_is_bounded(file_counter: FileCounter, text: str) -> None:
    """A file's count lies between its bounds, special tokens and all."""
    assert file_counter.least(text) <= file_counter.count(text) <= file_counter.most(text)


def test_file_is_no_tokenizer(tmp_path: Path) -> None:
    """A file that is no tokenizer is refused by its path."""
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")

    with pytest.raises(ValueError, match=r"tokenizer\.json` is no tokenizer\.json"):
        FileCounter(path)


def facts(found: tokens.Counter) -> tuple[str, bool, int]:
    return found.name, found.exact, found.count("hello world")


def test_counter_of_cl100k() -> None:
    """cl100k_base is counted exactly."""
    expected = ("cl100k_base", True, 2)

    assert expected == facts(counter("cl100k_base"))


@pytest.mark.parametrize("name", ["o200k_base", "missing/tokenizer.json", "BAAI/bge-m3", ""])
def test_counter_of_unknown(name: str) -> None:
    """Any other name is estimated by cl100k_base."""
    expected = ("cl100k_base", False, 2)

    assert expected == facts(counter(name))


def test_counter_of_file(tokenizer_file: Path) -> None:
    """The path of a tokenizer.json is counted by that file, exactly."""
    expected = (str(tokenizer_file), True, 4)

    assert expected == facts(counter(str(tokenizer_file)))


@pytest.mark.parametrize(
    "texts",
    [[], ["hello world", "", "hello"], ["hello" * tokens.INLINE, "hello world"], ["hello"] * tokens.INLINE],
    ids=["none", "little", "one long", "many short"],
)
async def test_counts(encoding: tiktoken.Encoding, texts: list[str]) -> None:
    """Counts come in the order of the texts, however much text there is."""
    assert [len(encoding.encode_ordinary(text)) for text in texts] == await counts(TiktokenCounter(encoding), texts)


class Witness:
    """A counter that notes which thread it counts in."""

    name = "witness"
    exact = True

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def count(self, text: str) -> int:
        self.threads.add(threading.get_ident())
        return len(text)

    most = least = count


@pytest.mark.parametrize(
    ("texts", "inline"),
    [
        (["a" * (tokens.INLINE - 100)], True),
        (["a" * (tokens.INLINE + 1)], False),
        (["a"] * (tokens.INLINE // 2), False),
    ],
    ids=["little", "one long", "many short"],
)
async def test_counts_thread(texts: list[str], inline: bool) -> None:
    """Little text is counted at once, much text in another thread."""
    witness = Witness()
    await counts(witness, texts)

    assert inline == (witness.threads == {threading.get_ident()})


# ── decoding ──────────────────────────────────────────────────────────────────────────────────────────────────────


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
@pytest.mark.parametrize("refuse", [decode, tokens.check_ids])
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
    tokens.check_ids(encoding, [*range(100256), 100257, 100258, 100259, 100260, 100276])


def test_text_stays_out_of_logs() -> None:
    """A decoded text does not show itself."""
    assert "secret" not in repr(Decoded("secret", trimmed=False))
