"""Tokens and minted keys against a real gateway, whose issuer is a strict fake on a real port."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import openai
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway import auth
from gateway.cli import main
from gateway.failures import A_MINUTE
from gateway.key_sets import UNKNOWN_KEY_PAUSE
from tests.fakes.issuer import AUDIENCE, FakeIssuer, private_key
from tests.gateway_process import KEY, GatewayProcess

MODELS = """
    small: {normalize: true, targets: [{provider: static, path: wordllama}]}
    large: {normalize: true, targets: [{provider: static, path: wordllama}]}
"""
ADMIN_KEY = "an admin key for the tests"
ADDRESSES = (f"203.0.113.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(rsa="RS256", ec="ES256", ed="EdDSA") as fake:
        yield fake


@pytest.fixture(scope="module")
def running(issuer: FakeIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "signing").write_text("a secret of more than thirty-two bytes")
    access = f"""
        admin_key: {ADMIN_KEY}
        signing_key_file: signing
        default_models: [small]
        jwt:
          - issuer: {issuer.name}
            audience: [other, {AUDIENCE}]
            jwks_url: {issuer.jwks_url}
            algorithms: [RS256, ES256, EdDSA]
            claims: {{name: preferred_username}}
    """
    with GatewayProcess(folder, MODELS, access=access, server="trusted_proxies: [127.0.0.0/8]") as process:
        yield process


@pytest.fixture(scope="module", name="anybody")
def _anybody(running: GatewayProcess) -> Iterator[httpx.Client]:
    with running.client(None) as http:
        yield http


Get = Callable[..., httpx.Response]


@pytest.fixture
def get(anybody: httpx.Client) -> Get:
    """Shows a credential. Each test comes from an address of its own, so that none pays for another's failures."""
    address = next(ADDRESSES)

    def call(shown: str, path: str = "/v1/models", address: str = address) -> httpx.Response:
        return anybody.get(path, headers={"authorization": f"Bearer {shown}", "x-forwarded-for": address})

    return call


def embed(running: GatewayProcess, shown: str, model: str = "small") -> openai.types.CreateEmbeddingResponse:
    with openai.OpenAI(api_key=shown, base_url=running.url, max_retries=0) as client:
        return client.embeddings.create(model=model, input="x")


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key_id", ["rsa", "ec", "ed"])
def test_openai_client(running: GatewayProcess, issuer: FakeIssuer, key_id: str) -> None:
    """OpenAI's client embeds with a token in place of a key, whatever the token was signed with."""
    assert 1 == len(embed(running, issuer.token(key_id)).data)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, ["small"]),
        ({"gateway_models": ["lar*"]}, ["large"]),
        ({"gateway_models": "large,small"}, ["small", "large"]),
        ({"gateway_models": []}, []),
    ],
)
def test_models(issuer: FakeIssuer, get: Get, claims: dict[str, Any], expected: list[str]) -> None:
    """A token may use the models that it claims, and without a claim the default's."""
    listed = get(issuer.token("ec", **claims)).json()["data"]

    assert expected == [model["id"] for model in listed]


def test_rotation(issuer: FakeIssuer, get: Get) -> None:
    """A token that is signed with a new key counts at once."""
    get(issuer.token("ec")).raise_for_status()
    issuer.add("new", "ES256")

    assert 200 == get(issuer.token("new")).status_code


