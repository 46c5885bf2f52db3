"""HTTP on one side, the gateway on the other: each endpoint reads, asks and writes; failures pass through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from starlette.requests import Request
from starlette.responses import Response

from gateway import bodies, connection, listing, origin, reports, sent_headers
from gateway.allowances import Priority
from gateway.answers import Result, nugen_body, result_body
from gateway.auth import Caller, bearer
from gateway.authentication import Authenticator
from gateway.cache_control import CacheControl
from gateway.errors import InvalidRequest, ModelNotFound
from gateway.inputs import quoted
from gateway.lockstep import STEP
from gateway.middleware import RECORD, Running
from gateway.record import Record
from gateway.routing import Route
from gateway.service import Gateway
from gateway.state_watch import StateWatch
from gateway.store import UsageStore
from gateway.turn_head import Header
from gateway.wire import Asked, EmbeddingsRequest, parse_request
from providers import codec

JSON: Final = "application/json"
PRIORITIES: Final = get_args(Priority)
INLINE_BODY: Final = 2**20
"""Bytes; a larger body, which may hold millions of token ids, is read in a thread, so that others go on."""


class Answer(Response):
    """JSON that is bytes already, with headers that are. Starlette's own looks through all that it could be given."""

    def __init__(self, body: bytes, headers: Sequence[Header]) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"), *headers]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """`max_body` is in bytes, `timeout` in seconds, `created` in seconds since the epoch."""

    gateway: Gateway
    authenticator: Authenticator
    usage_store: UsageStore
    running: Running
    state: StateWatch
    max_body: int
    timeout: float
    expose_targets: bool
    created: int

    # ── embeddings ────────────────────────────────────────────────────────────────────────────────────────────────

    async def embeddings(self, request: Request) -> Response:
        """OpenAI's shape; in old paths the URL names the model."""
        body, result = await self._embed(request, path_model=request.path_params.get("model"))
        await STEP
        return Answer(result_body(result, body.encoding_format), self._headers(result))

    async def azure_embeddings(self, request: Request) -> Response:
        """Azure's clients put the deployment into the URL, and the key into `api-key`."""
        body, result = await self._embed(request, path_model=request.path_params.get("model"), azure=True)
        return Answer(result_body(result, body.encoding_format), self._headers(result))

    async def nugen_embeddings(self, request: Request) -> Response:
        body, result = await self._embed(request, texts_only=True)
        answer = nugen_body(
            result, body.encoding_format, request_id=_record(request).request_id, created=int(time.time())
        )
        return Answer(answer, self._headers(result))

    async def _embed(
        self, request: Request, *, path_model: str | None = None, azure: bool = False, texts_only: bool = False
    ) -> tuple[EmbeddingsRequest, Result]:
        scope = request.scope
        record, sent = _record(request), sent_headers.of(scope)
        record.embeds = True
        with connection.of(scope):
            arrived = asyncio.get_running_loop().time() - record.elapsed
            caller = await self._caller(request, azure=azure)
            deadline = arrived + self._allowed_seconds(sent.get(b"x-request-timeout-ms"))
            asked = Asked(
                path_model,
                _text(sent.get(b"x-embedding-require-space")),
                CacheControl.of(_text(sent.get(b"cache-control"))),
                _wished_priority(_text(sent.get(b"x-priority"))),
                texts_only,
            )
            raw = await bodies.read(request, self.max_body, deadline)
            if len(raw) <= INLINE_BODY:
                body = parse_request(raw, asked)
            else:
                body = await asyncio.to_thread(parse_request, raw, asked)
            await STEP
            record.model, record.items, record.metadata = quoted(body.model), len(body.inputs), body.metadata
            return body, await self.gateway.embed(body, caller, deadline, record)

    async def _caller(self, request: Request, *, azure: bool = False) -> Caller:
        scope, record = request.scope, _record(request)
        self.state.require()
        record.step("auth")
        sent = sent_headers.of(scope)
        authorization = sent.get(b"authorization")
        caller = self.authenticator.known(authorization)
        if caller is None:
            key = bearer(_text(authorization), _text(sent.get(b"api-key")) if azure else None)
            caller = await self.authenticator.caller(key, origin.source(request))
        record.step("")
        record.key, record.team = caller.name, caller.team or ""
        return caller

    def _allowed_seconds(self, wish: bytes | None) -> float:
        if wish is None:
            return self.timeout
        if not (wish.isdigit() and int(wish[:12]) > 0):
            raise InvalidRequest("`x-request-timeout-ms` must be a whole number of milliseconds, at least 1.")
        return min(self.timeout, int(wish[:12]) / 1000)

    def _headers(self, result: Result) -> list[Header]:
        headers = [(b"x-embedding-space", _sent(result.space)), (b"x-embedding-usage", result.usage_source.encode())]
        if self.expose_targets:
            headers.append((b"x-embedding-target", _sent(", ".join(result.targets))))
        if result.cached is not None:
            headers.append((b"x-embedding-cache", b"%d/%d" % (result.cached, len(result.vectors))))
        if result.cut_items:
            headers.append((b"x-embedding-truncated", ",".join(map(str, result.cut_items)).encode()))
        return headers

    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def models(self, request: Request) -> Response:
        caller = await self._caller(request)
        return _json({"object": "list", "data": await self._entries(self.gateway.routes.visible_to(caller))})

    async def model(self, request: Request) -> Response:
        caller = await self._caller(request)
        wanted = request.path_params["model"]
        found = [(name, route) for name, route in self.gateway.routes.visible_to(caller) if name == wanted]
        if not found:
            raise ModelNotFound(f"The model `{quoted(wanted)}` does not exist here, or this key may not use it.")
        [entry] = await self._entries(found)
        return _json(entry)

    async def _entries(self, named: Sequence[tuple[str, Route]]) -> list[dict[str, Any]]:
        now = asyncio.get_running_loop().time()
        return await listing.entries(named, created=self.created, now=now, show_targets=self.expose_targets)

    # ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def usage(self, request: Request) -> Response:
        """The calling key's own, by day and model; `from` and `to` are days of UTC."""
        caller = await self._caller(request)
        asked = dict(request.query_params)
        if set(asked) - {"from", "to"}:
            raise InvalidRequest("Usage can be asked for by `from` and `to`, days like 2026-11-21.")
        try:
            query = reports.usage_query(asked.get("from"), asked.get("to"), caller.key_id)
        except ValueError as error:
            raise InvalidRequest(f"{error}.") from None
        return _json(reports.usage_report(await self.usage_store.usage(query)))

    # ── health ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def live(self, request: Request) -> Response:
        return _json({"status": "live"})

    async def ready(self, request: Request) -> Response:
        """False while draining or without the state, so that a balancer sends its next requests elsewhere.

        Models without a target that takes calls are named, and change nothing: elsewhere they would fare no better.
        """
        now = asyncio.get_running_loop().time()
        self.running.asked(now)
        if self.running.draining:
            return _json({"status": "draining"}, 503)
        if not self.state.ready:
            return _json({"status": "state unavailable"}, 503)
        without = [route.alias for route in self.gateway.routes if not route.available(now)]
        return _json({"status": "ready", "unavailable": without} if without else {"status": "ready"})


def _wished_priority(wish: str | None) -> Priority | None:
    if wish is not None and wish not in PRIORITIES:
        raise InvalidRequest("`x-priority` must be `bulk` or `interactive`; it may only lower what the key has.")
    return cast("Priority | None", wish)


def _record(request: Request) -> Record:
    record: Record = request.scope[RECORD]
    return record


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _sent(text: str) -> bytes:
    return text.encode("latin-1")


def _json(value: object, status: int = 200) -> Response:
    return Response(codec.write_json(value), status, media_type=JSON)
