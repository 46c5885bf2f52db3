from __future__ import annotations

import lzma
import runpy
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
import tiktoken
from tiktoken_ext import openai_public  # type: ignore[import-untyped]  # tiktoken_ext has no py.typed

from gateway import vocabulary
from gateway.tokens import counter
from gateway.vocabulary import cl100k


@pytest.fixture(scope="module", name="encoding")
def _encoding() -> tiktoken.Encoding:
    return cl100k()


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
        ranks = vocabulary.unpack(vocabulary.VOCABULARY.read_bytes())
        file = b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in ranks.items())
        assert expected_hash == sha256(file).hexdigest()
        return ranks

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", load)

    theirs = openai_public.cl100k_base()
    assert vocabulary.unpack(vocabulary.VOCABULARY.read_bytes()) == theirs["mergeable_ranks"]
    assert {**theirs, "mergeable_ranks": {}} == encoding.__getstate__()  # where 12 MB lie unused


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
        vocabulary.unpack(damage(vocabulary.VOCABULARY.read_bytes()))


def test_published_vocabulary() -> None:
    """The tokens are those whose sum tiktoken publishes."""
    published = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
    ranks = vocabulary.unpack(vocabulary.VOCABULARY.read_bytes())
    file = b"".join(b"%b %d\n" % (b64encode(token), rank) for token, rank in ranks.items())

    assert published == sha256(file).hexdigest()


def test_damage_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter by a damaged vocabulary is refused when it is made, not when it first counts."""
    monkeypatch.setattr(vocabulary, "VOCABULARY", tmp_path / "cl100k_base.xz")
    vocabulary.VOCABULARY.write_bytes(b"damaged")

    with pytest.raises(RuntimeError, match=r"cl100k_base\.xz is damaged .*install the package again"):
        counter("cl100k_base")


def test_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vocabulary is loaded when it is first asked for, once, however many threads ask at the same time."""
    monkeypatch.setattr(vocabulary, "_loaded", [])
    before = vocabulary.is_loaded()
    with ThreadPoolExecutor(4) as pool:
        encodings = list(pool.map(lambda _: cl100k(), range(4)))

    assert (False, True, {encodings[0]}) == (before, vocabulary.is_loaded(), set(encodings))


def test_pack_vocabulary() -> None:
    """The script packs npm's form of the vocabulary into the file that is shipped."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "pack-vocabulary"))
    packed = vocabulary.VOCABULARY.read_bytes()
    words = [b64encode(token).decode() for token in vocabulary.unpack(packed)]
    lines = ["! 60000 " + " ".join(words[60_000:]), "! 0 " + " ".join(words[:60_000])]

    parsed = script["parse"]("\n".join(lines))
    script["check"](parsed)

    assert lzma.decompress(packed) == script["pack"](parsed)


def test_pack_vocabulary_refuses() -> None:
    """The script refuses tokens that are not the published ones."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "pack-vocabulary"))

    with pytest.raises(SystemExit, match="not cl100k_base"):
        script["check"]([b"a", b"b"])
