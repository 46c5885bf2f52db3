"""The keys of one issuer: when they are fetched, and when not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway.key_sets import (
    FAILURE_PAUSE,
    GREATEST_AGE,
    KEPT_SECONDS,
    LEAST_AGE,
    MOST_KEYS,
    UNKNOWN_KEY_PAUSE,
    USUAL_AGE,
    KeySet,
)
from gateway.signatures import PublicKey
from providers.base import Fault, FaultKind, Response
from tests.fakes.clock import FakeTime, settle
from tests.fakes.issuer import FakeIssuer, jwk_of, private_key

DOWN = Fault(FaultKind.OVERLOADED, "no connection could be made")


class Endpoint:
    """What the key set asks: an issuer, or whatever is lined up; `open` holds answers back."""

    def __init__(self, issuer: FakeIssuer) -> None:
        self.issuer = issuer
        self.answers: list[Response | Fault] = []
        self.headers: dict[str, str] = {}
        self.fetches = 0
        self.open = asyncio.Event()
        self.open.set()

    async def fetch(self) -> Response | Fault:
        self.fetches += 1
        await self.open.wait()
        if self.answers:
            return self.answers.pop(0)
        return Response(200, self.headers, json.dumps(self.issuer.jwks()).encode())


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(FakeIssuer(first="RS256", second="ES256"))


@pytest.fixture
def keys(endpoint: Endpoint, time: FakeTime) -> KeySet:
    return KeySet("https://a.example.com/", endpoint.fetch, time.clock)


async def id_of(keys: KeySet, key_id: str | None = "first", algorithm: str = "RS256") -> str | Fault | None:
    found = await keys.find(key_id, algorithm)
    return found.id if isinstance(found, PublicKey) else found


def answer(value: Any, status: int = 200) -> Response:
    return Response(status, {}, value if isinstance(value, bytes) else json.dumps(value).encode())


# ── which key ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key_id", "algorithm", "expected"),
    [
        ("first", "RS256", "first"),
        ("second", "ES256", "second"),
        ("first", "ES256", None),
        ("first", "RS512", None),
        ("third", "RS256", None),
        ("", "RS256", None),
        ("../../etc/passwd", "RS256", None),
        ("' OR 1=1 --", "RS256", None),
        ("first\0", "RS256", None),
        (None, "RS256", "first"),
        (None, "ES384", None),
    ],
)
async def test_which(keys: KeySet, key_id: str | None, algorithm: str, expected: str | None) -> None:
    """A key is found by its id and algorithm; without an id, where only one fits. An id is compared, and no more."""
    assert expected == await id_of(keys, key_id, algorithm)


async def test_ambiguous(keys: KeySet, endpoint: Endpoint) -> None:
    """Without an id no key is found among two that fit."""
    endpoint.issuer.add("third", "RS256")

    assert await id_of(keys, None) is None


async def test_twice_the_same_id(keys: KeySet, endpoint: Endpoint) -> None:
    """Of keys with the same id the one that fits the algorithm is meant."""
    jwks = [{**jwk_of(private_key(kind)), "kid": "k", "use": "sig"} for kind in ("RS256", "ES256")]
    endpoint.answers = [answer({"keys": jwks})]
    found = await keys.find("k", "ES256")

    assert isinstance(found, PublicKey)
    assert "P-256" == found.curve


@pytest.mark.parametrize(("others", "expected"), [([], "k"), ([{"use": "enc"}], None), ([{"use": "sig"}], None)])
async def test_use(keys: KeySet, endpoint: Endpoint, others: list[dict[str, str]], expected: str | None) -> None:
    """A key that does not say what it is for counts only where none of its set says so."""
    jwks = [{**jwk_of(private_key("RS256")), "kid": "k"}]
    jwks += [{**jwk_of(private_key("RS256", 1)), "kid": "other", **other} for other in others]
    endpoint.answers = [answer({"keys": jwks})]

    assert expected == await id_of(keys, "k")


async def test_useless_keys(keys: KeySet, endpoint: Endpoint) -> None:
    """Entries that are no keys, or none that are known, do not spoil the others."""
    endpoint.answers = [answer({"keys": [None, 1, {}, {"kty": "new", "use": "sig"}, *endpoint.issuer.jwks()["keys"]]})]

    assert "first" == await id_of(keys)


# ── when it is fetched ────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_before_it_is_needed(keys: KeySet, endpoint: Endpoint) -> None:
    """Nothing is fetched until a key is looked for, and then once."""
    before = endpoint.fetches
    for _ in range(5):
        await keys.find("first", "RS256")

    assert (0, 1) == (before, endpoint.fetches)


async def test_one_fetcher(keys: KeySet, endpoint: Endpoint) -> None:
    """Whoever looks while the keys are fetched waits for that fetch."""
    endpoint.open.clear()
    looking = [asyncio.create_task(id_of(keys)) for _ in range(50)]
    await settle()
    endpoint.open.set()

    assert ({"first"}, 1) == (set(await asyncio.gather(*looking)), endpoint.fetches)


async def test_hanging_up(keys: KeySet, endpoint: Endpoint) -> None:
    """One who waits and leaves does not end the fetch for the others."""
    endpoint.open.clear()
    leaving, staying = (asyncio.create_task(id_of(keys)) for _ in range(2))
    await settle()
    leaving.cancel()
    await settle()
    endpoint.open.set()

    assert ("first", 1) == (await staying, endpoint.fetches)


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("", USUAL_AGE),
        ("no-cache", USUAL_AGE),
        ("max-age=x", USUAL_AGE),
        ("public, max-age=900, must-revalidate", 900),
        ("max-age=0", LEAST_AGE),
        ("max-age=99999999999999", GREATEST_AGE),
        ("max-age=31536000", GREATEST_AGE),
    ],
)
async def test_age(keys: KeySet, endpoint: Endpoint, time: FakeTime, cache_control: str, seconds: float) -> None:
    """A set is believed for as long as its issuer says, within bounds."""
    endpoint.headers = {"cache-control": cache_control}
    await keys.find("first", "RS256")
    time.now += seconds - 0.01
    await keys.find("first", "RS256")
    before = endpoint.fetches
    time.now += 0.02
    await keys.find("first", "RS256")

    assert (1, 2) == (before, endpoint.fetches)


async def test_withdrawn(keys: KeySet, endpoint: Endpoint, time: FakeTime) -> None:
    """A key that its issuer withdrew is not found once the set was fetched anew."""
    await keys.find("first", "RS256")
    endpoint.issuer.withdraw("first")
    time.now += USUAL_AGE

    assert await id_of(keys) is None


async def test_rotation(keys: KeySet, endpoint: Endpoint) -> None:
    """A new key is found as soon as it is used."""
    await keys.find("first", "RS256")
    endpoint.issuer.add("third")

    assert ("third", 2) == (await id_of(keys, "third"), endpoint.fetches)


async def test_unknown_flood(keys: KeySet, endpoint: Endpoint, time: FakeTime) -> None:
    """A flood of unknown keys costs one fetch in each pause, and the known ones are found meanwhile."""
    await keys.find("first", "RS256")
    found = []
    for number in range(1000):
        time.now += UNKNOWN_KEY_PAUSE / 100
        found.append((await id_of(keys, f"unknown-{number}"), await id_of(keys)))

    assert ({(None, "first")}, 11) == (set(found), endpoint.fetches)


async def test_concurrent_unknown_flood(keys: KeySet, endpoint: Endpoint) -> None:
    """Unknown keys at the same time cost one fetch for all of them, and one more at most."""
    await asyncio.gather(*(keys.find(f"unknown-{number}", "RS256") for number in range(1000)))
    await asyncio.gather(*(keys.find(f"other-{number}", "RS256") for number in range(1000)))

    assert 2 == endpoint.fetches


# ── when it cannot be fetched ─────────────────────────────────────────────────────────────────────────────────────

BAD = [
    DOWN,
    answer(b"<html>Sign in</html>"),
    answer(b""),
    answer(b"\xff"),
    answer(b"["),
    answer([]),
    answer({}),
    answer({"keys": None}),
    answer({"keys": {}}),
    answer({"keys": [{}] * (MOST_KEYS + 1)}),
    answer(b'{"keys": ' + b"[" * 100_000),
    answer({"keys": []}, 500),
    answer({"keys": []}, 404),
    answer({"keys": []}, 301),
    answer({"keys": []}, 204),
]


@pytest.mark.parametrize("bad", BAD)
async def test_no_set(keys: KeySet, endpoint: Endpoint, bad: Response | Fault) -> None:
    """Where there never was a set, its failure is told, and nobody asks again within the pause."""
    endpoint.answers = [bad]
    found = [await id_of(keys) for _ in range(100)]

    assert ({True}, 1) == ({isinstance(one, Fault) for one in found}, endpoint.fetches)


@pytest.mark.parametrize("bad", BAD)
async def test_recovery(keys: KeySet, endpoint: Endpoint, time: FakeTime, bad: Response | Fault) -> None:
    """After the pause it is asked again."""
    endpoint.answers = [bad]
    await keys.find("first", "RS256")
    time.now += FAILURE_PAUSE

    assert ("first", 2) == (await id_of(keys), endpoint.fetches)


@pytest.mark.parametrize("bad", BAD)
async def test_stale(keys: KeySet, endpoint: Endpoint, time: FakeTime, bad: Response | Fault) -> None:
    """A set that is too old goes on counting while there is no newer one."""
    await keys.find("first", "RS256")
    endpoint.answers = [bad] * 100
    found = []
    for _ in range(50):
        time.now += USUAL_AGE
        found.append((await id_of(keys), await id_of(keys, "unknown")))

    assert {("first", None)} == set(found)


async def test_stale_does_not_wait(keys: KeySet, endpoint: Endpoint, time: FakeTime) -> None:
    """While an endpoint is known to fail, nobody waits for it whose key is known."""
    await keys.find("first", "RS256")
    endpoint.answers = [DOWN]
    time.now += USUAL_AGE
    await keys.find("first", "RS256")
    time.now += FAILURE_PAUSE
    endpoint.open.clear()
    found = await asyncio.wait_for(id_of(keys), 60)
    endpoint.open.set()
    await settle()

    assert ("first", 3) == (found, endpoint.fetches)


async def test_kept_for_a_day(keys: KeySet, endpoint: Endpoint, time: FakeTime) -> None:
    """After a day without a newer set the last one counts no more."""
    await keys.find("first", "RS256")
    endpoint.answers = [DOWN]
    time.now += KEPT_SECONDS

    assert DOWN == await id_of(keys)


async def test_logged(keys: KeySet, endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """A failure is told to the operator, with the issuer."""
    endpoint.answers = [answer(b"", 500)]
    await keys.find("first", "RS256")
    [record] = caplog.records

    assert {"issuer": "https://a.example.com/", "fault": "broken", "status": 500} == record.__dict__["fields"]
