"""Who is calling: each form of credential goes its own way, and failures are counted where they come from."""

from __future__ import annotations

import asyncio
import json
import time as system_time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import authentication
from gateway.addresses import Source
from gateway.auth import Caller, KeyRecord, key_hash, new_key
from gateway.authentication import LONGEST, AdminGuard, Authenticator
from gateway.claims import Issuer
from gateway.errors import GatewayError, RateLimited, StateUnavailable, Unauthenticated
from gateway.failures import A_MINUTE, Failures
from gateway.key_sets import KeySet
from gateway.known_keys import KnownKeys
from gateway.minted import MINTED_PREFIX, Mint
from gateway.oidc import TokenVerifier
from providers.base import Response
from tests.fakes.clock import FakeTime, settle
from tests.fakes.issuer import AUDIENCE, FakeIssuer
from tests.fakes.key_store import FakeKeyStore

KEY = new_key()
SECRET = b"a secret of at least thirty-two bytes"
HERE = Source("203.0.113.7")
ELSEWHERE = Source("198.51.100.1")
ISSUER = FakeIssuer(first="ES256")


def record(key: str = KEY, name: str = "app", **fields: float) -> KeyRecord:
    return replace(KeyRecord(f"key_{name}", name, key_hash(key), ("text-*",)), **fields)  # type: ignore[arg-type]


class Door:
    """An authenticator with everything behind it; its time stands still until it is set."""

    def __init__(self, *records: KeyRecord, in_file: tuple[KeyRecord, ...] = (), mints: bool = True) -> None:
        self.time = FakeTime(float(int(system_time.time())))
        self.store = FakeKeyStore(*records)
        self.failures = Failures((), self.time.clock)
        self.mint = Mint(SECRET, self.time.clock)
        self.fetches = 0
        issuer = Issuer(ISSUER.name, frozenset({AUDIENCE}), "https://keys", ("ES256",))
        tokens = TokenVerifier([(issuer, KeySet("i", self._fetch, self.time.clock))], (), self.time.clock)
        keys = KnownKeys(in_file, self.store, self.time.clock)
        self.authenticator = Authenticator(keys, self.mint if mints else None, tokens, self.failures)

    async def _fetch(self) -> Response:
        self.fetches += 1
        return Response(200, {}, json.dumps(ISSUER.jwks()).encode())

    async def caller(self, shown: str | None, source: Source = HERE) -> Caller:
        return await self.authenticator.caller(shown, source)

    async def refusal(self, shown: str | None, source: Source = HERE) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await self.authenticator.caller(shown, source)
        return caught.value

    async def status(self, shown: str | None, source: Source = HERE) -> int:
        try:
            await self.authenticator.caller(shown, source)
        except GatewayError as error:
            return error.status
        return 200

    def throttle(self, source: Source = HERE) -> None:
        for _ in range(A_MINUTE):
            self.failures.add(source)


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_key_of_the_store() -> None:
    """A key of the store is its caller's."""
    assert Caller("key_app", "app", ("text-*",)) == await Door(record()).caller(KEY)


async def test_key_of_both() -> None:
    """A key that the file as well as the store has is the file's, without a look into the store."""
    door = Door(record(name="in the store"), in_file=(record(name="in the file"),))

    assert ("in the file", []) == ((await door.caller(KEY)).name, door.store.asked)


async def test_no_key() -> None:
    """A request without a key is told how to send one, and counts as no failure."""
    door = Door()
    errors = [await door.refusal(None) for _ in range(2 * A_MINUTE)]
    message = "This request has no API key. Send one of this gateway's keys as `Authorization: Bearer sk-gateway-…`."

    assert {(401, message, None)} == {(error.status, error.message, error.error_code) for error in errors}


@pytest.mark.parametrize(
    "door",
    [
        lambda: Door(),
        lambda: Door(record(revoked=999.0)),
        lambda: Door(record(expires=999.0)),
        lambda: Door(in_file=(record(expires=999.0),)),
        lambda: Door(record(new_key())),
    ],
    ids=["empty", "revoked", "expired", "expired in the file", "other keys"],
)
async def test_same_refusal(door: type[Door]) -> None:
    """A key that is unknown, revoked or expired is refused in the same words."""
    error = await door().refusal(KEY)
    message = (
        f"The API key `sk-gateway-…{KEY[-4:]}` is not valid here: it is mistyped, expired, revoked, or not one of this "
        "gateway's keys, which start with `sk-gateway-`."
    )

    assert (message, "invalid_api_key", None) == (error.message, error.error_code, error.param)


async def test_expiry_is_seen_at_once() -> None:
    """A key that is remembered ends at its moment all the same."""
    door = Door()
    await door.store.add_key(record(expires=door.time.now + 0.5))
    before = await door.status(KEY)
    door.time.now += 0.5

    assert (200, 401) == (before, await door.status(KEY))


