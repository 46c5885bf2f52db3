"""Keys and callers: what a key looks like, whom it stands for, for how long, and that it is never shown."""

from __future__ import annotations

import re
import string
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway import auth
from gateway.auth import Authenticator, Caller, KeyRecord, bearer, key_hash, new_key, well_formed
from gateway.errors import StateUnavailable, Unauthenticated

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
        ("Basic azpr", None, None),
        ("k", None, None),
        ("Bearerk", None, None),
        (None, None, None),
        (None, "k", "k"),
        (None, " k ", "k"),
        (None, "", None),
        (None, "  ", None),
        ("Bearer k", "other", "k"),
        ("Bearer ", "k", "k"),
        ("Basic azpr", "k", "k"),
    ],
)
def test_bearer(authorization: str | None, api_key: str | None, expected: str | None) -> None:
    """The key comes from a bearer header, or else from Azure's, or there is none."""

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


# ── finding the caller ────────────────────────────────────────────────────────────────────────────────────────────


class Clock:
    """Stands still until it is set."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """A store of keys that counts how often it is asked."""

    def __init__(self, *records: KeyRecord) -> None:
        self.records = {record.sha256: record for record in records}
        self.asked: list[str] = []

    async def find_key(self, sha256: str) -> KeyRecord | None:
        self.asked.append(sha256)
        return self.records.get(sha256)

    def put(self, record: KeyRecord) -> None:
        self.records[record.sha256] = record


@pytest.fixture
def clock() -> Clock:
    return Clock()


def record(key: str = KEY, name: str = "app", **fields: float) -> KeyRecord:
    return replace(KeyRecord(f"key_{name}", name, key_hash(key), ("text-*",)), **fields)  # type: ignore[arg-type]


async def refusal(authenticator: Authenticator, key: str | None) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.caller(key)
    return caught.value


async def works(authenticator: Authenticator, key: str = KEY) -> bool:
    try:
        await authenticator.caller(key)
    except Unauthenticated:
        return False
    return True


async def test_key_of_the_store(clock: Clock) -> None:
    """A key of the store is its caller's."""
    authenticator = Authenticator([], Shelf(record()).find_key, clock)

    assert Caller("key_app", "app", ("text-*",)) == await authenticator.caller(KEY)


async def test_key_of_the_file(clock: Clock) -> None:
    """A key of the routing file is its caller's without a look into the store."""
    shelf = Shelf()
    caller = await Authenticator([record()], shelf.find_key, clock).caller(KEY)

    assert (Caller("key_app", "app", ("text-*",)), []) == (caller, shelf.asked)


async def test_key_of_both(clock: Clock) -> None:
    """A key that the file as well as the store has is the file's."""
    shelf = Shelf(record(name="in the store"))
    caller = await Authenticator([record(name="in the file")], shelf.find_key, clock).caller(KEY)

    assert "in the file" == caller.name


async def test_no_key() -> None:
    """A request without a key is told how to send one."""
    error = await refusal(Authenticator([], Shelf().find_key, Clock()), None)
    message = "This request has no API key. Send one of this gateway's keys as `Authorization: Bearer sk-gateway-…`."

    assert (message, None) == (error.message, error.error_code)


@pytest.mark.parametrize(
    "shelf",
    [
        Shelf(),
        Shelf(record(revoked=999.0)),
        Shelf(record(expires=1_000.0)),
        Shelf(record(new_key())),
    ],
    ids=["empty", "revoked", "expired", "other keys"],
)
async def test_same_refusal(clock: Clock, shelf: Shelf) -> None:
    """A key that is unknown, revoked or expired is refused in the same words."""
    error = await refusal(Authenticator([], shelf.find_key, clock), KEY)
    message = (
        f"The API key `sk-gateway-…{KEY[-4:]}` is not valid here: it is mistyped, expired, revoked, or not one of this "
        "gateway's keys, which start with `sk-gateway-`."
    )

    assert (message, "invalid_api_key", None) == (error.message, error.error_code, error.param)


async def test_expired_key_of_the_file(clock: Clock) -> None:
    """A key of the file ends when it says so."""

    assert not await works(Authenticator([record(expires=1_000.0)], Shelf().find_key, clock))


async def test_expiry_is_seen_at_once(clock: Clock) -> None:
    """A key that is remembered ends at its moment all the same."""
    authenticator = Authenticator([], Shelf(record(expires=1_000.5)).find_key, clock)
    before = await works(authenticator)
    clock.now = 1_000.5

    assert (True, False) == (before, await works(authenticator))


@pytest.mark.parametrize("key", ["", "k", KEY[:-1] + "_", "sk-proj-0123456789", "x" * 100_000, "ключ", "\udcff"])
async def test_mistyped_key(clock: Clock, key: str) -> None:
    """What cannot be a key is refused without a look into the store."""
    shelf = Shelf()
    error = await refusal(Authenticator([], shelf.find_key, clock), key)

    assert ("invalid_api_key", []) == (error.error_code, shelf.asked)


@pytest.mark.parametrize(
    ("later", "looks"), [(1_000.0, 1), (1_001.99, 1), (1_002.0, 2), (5_000.0, 2), (999.9, 2), (0.0, 2)]
)
async def test_remembered(clock: Clock, later: float, looks: int) -> None:
    """A key is remembered for two seconds, and not when the clock was set back."""
    shelf = Shelf(record())
    authenticator = Authenticator([], shelf.find_key, clock, remember=2.0)
    await authenticator.caller(KEY)
    clock.now = later
    await authenticator.caller(KEY)

    assert [key_hash(KEY)] * looks == shelf.asked


