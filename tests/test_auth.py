"""Keys and callers: what a key looks like, whom it stands for, for how long, and that it is never shown."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.auth import Caller, KeyRecord, bearer, key_hash, masked, new_key, well_formed

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
KEY = new_key()
ANY_CHARACTER = st.characters()
"""Lone surrogates, too."""


def key_of(random_part: str) -> str:
    letters = iter(random_part)
    return new_key(lambda alphabet: next(letters))


KEYS = st.text(BASE62, min_size=43, max_size=43).map(key_of)


# ── what a key looks like ─────────────────────────────────────────────────────────────────────────────────────────


def test_shape() -> None:
    """A key is its prefix, 43 random characters of base62, and 6 of checksum."""

    assert re.fullmatch("sk-gateway-[0-9A-Za-z]{43}[0-9A-Za-z]{6}", new_key())


@pytest.mark.parametrize(
    ("random_part", "checksum"),
    [("0" * 43, "2CZclj"), ("z" * 43, "0UsatS"), ("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg", "37cCQ0")],
)
def test_checksum(random_part: str, checksum: str) -> None:
    """The checksum is the CRC-32 in base62, padded with zeros: keys once given out must stay well formed."""

    assert f"sk-gateway-{random_part}{checksum}" == key_of(random_part)


def test_alphabet() -> None:
    """Each of the random characters is chosen from base62."""
    asked: list[str] = []
    new_key(lambda alphabet: asked.append(alphabet) or "0")  # type: ignore[func-returns-value]

    assert [BASE62] * 43 == asked


def test_keys_differ() -> None:
    """No two keys are alike."""

    assert 100 == len({new_key() for _ in range(100)})


@given(KEYS)
def test_new_keys_are_well_formed(key: str) -> None:
    """Every key that can be made is well formed."""

    assert well_formed(key)


@given(KEYS, st.data())
def test_substitution(key: str, data: st.DataObject) -> None:
    """A key with any one character replaced by any other is not well formed."""
    place = data.draw(st.integers(0, len(key) - 1))
    other = data.draw(st.sampled_from(BASE62) | ANY_CHARACTER)
    assume(other != key[place])

    assert not well_formed(key[:place] + other + key[place + 1 :])


@given(KEYS, st.data())
def test_swap(key: str, data: st.DataObject) -> None:
    """A key with any two neighbours swapped is not well formed."""
    place = data.draw(st.integers(0, len(key) - 2))
    first, second = key[place], key[place + 1]
    assume(first != second)

    assert not well_formed(key[:place] + second + first + key[place + 2 :])


@given(st.text(ANY_CHARACTER))
def test_any_text(text: str) -> None:
    """A text at random is not well formed, whatever it holds."""

    assert not well_formed(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-gateway-",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.upper(),
        KEY.replace("gateway", "proj"),
        KEY * 2,
    ],
    ids=["empty", "prefix", "cut", "long", "newline", "blank", "upper case", "other prefix", "twice"],
)
def test_nearly_a_key(text: str) -> None:
    """A key with more, less or other than its own characters is not well formed."""

    assert not well_formed(text)


def test_hash() -> None:
    """The hash of a key is its SHA-256 in lower-case hex."""

    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == key_hash("abc")


# ── the header ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("authorization", "api_key", "expected"),
    [
        ("Bearer k", None, "k"),
        ("bearer k", None, "k"),
        ("BEARER k", None, "k"),
        ("Bearer   k  ", None, "k"),
        ("Bearer k l", None, "k l"),
        ("Bearer", None, None),
        ("Bearer ", None, None),
        ("Bearer    ", None, None),
        ("", None, None),
        ("Basic azpr", None, "k"),
        ("basic OnNr", None, "sk"),
        ("Basic YTpiOmM=", None, "b:c"),
        ("Basic  dTpr ", None, "k"),
        ("Basic a2V5", None, None),
        ("Basic dXNlcjo=", None, None),
        ("Basic Og==", None, None),
        ("Basic", None, None),
        ("Basic azp", None, None),
        ("Basic a*zpr", None, None),
        ("Basic /zr/", None, None),
        ("Basic é", None, None),
        ("k", None, None),
        ("Bearerk", None, None),
        (None, None, None),
        (None, "k", "k"),
        (None, " k ", "k"),
        (None, "", None),
        (None, "  ", None),
        ("Bearer k", "other", "k"),
        ("Bearer ", "k", "k"),
        ("Basic azpr", "other", "k"),
        ("Basic dXNlcjo=", "k", "k"),
    ],
)
def test_bearer(authorization: str | None, api_key: str | None, expected: str | None) -> None:
    """The key comes from a bearer header or is the password of a basic one, or else Azure's, or there is none."""

    assert expected == bearer(authorization, api_key)


