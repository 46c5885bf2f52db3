"""An identity provider: it signs tokens, and publishes its public keys as strictly as they may be asked for.

Keys have names (`kid`) and one algorithm each. The set of keys is at `jwks_url` while the issuer is entered.
"""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from starlette.types import Receive, Scope, Send

from tests.fakes.serving import port_of, served

AUDIENCE: Final = "gateway"
PATH: Final = "/keys/jwks.json"
PRIVATE: Final = {
    "RS": lambda: rsa.generate_private_key(65537, 2048),
    "PS": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
}

Answer = Callable[[Receive, Send], Awaitable[None]]


def private_key(algorithm: str, number: int = 0) -> Any:
    """The same key whenever it is asked for: RSA's take long to find."""
    return _made(algorithm if algorithm in PRIVATE else algorithm[:2], number)


@functools.cache
def _made(kind: str, number: int) -> Any:
    return PRIVATE[kind]()


def jwk_of(private: Any) -> dict[str, Any]:
    """The public half, as JSON Web Keys write it."""
    public = private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"}


def reply(status: int, body: bytes, headers: dict[str, str] | None = None) -> Answer:
    async def answer(receive: Receive, send: Send) -> None:
        told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        raw = [(name.encode(), value.encode()) for name, value in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return answer


class FakeIssuer:
    """`behave` lines up other answers, `fetches` counts how often the keys were asked for."""

    def __init__(self, name: str = "https://login.example.com/", **keys: str) -> None:
        self.name = name
        self.fetches = 0
        self.headers: dict[str, str] = {}
        self._keys: dict[str, tuple[str, Any]] = {}
        self._answers: list[Answer] = []
        self._faults: list[str] = []
        self._numbers = itertools.count()
        self._stack = ExitStack()
        for key_id, algorithm in (keys or {"first": "RS256"}).items():
            self.add(key_id, algorithm)

    def add(self, key_id: str, algorithm: str = "RS256") -> None:
        self._keys[key_id] = (algorithm, private_key(algorithm, next(self._numbers)))

    def withdraw(self, key_id: str) -> None:
        del self._keys[key_id]

    def private(self, key_id: str) -> Any:
        return self._keys[key_id][1]

    def jwks(self) -> dict[str, Any]:
        return {
            "keys": [
                {**jwk_of(private), "kid": key_id, "use": "sig", "alg": algorithm}
                for key_id, (algorithm, private) in self._keys.items()
            ]
        }

    def claims(self, **claims: Any) -> dict[str, Any]:
        now = int(time.time())
        usual = {"iss": self.name, "sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 600}
        return {name: value for name, value in {**usual, **claims}.items() if value is not None}

    def token(self, key_id: str = "first", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Signed with a key of this issuer; a claim of None is left out."""
        algorithm, private = self._keys[key_id]
        return jwt.encode(self.claims(**claims), private, algorithm, {"kid": key_id, **(headers or {})})

    # ── its keys over HTTP ────────────────────────────────────────────────────────────────────────────────────────

    def behave(self, *answers: Answer) -> None:
        self._answers += answers

    @property
    def jwks_url(self) -> str:
        return f"http://127.0.0.1:{self._port}{PATH}"

    def __enter__(self) -> Self:
        self._port = port_of(self._stack.enter_context(served(self._app)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if kind is None:
            assert self._faults == []

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.fetches += 1
        self._faults += _faults_of(scope, await receive())
        if self._answers:
            await self._answers.pop(0)(receive, send)
            return
        await reply(200, json.dumps(self.jwks()).encode(), self.headers)(receive, send)


def _faults_of(scope: Scope, message: Any) -> list[str]:
    """What a provider's key endpoint would not take, or should never see."""
    headers = {name.decode() for name, _ in scope["headers"]}
    found = [f"it was asked for {scope['path']}"] if (scope["path"], scope["query_string"]) != (PATH, b"") else []
    found += [f"with {scope['method']}"] if scope["method"] != "GET" else []
    found += ["with a body"] if message.get("body") else []
    return found + [f"with a header {name}" for name in headers & {"authorization", "cookie", "api-key"}]
