"""Tokens of identity providers, verified: whom they stand for, and every way to pretend."""

from __future__ import annotations

import json
import time as system_time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from gateway import oidc, signatures
from gateway.auth import Caller, Refused
from gateway.claims import Issuer
from gateway.errors import UpstreamUnavailable
from gateway.key_sets import KeySet
from gateway.oidc import REMEMBER_SECONDS, TokenVerifier
from gateway.signatures import PublicKey, Token
from providers.base import Fault, FaultKind, Response
from tests.fakes.clock import FakeTime
from tests.fakes.issuer import AUDIENCE, FakeIssuer, jwk_of, private_key

ALL = ("RS256", "PS384", "ES256", "ES512", "EdDSA")


class Verifier:
    """Of the tokens of some issuers; `fetched` is told whenever keys are asked for."""

    def __init__(self, *issuers: FakeIssuer, time: FakeTime, algorithms: tuple[str, ...] = ALL) -> None:
        self.fetched: list[str] = []
        self.is_down = False
        trusted = [(self._issuer(one, algorithms), self._keys(one, time)) for one in issuers]
        self.verifier = TokenVerifier(trusted, (), time.clock)

    def _issuer(self, fake: FakeIssuer, algorithms: tuple[str, ...]) -> Issuer:
        return Issuer(fake.name, frozenset({AUDIENCE}), "https://keys", algorithms, models=("m",))

    def _keys(self, fake: FakeIssuer, time: FakeTime) -> KeySet:
        async def fetch() -> Response | Fault:
            self.fetched.append(fake.name)
            if self.is_down:
                return Fault(FaultKind.OVERLOADED, "down")
            return Response(200, {}, json.dumps(fake.jwks()).encode())

        return KeySet(fake.name, fetch, time.clock)

    async def name(self, token: str) -> str | None:
        """The caller's, or None."""
        found = await self.verifier.caller(token)
        return found.name if isinstance(found, Caller) else None

    async def reason(self, token: str) -> str:
        found = await self.verifier.caller(token)
        assert isinstance(found, Refused)
        return found.reason


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(float(int(system_time.time())))


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer(**{kind: kind for kind in ALL})


@pytest.fixture
def verifier(issuer: FakeIssuer, time: FakeTime) -> Verifier:
    return Verifier(issuer, time=time)


@pytest.mark.parametrize("algorithm", ALL)
async def test_right(verifier: Verifier, issuer: FakeIssuer, algorithm: str) -> None:
    """A token of each algorithm that is allowed stands for its subject."""
    assert "alice" == await verifier.name(issuer.token(algorithm))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+JWT", "JOSE", None])
async def test_kinds(verifier: Verifier, issuer: FakeIssuer, kind: str | None) -> None:
    """Access tokens and identity tokens are accepted, whatever they call themselves."""
    assert "alice" == await verifier.name(issuer.token("ES256", {"typ": kind}))


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "gateway-minted-key", "dpop+jwt", ["JWT"], 1])
async def test_other_kinds(verifier: Verifier, issuer: FakeIssuer, kind: object) -> None:
    """A token for another purpose is refused, although its issuer signed it."""
    assert "it is not a token for calling services (`typ`)" == await verifier.reason(
        issuer.token("ES256", {"typ": kind})
    )


# ── before anything is fetched ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["https://evil.example.com/", "https://login.example.com", "", None, 1, ["x"], {}])
async def test_unknown_issuer(verifier: Verifier, name: Any) -> None:
    """A token of another issuer is refused without fetching anything."""
    key = private_key("ES256", 7)
    claims = {**FakeIssuer().claims(), "iss": name}
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), key, "ES256", {"kid": "ES256"})

    assert ("its issuer (`iss`) is none of those that this gateway trusts", []) == (
        await verifier.reason(token),
        verifier.fetched,
    )


