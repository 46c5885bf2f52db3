"""An OpenID provider that logs everybody in at once: as strict with its clients as the specification lets it be.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1, https://www.rfc-editor.org/rfc/rfc7636#section-4.6
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from tests.fakes.issuer import FakeIssuer, reply

CODE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Client:
    """Without a secret it is a public one."""

    redirect_uri: str
    secret: str | None = None


@dataclass(frozen=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str
    until: float


class FakeProvider(FakeIssuer):
    """`person` has the claims of whoever logs in next, `forged` makes ID tokens of claims, if it is set.

    `now` is the provider's clock, `exchanges` counts how often a code was shown. What is lined up
    with `behave` answers whatever is asked next but for `/authorize`.
    """

    def __init__(self, clients: dict[str, Client], **keys: str) -> None:
        super().__init__(**keys)
        self.clients = clients
        self.person: dict[str, Any] = {}
        self.forged: Callable[[dict[str, Any]], Any] | None = None
        self.denied = False
        self.now = 0.0
        self.exchanges = 0
        self._codes: dict[str, _Code] = {}

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = dict(urllib.parse.parse_qsl(scope["query_string"].decode(), strict_parsing=bool(scope["query_string"])))
        match scope["method"], scope["path"]:
            case "GET", "/authorize":
                await self._authorize(query)(receive, send)
            case "POST", "/token":
                if self._answers:
                    await self._answers.pop(0)(receive, send)
                    return
                body = (await receive())["body"].decode()
                headers = {name.decode(): value.decode() for name, value in scope["headers"]}
                status, told = self._token(headers, dict(urllib.parse.parse_qsl(body, strict_parsing=True)))
                await reply(status, json.dumps(told).encode())(receive, send)
            case _:
                await super()._app(scope, receive, send)

    def _authorize(self, query: dict[str, str]) -> Any:
        client = self.clients.get(query.get("client_id", ""))
        if client is None or query["redirect_uri"] != client.redirect_uri:
            return reply(400, b"no such client, or not its address")
        if self.denied:
            return _back(client, {"error": "access_denied", "error_description": "<b>no</b>", "state": query["state"]})
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split(" ")
        assert query["code_challenge_method"] == "S256"
        assert (len(query["code_challenge"]), len(query["state"]), len(query["nonce"])) == (43, 43, 43)
        code = secrets.token_urlsafe(16)
        self._codes[code] = _Code(
            query["client_id"], client.redirect_uri, query["code_challenge"], query["nonce"], self.now + CODE_SECONDS
        )
        return _back(client, {"code": code, "state": query["state"], "iss": self.name})

    def _token(self, headers: dict[str, str], form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.exchanges += 1
        client_id = self._client_of(headers.get("authorization"), form)
        if client_id is None:
            return 401, {"error": "invalid_client"}
        if headers["content-type"] != "application/x-www-form-urlencoded" or form["grant_type"] != "authorization_code":
            return 400, {"error": "invalid_request"}
        code = self._codes.pop(form["code"], None)
        hashed = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        if (
            code is None
            or self.now >= code.until
            or (client_id, form["redirect_uri"], challenge) != (*(code.client_id, code.redirect_uri, code.challenge),)
        ):
            return 400, {"error": "invalid_grant"}
        claims = {"aud": client_id, "nonce": code.nonce, **self.person}
        token = self.token(**claims) if self.forged is None else self.forged(self.claims(**claims))
        return 200, {"access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": token}

    def _client_of(self, authorization: str | None, form: dict[str, str]) -> str | None:
        """A client shows itself in one way, never in two."""
        if authorization is None:
            client_id, secret = form.get("client_id", ""), None
        else:
            kind, _, pair = authorization.partition(" ")
            told = base64.b64decode(pair).decode().split(":")
            client_id, secret = map(urllib.parse.unquote_plus, told)
            if kind != "Basic" or "client_id" in form or "client_secret" in form:
                return None
        known = self.clients.get(client_id)
        return client_id if known is not None and known.secret == secret else None


def _back(client: Client, query: dict[str, str]) -> Any:
    return reply(302, b"", {"location": f"{client.redirect_uri}?{urllib.parse.urlencode(query)}"})
