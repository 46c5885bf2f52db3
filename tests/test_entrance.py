"""What a configuration puts at the door, and what it makes of issuers whose endpoint does not do as it should."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.types import Receive, Send

from gateway import entrance
from gateway.addresses import Source
from gateway.assembly import BuildError
from gateway.authentication import Authenticator
from gateway.config import Config
from gateway.errors import UpstreamUnavailable
from gateway.key_sets import LARGEST_SET
from gateway.loading import load
from gateway.upstream import Upstream
from tests.fakes.issuer import Answer, FakeIssuer, reply
from tests.fakes.key_store import FakeKeyStore

HERE = Source("203.0.113.7")


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with FakeIssuer(first="ES256") as fake:
        yield fake


def config(folder: pathlib.Path, issuer: FakeIssuer, access: str = "", **environ: str) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(
        f"auth:\n  jwt:\n    - {{issuer: '{issuer.name}', audience: gateway, jwks_url: '{issuer.jwks_url}', "
        f"algorithms: [ES256]}}\n{access}\nmodels: {{m: {{targets: [{{provider: static, path: wordllama}}]}}}}\n"
    )
    return load(file, environ)


@pytest.fixture
async def authenticator(tmp_path: pathlib.Path, issuer: FakeIssuer) -> AsyncIterator[Authenticator]:
    upstream = Upstream()
    made = config(tmp_path, issuer)
    yield entrance.entrance(made, FakeKeyStore(), entrance.trusted(made, upstream)).authenticator
    await upstream.close()


async def endless(receive: Receive, send: Send) -> None:
    """A gigabyte, for whoever takes it."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    with contextlib.suppress(OSError):
        for _ in range(2**10):
            await send({"type": "http.response.body", "body": b" " * 2**20, "more_body": True})


async def hanging(receive: Receive, send: Send) -> None:
    """Nothing, until the other side leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


MISBEHAVIOUR: dict[str, Answer] = {
    "a page": reply(200, b"<!doctype html><title>Sign in</title>", {"content-type": "text/html"}),
    "an error": reply(500, b'{"keys": []}'),
    "somewhere else": reply(302, b"", {"location": "/keys/jwks.json"}),
    "a little too much": reply(200, b'{"keys": [' + b" " * LARGEST_SET + b"]}"),
    "a gigabyte": endless,
    "a bomb": reply(200, b"[" * 200_000),
    "nothing at all": hanging,
}


@pytest.mark.parametrize("answer", MISBEHAVIOUR.values(), ids=MISBEHAVIOUR)
async def test_misbehaviour(
    authenticator: Authenticator, issuer: FakeIssuer, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the issuer's endpoint does, it is asked once, and tokens are neither accepted nor called wrong."""
    monkeypatch.setattr(entrance, "FETCH_SECONDS", 3.0)
    issuer.behave(answer)
    outcomes = await asyncio.gather(
        *(authenticator.caller(issuer.token(sub=f"subject {number}"), HERE) for number in range(20)),
        return_exceptions=True,
    )

    assert ({UpstreamUnavailable}, 1) == (set(map(type, outcomes)), issuer.fetches)


async def test_good_behaviour(authenticator: Authenticator, issuer: FakeIssuer) -> None:
    """The issuer's endpoint is asked once, and as it likes to be."""
    names = [(await authenticator.caller(issuer.token(sub=f"s{number}"), HERE)).name for number in range(5)]

    assert (["s0", "s1", "s2", "s3", "s4"], 1) == (names, issuer.fetches)


async def test_nobody_there(tmp_path: pathlib.Path) -> None:
    """Where nobody answers, tokens cannot be checked."""
    with FakeIssuer(first="ES256") as fake:
        made = config(tmp_path, fake)
    upstream = Upstream()
    found = entrance.entrance(made, FakeKeyStore(), entrance.trusted(made, upstream)).authenticator

    with pytest.raises(UpstreamUnavailable):
        await found.caller(fake.token(), HERE)
    await upstream.close()


def test_bad_proxy(tmp_path: pathlib.Path, issuer: FakeIssuer) -> None:
    """A proxy that cannot be used is told at the start."""
    made = config(tmp_path, issuer, HTTP_PROXY="gopher://proxy:70")

    with pytest.raises(BuildError, match="the proxy that the environment names"):
        entrance.trusted(made, Upstream())


@pytest.mark.parametrize(
    ("access", "is_open"), [("", False), ("  admin_key: short", False), ("  admin_key: 0123456789abcdef", True)]
)
async def test_admin(tmp_path: pathlib.Path, issuer: FakeIssuer, access: str, is_open: bool) -> None:
    """There is an admin's side only with an admin key that is long enough."""
    made = entrance.entrance(config(tmp_path, issuer, access), FakeKeyStore(), [])

    assert is_open == made.admin_guard.is_open