@pytest.mark.parametrize("algorithm", ["ES384", "RS512", "HS256", "none", "es256", "ES256 ", "", None, ["ES256"], {}])
async def test_algorithm(verifier: Verifier, issuer: FakeIssuer, algorithm: Any) -> None:
    """An algorithm that is not allowed is refused without fetching anything, however it is spelt."""
    token = changed_header(issuer.token("ES256"), alg=algorithm)

    assert ("its signature's algorithm (`alg`) is not allowed for this issuer", []) == (
        await verifier.reason(token),
        verifier.fetched,
    )


def changed_header(token: str, **members: Any) -> str:
    _, claims, signature = token.split(".")
    changed = {**jwt.get_unverified_header(token), **members}
    return ".".join([jwt.utils.base64url_encode(json.dumps(changed).encode()).decode(), claims, signature])


@pytest.mark.parametrize("members", [{"kid": 1}, {"kid": ["a"]}, {"crit": ["b64"], "b64": False}, {"crit": []}])
async def test_header(verifier: Verifier, issuer: FakeIssuer, members: Mapping[str, Any]) -> None:
    """A header that cannot be understood, or demands what is not done here, is refused."""
    token = changed_header(issuer.token("ES256"), **members)

    assert ("its header cannot be understood", []) == (await verifier.reason(token), verifier.fetched)


@pytest.mark.parametrize("text", ["a.b.c", "..", "e30.e30.", "x" * 1000, "é.é.é"])
async def test_no_token(verifier: Verifier, text: str) -> None:
    """What is no token is refused without fetching anything."""
    assert (None, []) == (await verifier.name(text), verifier.fetched)


# ── whose key ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key_id", ["unknown", "../../keys", "' OR '1'='1", "\r\nx: y", "RS256", ""])
async def test_unknown_key(verifier: Verifier, issuer: FakeIssuer, key_id: str) -> None:
    """A key id that the issuer does not have for this algorithm is refused, whatever it looks like."""
    assert "its issuer has no such key (`kid`)" == await verifier.reason(issuer.token("ES256", {"kid": key_id}))


async def test_stolen_key_id(verifier: Verifier, issuer: FakeIssuer) -> None:
    """Another key under the id of the issuer's is refused."""
    token = jwt.encode(issuer.claims(), private_key("ES256", 7), "ES256", {"kid": "ES256"})

    assert "its signature is wrong" == await verifier.reason(token)


async def test_key_in_the_token(verifier: Verifier, issuer: FakeIssuer) -> None:
    """Keys and addresses of keys that a token brings along are not looked at."""
    own = private_key("ES256", 7)
    links = {"jku": "https://evil.example.com/jwks", "x5u": "https://evil.example.com/x5u", "x5c": ["MII="]}
    token = jwt.encode(issuer.claims(), own, "ES256", {"kid": "ES256", "jwk": jwk_of(own), **links})

    assert ("its signature is wrong", [issuer.name]) == (await verifier.reason(token), verifier.fetched)


async def test_two_issuers(time: FakeTime) -> None:
    """Of two issuers with the same key id, each one's tokens count under its own key, and never under the other's."""
    one = FakeIssuer("https://one.example.com", k="ES256")
    other = FakeIssuer("https://other.example.com", spare="ES256", k="ES256")
    verifier = Verifier(one, other, time=time)
    crossed = jwt.encode(other.claims(), one.private("k"), "ES256", {"kid": "k"})
    names = [await verifier.name(token) for token in (one.token("k"), other.token("k"), crossed)]

    assert ["alice", "alice", None] == names


async def test_two_issuers_are_two_callers(time: FakeTime) -> None:
    """The same subject of two issuers is two callers."""
    issuers = [FakeIssuer(f"https://{name}.example.com", k="ES256") for name in ("one", "other")]
    verifier = Verifier(*issuers, time=time).verifier
    found = [await verifier.caller(issuer.token("k")) for issuer in issuers]

    assert 2 == len({caller.key_id for caller in found if isinstance(caller, Caller)})


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "it has expired; get a new one from its issuer"),
        ({"exp": None}, "it has no `exp`, and a token must end some time"),
        ({"nbf": 2**40}, "it is not valid yet (`nbf`)"),
        ({"iat": 2**40}, "it was issued in the future (`iat`)"),
        ({"aud": "another"}, "it is for another audience (`aud`)"),
        ({"gateway_models": 1}, "its `gateway_models` is neither a list of models nor a string of them"),
    ],
)
async def test_claims(verifier: Verifier, issuer: FakeIssuer, claims: dict[str, Any], reason: str) -> None:
    """A token that is signed, but claims too much or too little, is refused for that."""
    assert reason == await verifier.reason(issuer.token("ES256", **claims))