async def test_revocation_is_seen(clock: Clock) -> None:
    """A revoked key ends as soon as it is looked up again."""
    shelf = Shelf(record())
    authenticator = Authenticator([], shelf.find_key, clock, remember=2.0)
    before = await works(authenticator)
    shelf.put(record(revoked=1_000.0))
    clock.now += 2.0

    assert (True, False) == (before, await works(authenticator))


async def test_removal_is_seen(clock: Clock) -> None:
    """A key that is gone from the store ends as soon as it is looked up again."""
    shelf = Shelf(record())
    authenticator = Authenticator([], shelf.find_key, clock, remember=2.0)
    before = await works(authenticator)
    shelf.records.clear()
    clock.now += 2.0

    assert (True, False) == (before, await works(authenticator))


async def test_unknown_keys_are_not_remembered(clock: Clock) -> None:
    """A key that was unknown works from the moment that it is made."""
    shelf = Shelf()
    authenticator = Authenticator([], shelf.find_key, clock)
    before = await works(authenticator)
    shelf.put(record())

    assert (False, True) == (before, await works(authenticator))


async def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more keys than can be remembered the oldest is forgotten, and looked up again."""
    monkeypatch.setattr(auth, "_REMEMBERED", 2)
    first, second, third = keys = [new_key() for _ in range(3)]
    shelf = Shelf(*(record(key) for key in keys))
    authenticator = Authenticator([], shelf.find_key, clock)
    for key in (first, second, third, second, third, first):
        await authenticator.caller(key)

    assert [key_hash(key) for key in (first, second, third, first)] == shelf.asked


async def test_guesses_push_nothing_out(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Well-formed guesses do not make a key in use forgotten."""
    monkeypatch.setattr(auth, "_REMEMBERED", 2)
    shelf = Shelf(record())
    authenticator = Authenticator([], shelf.find_key, clock)
    await authenticator.caller(KEY)
    for _ in range(5):
        await refusal(authenticator, new_key())
    await authenticator.caller(KEY)

    assert 1 == shelf.asked.count(key_hash(KEY))


async def test_lost_state(clock: Clock) -> None:
    """A store that fails is no wrong key."""

    async def fail(sha256: str) -> KeyRecord | None:
        raise StateUnavailable("The state is gone.")

    with pytest.raises(StateUnavailable):
        await Authenticator([], fail, clock).caller(KEY)


class Failing(Shelf):
    """A store that can be lost."""

    lost = False

    async def find_key(self, sha256: str) -> KeyRecord | None:
        if self.lost:
            raise StateUnavailable("The state is gone.")
        return await super().find_key(sha256)


@pytest.mark.parametrize(("later", "served"), [(2.0, True), (3599.0, True), (3600.0, False), (-1.0, False)])
async def test_believed(clock: Clock, later: float, served: bool) -> None:
    """While the store cannot be asked, a key that it had is believed for a while."""
    shelf = Failing(record())
    authenticator = Authenticator([], shelf.find_key, clock, believe=3600.0)
    await authenticator.caller(KEY)
    shelf.lost = True
    clock.now += later
    try:
        found = await works(authenticator)
    except StateUnavailable:
        found = False

    assert served == found


async def test_believed_to_its_end(clock: Clock) -> None:
    """A key that expires meanwhile is no longer served."""
    shelf = Failing(record(expires=clock.now + 10))
    authenticator = Authenticator([], shelf.find_key, clock, believe=3600.0)
    await authenticator.caller(KEY)
    shelf.lost = True
    clock.now += 10

    assert not await works(authenticator)


async def test_not_believed_any_longer(clock: Clock) -> None:
    """As soon as the store can be asked again, it is."""
    shelf = Failing(record())
    authenticator = Authenticator([], shelf.find_key, clock, believe=3600.0)
    await authenticator.caller(KEY)
    shelf.lost = True
    clock.now += 10
    before = await works(authenticator)
    shelf.lost = False
    shelf.put(record(revoked=1_000.0))

    assert (True, False) == (before, await works(authenticator))


# ── never shown ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_key_is_not_repeated() -> None:
    """A refusal shows no more of a key than its last four characters."""
    message = (await refusal(Authenticator([], Shelf().find_key, Clock()), KEY)).message

    assert KEY[11:-4] not in message


@given(st.text(BASE62 + "-_", min_size=20))
async def test_another_key_is_not_repeated(key: str) -> None:
    """A refusal does not repeat another service's key."""
    message = (await refusal(Authenticator([], Shelf().find_key, Clock()), key)).message

    assert key not in message


@pytest.mark.parametrize("key", ["hunter2", "0123456789012345678"])
async def test_short_key_is_not_shown(key: str) -> None:
    """Of a short key, which may be a password, nothing is shown."""
    message = (await refusal(Authenticator([], Shelf().find_key, Clock()), key)).message

    assert message.startswith("The API key `…` is not valid here")


@given(st.text(st.characters(max_codepoint=255), min_size=1) | st.text(st.characters(max_codepoint=127), min_size=20))
async def test_control_characters(key: str) -> None:
    """Whatever a header's bytes are, the refusal is one printable line with its quotes in pairs."""
    message = (await refusal(Authenticator([], Shelf().find_key, Clock()), key)).message

    assert (True, 4) == (message.isprintable(), message.count("`"))


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("sk-proj-0123456789abcdef", "sk-p…cdef"),
        ("sk-gateway-0123456789abcdef", "sk-gateway-…cdef"),
        ("0123456789abcdef01\r\n`x", "0123…???x"),
        ("\x1b[31m0123456789abcdef", "?[31…cdef"),
        ("clé-0123456789abcdef", "…"),
    ],
)
async def test_mask(key: str, shown: str) -> None:
    """Of a long key the ends are shown, and of those only what is plain."""
    message = (await refusal(Authenticator([], Shelf().find_key, Clock()), key)).message

    assert message.startswith(f"The API key `{shown}` is not valid here")