async def test_lost_state() -> None:
    """A store that fails is no wrong key, and no failure of the client's."""
    door = Door(record())
    door.store.is_lost = True
    for _ in range(2 * A_MINUTE):
        with pytest.raises(StateUnavailable):
            await door.caller(KEY)

    assert 0.0 == door.failures.wait(HERE)


# ── what is none of ours ──────────────────────────────────────────────────────────────────────────────────────────

NONSENSE = [
    "",
    "k",
    KEY[:-1] + "_",
    KEY.upper(),
    "sk-proj-0123456789",
    "sk-gateway-",
    MINTED_PREFIX,
    MINTED_PREFIX + "a.b.c",
    MINTED_PREFIX + "é" * 100,
    "a.b.c",
    "..",
    "eyJhbGciOiJub25lIn0.e30.",
    "%%%.%%%.%%%",
    "ключ",
    "\udcff",
    "x" * (LONGEST + 1),
    "sk-gateway-" + "x" * 2**20,
    "a." * 2**19,
]


@pytest.mark.parametrize("shown", NONSENSE, ids=range(len(NONSENSE)))
async def test_nonsense(shown: str) -> None:
    """What cannot be a credential is refused without asking anybody."""
    door = Door()
    error = await door.refusal(shown)

    assert ("invalid_api_key", [], 0) == (error.error_code, door.store.asked, door.fetches)


@pytest.mark.parametrize(
    ("shown", "start"),
    [
        ("e30.e30.x", "The token is not valid here"),
        ("sk-gateway-.e30.x", "The API key `…` is not valid here"),
        (MINTED_PREFIX + "e30.e30.x", "The minted key is not valid here"),
        ("x" * LONGEST, "The API key `xxxx…xxxx` is not valid here"),
        ("x" * (LONGEST + 1), "What this request shows as its API key is longer than 16384 characters."),
    ],
)
async def test_forms(shown: str, start: str) -> None:
    """The form of what is shown decides what it is taken for."""
    assert (await Door().refusal(shown)).message.startswith(start)


@given(st.text() | st.text(st.characters(max_codepoint=255)) | st.text("eyJ0.-_=sk-gateway-minted", max_size=80))
async def test_any_text(shown: str) -> None:
    """Whatever is shown, the refusal is one printable line."""
    error = await Door().refusal(shown)

    assert (401, True) == (error.status, error.message.isprintable())


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_token() -> None:
    """A token of an issuer is its subject's, and asks the store nothing."""
    door = Door()

    assert ("alice", []) == ((await door.caller(ISSUER.token(gateway_models="a"))).name, door.store.asked)


async def test_wrong_token() -> None:
    """A wrong token is told why, in the envelope of a wrong key, and nothing of it is repeated."""
    error = await Door().refusal(ISSUER.token(exp=1, name="secret-name"))

    assert (401, "The token is not valid here: it has expired; get a new one from its issuer.", "invalid_api_key") == (
        error.status,
        error.message,
        error.error_code,
    )


# ── minted keys ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["store", "file"])
async def test_minted(where: str) -> None:
    """A minted key is its parent's, wherever that stands, and narrowed."""
    door = Door(record()) if where == "store" else Door(in_file=(record(),))
    caller = await door.caller(door.mint.mint(record(), 900, ["text-a"]))

    assert Caller("key_app", "app", ("text-*",), ("text-a",)) == caller


async def test_minted_from_a_revoked_key() -> None:
    """A minted key ends when its parent is revoked, as soon as that is seen."""
    door = Door(record())
    minted = door.mint.mint(record(), 900)
    statuses = [await door.status(minted)]
    await door.store.revoke_key("key_app", 0.0)
    door.time.now += 2.0
    statuses.append(await door.status(minted))

    assert [200, 401] == statuses


@pytest.mark.parametrize(
    ("door", "reason"),
    [
        (Door(), "the key that it was minted from is revoked or expired"),
        (Door(record(revoked=999.0)), "the key that it was minted from is revoked or expired"),
        (Door(record(expires=999.0)), "the key that it was minted from is revoked or expired"),
        (Door(record(), mints=False), "this gateway mints none"),
    ],
)
async def test_minted_from_nothing(door: Door, reason: str) -> None:
    """A minted key without a working parent, or where none are minted, is refused."""
    error = await door.refusal(door.mint.mint(record(), 900))

    assert f"The minted key is not valid here: {reason}." == error.message


async def test_minted_key_as_a_token() -> None:
    """What is behind a minted key's prefix is no token of anybody's by itself, and a token no minted key."""
    door = Door(record())
    bare = door.mint.mint(record(), 900).removeprefix(MINTED_PREFIX)
    dressed = MINTED_PREFIX + ISSUER.token()

    assert (401, 401, 0) == (await door.status(bare), await door.status(dressed), door.fetches)