def forgeries(issuer: FakeIssuer) -> dict[str, str]:
    """Every way to pretend, each with the rest of the token in order."""
    claims = issuer.claims()
    now = int(time.time())
    pem = issuer.private("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = issuer.token("rsa").split(".")
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    confused = f"{_part({'alg': 'HS256', 'kid': 'rsa'})}.{body}"
    bomb = base64.urlsafe_b64encode(b"[" * 8000).decode().rstrip("=")
    own = private_key("ES256", 9)
    return {
        "HMAC with the public key": f"{confused}.{_encoded(hmac.sign(confused.encode(), pem))}",
        "no algorithm": f"{_part({'alg': 'none', 'kid': 'rsa'})}.{body}.",
        "no algorithm, in capitals": f"{_part({'alg': 'NONE', 'kid': 'rsa'})}.{body}.",
        "no signature": f"{head}.{body}.",
        "another's signature": jwt.encode(claims, own, "ES256", {"kid": "ec"}),
        "a key of its own": jwt.encode(claims, own, "ES256", {"kid": "ec", "jku": "http://127.0.0.1:1/keys"}),
        "expired": issuer.token("ec", exp=now - 31),
        "without an end": issuer.token("ec", exp=None),
        "from the future": issuer.token("ec", iat=now + 3600),
        "not yet": issuer.token("ec", nbf=now + 3600),
        "for another audience": issuer.token("ec", aud="another"),
        "of another issuer": issuer.token("ec", iss="https://evil.example.com/"),
        "without an issuer": issuer.token("ec", iss=None),
        "a path for a key": issuer.token("ec", {"kid": "../../../dev/null"}),
        "SQL for a key": issuer.token("ec", {"kid": "ec' OR '1'='1"}),
        "a bomb": f"{head}.{bomb}.{_part({})}",
        "bad base64": "eyJhbGciOi.e30.x",
        "long": f"{head}.{body}." + "x" * 20_000,
        "a line break in the subject": issuer.token("ec", sub="a\r\nset-cookie: x=1"),
    }


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _part(value: object) -> str:
    return _encoded(json.dumps(value).encode())


def test_forgeries(issuer: FakeIssuer, get: Get) -> None:
    """Every forgery is a wrong key, in one envelope and one printable line."""
    told = {}
    for name, token in forgeries(issuer).items():
        answer = get(token)
        error = answer.json()["error"]
        told[name] = (answer.status_code, error["code"], error["message"].isprintable(), token in answer.text)

    assert dict.fromkeys(told, (401, "invalid_api_key", True, False)) == told


def test_unknown_key_flood(issuer: FakeIssuer, get: Get) -> None:
    """A flood of unknown keys costs the issuer at most one call in half a minute."""
    before, begun = issuer.fetches, time.monotonic()
    tokens = [issuer.token("ec", {"kid": f"unknown-{number}"}) for number in range(100)]
    statuses = {get(token, address=f"198.51.100.{number}").status_code for number, token in enumerate(tokens)}
    fetches, half_minutes = issuer.fetches - before, (time.monotonic() - begun) // UNKNOWN_KEY_PAUSE

    assert ({401}, 200) == (statuses, get(issuer.token("ec")).status_code)
    assert fetches <= 1 + half_minutes


def test_names_in_the_log(running: GatewayProcess, issuer: FakeIssuer, get: Get) -> None:
    """Whatever a token calls its subject, the log has one clean line of it, and the answer's headers nothing."""
    name = 'eve\r\nx-evil: 1\u2028{"level": "x"}\x1b[31m\u202e' + "é" * 200
    answer = get(issuer.token("ec", preferred_username=name))
    line = running.request_log(answer.headers["x-request-id"])

    assert (200, True, 101) == (answer.status_code, line["key"].isprintable(), len(line["key"]))
    assert [] == [header for header in answer.headers.items() if "evil" in str(header)]


# ── keys in other forms ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("user", ["", "anybody"])
def test_basic(running: GatewayProcess, issuer: FakeIssuer, user: str) -> None:
    """A key may be the password of HTTP Basic, a token as well as any."""
    with running.client(None) as http:
        statuses = [http.get("/v1/models", auth=(user, shown)).status_code for shown in (KEY, issuer.token("ec"))]

    assert [200, 200] == statuses


def keys(running: GatewayProcess, *arguments: str) -> str:
    """What `gateway keys …` prints, on the gateway's own state."""
    finished = CliRunner().invoke(main, ["keys", *arguments, "--config", str(running.config)])
    assert 0 == finished.exit_code, finished.output
    return finished.stdout.strip()


def test_minted(running: GatewayProcess) -> None:
    """A minted key embeds with the models that it was narrowed to, and others do not exist for it."""
    minted = keys(running, "mint", "--key", "tests", "--models", "small")
    embed(running, minted)

    with pytest.raises(openai.NotFoundError):
        embed(running, minted, "large")


def test_revoked_parent(running: GatewayProcess, get: Get) -> None:
    """Revoking a key ends what was minted from it within five seconds."""
    keys(running, "create", "--name", "parent")
    minted = keys(running, "mint", "--key", "parent", "--ttl", "1h")
    get(minted).raise_for_status()
    keys(running, "revoke", "parent")
    revoked = asked = time.monotonic()
    while get(minted).status_code == 200:
        assert asked - revoked < 5  # however long the answer took
        asked = time.monotonic()

    assert "revoked or expired" in get(minted).json()["error"]["message"]


def test_admin(running: GatewayProcess, issuer: FakeIssuer, get: Get) -> None:
    """Only the admin key opens the admin's side: no client key, no token, no minted key."""
    minted = keys(running, "mint", "--key", "tests")
    shown = (ADMIN_KEY, KEY, issuer.token("ec"), minted)

    assert [200, 401, 401, 401] == [get(one, "/admin/keys").status_code for one in shown]


# ── too many failures ─────────────────────────────────────────────────────────────────────────────────────────────


def guess(get: Get, path: str = "/v1/models") -> tuple[int, httpx.Response]:
    """How many guesses were let pass before one was told to wait, and what it was told."""
    for number in range(30 * A_MINUTE):  # two seconds give one back
        answer = get(auth.new_key(), path)
        if answer.status_code != 401:
            return number, answer
    raise AssertionError("Guesses are not throttled.")


def test_guessing(running: GatewayProcess, issuer: FakeIssuer, get: Get) -> None:
    """Whoever guesses keys is told to wait, others behind the same balancer are not, and valid keys pass."""
    passed, answer = guess(get)
    fresh = keys(running, "create", "--name", "fresh")

    assert (True, 429, "rate_limit_exceeded") == (
        passed >= A_MINUTE,
        answer.status_code,
        answer.json()["error"]["code"],
    )
    assert [200, 200, 200] == [get(one).status_code for one in (KEY, fresh, issuer.token("ec"))]
    assert 401 == get(auth.new_key(), address=next(ADDRESSES)).status_code


def test_guessing_the_admin_key(get: Get) -> None:
    """Guesses of the admin key are counted alike, and the right one passes."""
    passed, answer = guess(get, "/admin/keys")

    assert (True, 429, 200) == (passed >= A_MINUTE, answer.status_code, get(ADMIN_KEY, "/admin/keys").status_code)