async def test_signature_first(verifier: Verifier, issuer: FakeIssuer) -> None:
    """Of a token that is not signed right, nothing is told of its claims."""
    token = jwt.encode(issuer.claims(exp=1), private_key("ES256", 7), "ES256", {"kid": "ES256"})

    assert "its signature is wrong" == await verifier.reason(token)


async def test_down(verifier: Verifier, issuer: FakeIssuer) -> None:
    """While its issuer's keys cannot be had, a token is neither right nor wrong: the gateway is unable to tell."""
    verifier.is_down = True

    with pytest.raises(UpstreamUnavailable) as caught:
        await verifier.verifier.caller(issuer.token("ES256"))
    assert "5" == caught.value.headers["retry-after"]


async def test_allowed_for_one_issuer(issuer: FakeIssuer, time: FakeTime) -> None:
    """By default no more than the named algorithms count, even where the issuer has keys for others."""
    verifier = Verifier(issuer, time=time, algorithms=("RS256",))

    assert ["alice", None] == [await verifier.name(issuer.token(kind)) for kind in ("RS256", "ES256")]


# ── remembered ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The algorithms of the signatures that were checked."""
    done: list[str] = []
    check = signatures.is_signed

    def counting(token: Token, key: PublicKey, algorithm: str) -> bool:
        done.append(algorithm)
        return check(token, key, algorithm)

    monkeypatch.setattr(signatures, "is_signed", counting)
    return done


@pytest.mark.parametrize(("later", "checks"), [(0, 1), (59.9, 1), (REMEMBER_SECONDS, 2), (-0.1, 2)])
async def test_remembered(
    verifier: Verifier, issuer: FakeIssuer, time: FakeTime, checked: list[str], later: float, checks: int
) -> None:
    """A token that was right is believed for a minute, and not when the clock was set back."""
    token = issuer.token("ES256")
    names = [await verifier.name(token)]
    time.now += later
    names.append(await verifier.name(token))

    assert (["alice", "alice"], checks) == (names, len(checked))


async def test_expires_while_remembered(verifier: Verifier, issuer: FakeIssuer, time: FakeTime) -> None:
    """A token that is remembered ends at its moment all the same, the leeway included."""
    token = issuer.token("ES256", exp=int(time.now) + 5)
    names = [await verifier.name(token)]
    for later in (34.9, 0.1):
        time.now += later
        names.append(await verifier.name(token))

    assert ["alice", "alice", None] == names


async def test_wrong_tokens_are_not_remembered(verifier: Verifier, issuer: FakeIssuer, checked: list[str]) -> None:
    """A token that was wrong is not remembered, so that a flood pushes none out that was right."""
    wrong = jwt.encode(issuer.claims(), private_key("ES256", 7), "ES256", {"kid": "ES256"})
    for _ in range(3):
        await verifier.name(wrong)

    assert (3, 0) == (len(checked), len(verifier.verifier._recent))


async def test_memory_is_bounded(
    verifier: Verifier, issuer: FakeIssuer, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more tokens than can be remembered the oldest is checked again."""
    monkeypatch.setattr(oidc, "REMEMBERED", 2)
    tokens = [issuer.token("ES256", jti=str(number)) for number in range(3)]
    for token in (*tokens, tokens[2], tokens[0]):
        await verifier.name(token)

    assert 4 == len(checked)


async def test_changed_token_is_not_the_remembered_one(verifier: Verifier, issuer: FakeIssuer) -> None:
    """A token that differs in one letter from one that is remembered is checked by itself."""
    token = issuer.token("ES256")
    await verifier.name(token)
    last = "A" if token[-1] != "A" else "Q"

    assert await verifier.name(token[:-1] + last) is None