# ── too many failures ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_throttled() -> None:
    """After so many failures in a minute an address is told to wait, and others are not."""
    door = Door(record())
    statuses = [await door.status("wrong") for _ in range(A_MINUTE + 1)]

    assert ([401] * A_MINUTE + [429], 401) == (statuses, await door.status("wrong", ELSEWHERE))


async def test_told_to_wait() -> None:
    """The refusal says for how long, that trying this again helps nobody, and still what was wrong."""
    door = Door()
    door.throttle()
    error = await door.refusal("sk-proj-0123456789abcdef")

    assert isinstance(error, RateLimited)
    assert ("2", "2000", "false") == (
        error.headers["retry-after"],
        error.headers["retry-after-ms"],
        error.headers["x-should-retry"],
    )
    assert error.message.startswith("The API key `sk-p…cdef` is not valid here")
    assert error.message.endswith("Too many failed attempts came from this address: wait 2 seconds.")


@pytest.mark.parametrize("kind", ["store", "file", "token", "minted"])
async def test_a_valid_key_never_is(kind: str) -> None:
    """From an address with any number of failures whatever is valid passes, the first time as well."""
    door = Door(record()) if kind != "file" else Door(in_file=(record(),))
    door.throttle()
    shown = {"token": ISSUER.token(), "minted": door.mint.mint(record(), 900)}.get(kind, KEY)

    assert [200, 429, 200] == [await door.status(one) for one in (shown, new_key(), shown)]


async def test_failures_of_valid_keys() -> None:
    """A valid key clears no failures."""
    door = Door(record())
    for _ in range(A_MINUTE):
        await door.status("wrong")
        await door.status(KEY)

    assert 429 == await door.status("wrong")


async def test_guesses_stand_in_line() -> None:
    """From addresses with too many failures well-formed guesses are looked up one after the other."""
    door = Door(record())
    door.throttle()
    door.throttle(ELSEWHERE)
    statuses = await asyncio.gather(
        *(door.status(new_key(), source) for _ in range(50) for source in (HERE, ELSEWHERE)), door.status(KEY)
    )

    assert ([429] * 100 + [200], 1) == (statuses, door.store.at_once)


async def test_known_keys_stand_in_no_line() -> None:
    """While guesses stand in line, a key that was found before is looked up beside them."""
    door = Door(record())
    await door.caller(KEY)
    door.time.now += 2.0
    door.throttle()
    door.store.open.clear()
    guesses = [asyncio.create_task(door.status(new_key())) for _ in range(5)]
    known = asyncio.create_task(door.status(KEY))
    await settle()
    at_once = door.store.at_once
    door.store.open.set()

    assert (2, 200, {429}) == (at_once, await known, set(await asyncio.gather(*guesses)))


async def test_line_that_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stands in line for too long is told to try again, and this counts as no failure."""
    door = Door(record())
    door.throttle()
    door.store.open.clear()
    with monkeypatch.context() as hurried:
        hurried.setattr(authentication, "LINE_SECONDS", 0.01)
        error = await door.refusal(KEY)
    door.store.open.set()

    assert ("1", None, 200) == (
        error.headers["retry-after"],
        error.headers.get("x-should-retry"),
        await door.status(KEY),
    )


# ── the admin key ─────────────────────────────────────────────────────────────────────────────────────────────────

ADMIN = "0123456789abcdef"


def guard(admin_key: str | None = ADMIN, failures: Failures | None = None) -> AdminGuard:
    return AdminGuard(admin_key, failures or Failures((), FakeTime().clock))


@pytest.mark.parametrize(
    ("admin_key", "is_open"), [(None, False), ("", False), (ADMIN[1:], False), (ADMIN, True), ("é" * 16, True)]
)
def test_open(admin_key: str | None, is_open: bool) -> None:
    """There is an admin's side where there is an admin key that cannot be guessed."""
    assert is_open == guard(admin_key).is_open


def test_admin() -> None:
    """The admin key lets in."""
    guard().check(ADMIN, HERE)


@pytest.mark.parametrize("shown", [None, "", ADMIN[:-1], ADMIN + "0", ADMIN.upper(), KEY, "é", "\udcff", "x" * 2**20])
def test_no_admin(shown: str | None) -> None:
    """Nothing else does, a client's key included."""
    with pytest.raises(Unauthenticated):
        guard().check(shown, HERE)


@pytest.mark.parametrize("admin_key", [None, "", "short"])
def test_closed(admin_key: str | None) -> None:
    """Where there is no such key, nothing lets in, not even the short one."""
    for shown in ("", "short", "None"):
        with pytest.raises(Unauthenticated):
            guard(admin_key).check(shown, HERE)


def test_admin_is_throttled() -> None:
    """Wrong admin keys are counted with wrong client keys, and the right one is let in all the same."""
    door = Door()
    door.throttle()
    watched = guard(failures=door.failures)
    watched.check(ADMIN, HERE)

    with pytest.raises(RateLimited, match="wait 2 seconds"):
        watched.check("wrong", HERE)
