"""Minted keys: what they are worth, for how long, and that nobody else can make one."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import jwt
import pytest

from gateway.allowances import Budget, Rates
from gateway.auth import Caller, KeyRecord, Refused, well_formed
from gateway.minted import MINTED_PREFIX, Mint, Minted
from gateway.signatures import Seal
from tests.fakes.clock import FakeTime

SECRET = b"a secret of at least thirty-two bytes"
PARENT = KeyRecord(
    "key_1", "app", "hash", ("text-*",), team="search", rates=Rates(5), budget=Budget("day", 10), priority="bulk"
)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def mint(time: FakeTime) -> Mint:
    return Mint(SECRET, time.clock)


def read(mint: Mint, key: str) -> Minted:
    found = mint.read(key)
    assert isinstance(found, Minted)
    return found


def test_form(mint: Mint) -> None:
    """A minted key can be told from every other by its beginning, and by nothing taken for a key."""
    key = mint.mint(PARENT, 900)

    assert (True, False) == (key.startswith(MINTED_PREFIX), well_formed(key))


def test_read(mint: Mint) -> None:
    """A minted key names its parent, its end and its models, and holds nothing else."""
    assert Minted("key_1", 1900.0, ("a", "b*")) == read(mint, mint.mint(PARENT, 900, ["a", "b*"]))


def test_parents_rights(mint: Mint) -> None:
    """Its caller is its parent's in everything: limits, budget and usage are shared."""
    assert Caller.of(PARENT) == read(mint, mint.mint(PARENT, 900)).caller(PARENT)


@pytest.mark.parametrize(
    ("models", "usable"),
    [
        (["*"], ["text-a", "text-b"]),
        (["text-a"], ["text-a"]),
        (["*-b", "other"], ["text-b"]),
        (["other"], []),
        ([], []),
    ],
)
def test_narrowed(mint: Mint, models: list[str], usable: list[str]) -> None:
    """Its models are those of its parent's that it was narrowed to, and never others."""
    caller = read(mint, mint.mint(PARENT, 900, models)).caller(PARENT)

    assert usable == [alias for alias in ("text-a", "text-b", "other") if caller.may_use(alias)]


@pytest.mark.parametrize(("expires", "end"), [(None, 1900.0), (1500.0, 1500.0), (5000.0, 1900.0)])
def test_end(mint: Mint, expires: float | None, end: float) -> None:
    """It ends in its time, or with its parent if that is sooner."""
    assert end == read(mint, mint.mint(replace(PARENT, expires=expires), 900)).expires


@pytest.mark.parametrize(("later", "works"), [(899.9, True), (900.0, False), (1e9, False)])
def test_expired(mint: Mint, time: FakeTime, later: float, works: bool) -> None:
    """It works until its end."""
    key = mint.mint(PARENT, 900)
    time.now += later

    assert works == isinstance(mint.read(key), Minted)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CLAIMS = {"aud": "gateway-minted-key", "sub": "key_1", "exp": 1e12, "models": ["*"]}
HEADER = {"typ": "gateway-minted-key"}


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "a.b.c",
        "." * 1000,
        f"{part({'alg': 'none', **HEADER})}.{part(CLAIMS)}.",
        jwt.encode(CLAIMS, SECRET, "HS256", HEADER),
        jwt.encode(CLAIMS, b"another secret, but long enough too", "HS256", HEADER),
        Seal(b"another secret, but long enough too", "gateway-minted-key").sealed(CLAIMS),
        Seal(SECRET, "console").sealed(CLAIMS),
        Seal(SECRET, "gateway-minted-key").sealed({**CLAIMS, "aud": "console"}),
    ],
)
def test_forged(mint: Mint, forged: str) -> None:
    """What was not minted with this secret for this purpose is refused."""
    assert Refused("this gateway did not sign it") == mint.read(MINTED_PREFIX + forged)


def test_changed(mint: Mint) -> None:
    """A minted key with other claims is refused."""
    header, _, seal = mint.mint(PARENT, 900).split(".")

    assert isinstance(mint.read(f"{header}.{part({**CLAIMS, 'sub': 'key_2'})}.{seal}"), Refused)