# ── what a caller may use ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "alias", "expected"),
    [
        ("text-small", "text-small", True),
        ("text-small", "text-small-2", False),
        ("text-small", "a-text-small", False),
        ("Text-small", "text-small", False),
        ("text-small", "Text-small", False),
        ("text-*", "text-small", True),
        ("text-*", "text-", True),
        ("text-*", "a-text-small", False),
        ("*", "team/small:query", True),
        ("*", "", True),
        ("team/*", "team/a/b", True),
        ("*-small", "text-small", True),
        ("*e*t*", "text-embedding", True),
        ("a*b*c", "abcb", False),
        ("text-?", "text-s", False),
        ("text-?", "text-?", True),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
        ("[!a]*", "[!a]-small", True),
        ("[", "[", True),
        ("a.c", "abc", False),
        ("a\\*", "a\\small", True),
        ("*", "a\nb", True),
        ("", "a", False),
    ],
)
def test_models(pattern: str, alias: str, expected: bool) -> None:
    """In the name of a model `*` stands for any characters, and every other character for itself."""

    assert expected == Caller("id", "name", (pattern,)).may_use(alias)


@pytest.mark.parametrize(("models", "expected"), [((), False), (("a", "b"), True), (("a", "c"), False)])
def test_several_models(models: tuple[str, ...], expected: bool) -> None:
    """A caller may use what any of its patterns allows."""

    assert expected == Caller("id", "name", models).may_use("b")


@pytest.mark.parametrize(
    ("models", "narrowed", "expected"),
    [
        (("*",), ("b",), True),
        (("*",), ("a",), False),
        (("b*",), ("*b",), True),
        (("a",), ("*",), False),
        (("a",), ("b",), False),
        (("b",), (), False),
        ((), ("b",), False),
    ],
)
def test_narrowed_models(models: tuple[str, ...], narrowed: tuple[str, ...], expected: bool) -> None:
    """A narrowed caller may use what both allow, and never more than before."""
    assert expected == Caller("id", "name", models, narrowed).may_use("b")


# ── the record of a key ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expires", "revoked", "expected"),
    [
        (None, None, True),
        (100.1, None, True),
        (100.0, None, False),
        (99.9, None, False),
        (None, 100.1, True),
        (None, 100.0, False),
        (None, 0.0, False),
        (200.0, 99.0, False),
        (99.0, 200.0, False),
    ],
)
def test_usable(expires: float | None, revoked: float | None, expected: bool) -> None:
    """A key works until the moment that it expires or is revoked."""

    assert expected == KeyRecord("id", "name", "hash", expires=expires, revoked=revoked).usable_at(100.0)


def test_repr_of_a_record() -> None:
    """A record that is printed does not show the key's hash."""

    assert "hash" not in repr(KeyRecord("id", "name", "hash"))


# ── never shown ───────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(BASE62 + "-_", min_size=20))
def test_key_is_not_repeated(key: str) -> None:
    """What is shown of a key is not all of it."""
    assert key not in masked(key)


@pytest.mark.parametrize("key", ["hunter2", "0123456789012345678"])
def test_short_key_is_not_shown(key: str) -> None:
    """Of a short key, which may be a password, nothing is shown."""
    assert "…" == masked(key)


@given(st.text(st.characters(max_codepoint=255), min_size=1) | st.text(st.characters(max_codepoint=127), min_size=20))
def test_control_characters(key: str) -> None:
    """Whatever a header's bytes are, what is shown is printable and breaks no quotes."""
    assert (True, False) == (masked(key).isprintable(), "`" in masked(key))


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (KEY, f"sk-gateway-…{KEY[-4:]}"),
        ("sk-proj-0123456789abcdef", "sk-p…cdef"),
        ("0123456789abcdef01\r\n`x", "0123…???x"),
        ("\x1b[31m0123456789abcdef", "?[31…cdef"),
        ("clé-0123456789abcdef", "…"),
    ],
)
def test_mask(key: str, shown: str) -> None:
    """Of a long key the ends are shown, and of those only what is plain."""
    assert shown == masked(key)
