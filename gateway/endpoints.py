"""HTTP on one side, the gateway on the other: each endpoint reads, asks and writes; failures pass through it."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from starlette.requests import Request
from starlette.responses import Response

from gateway import bodies, connection, listing, origin, reports
from gateway.allowances import Priority
from gateway.answers import Result, nugen_body, result_body
from gateway.auth import Caller, bearer
from gateway.authentication import Authenticator
from gateway.cache_control import CacheControl
from gateway.errors import InvalidRequest, ModelNotFound
from gateway.inputs import quoted
from gateway.middleware import RECORD, Running
from gateway.record import Record
from gateway.routing import Route
from gateway.service import Gateway
from gateway.state_watch import StateWatch
from gateway.store import UsageStore
from gateway.wire import EmbeddingsRequest, parse_request
from providers import codec

JSON: Final = "application/json"
PRIORITIES: Final = get_args(Priority)
HEADERS: Final = "gateway.headers"
INLINE_BODY: Final = 2**20
"""Bytes; a larger body, which may hold millions of token ids, is read in a thread, so that others go on."""


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
        return Response(result_body(result, body.encoding_format), headers=self._headers(result), media_type=JSON)

    async def azure_embeddings(self, request: Request) -> Response:
        """Azure's clients put the deployment into the URL, and the key into `api-key`."""
        body, result = await self._embed(request, path_model=request.path_params.get("model"), azure=True)
        return Response(result_body(result, body.encoding_format), headers=self._headers(result), media_type=JSON)

    async def nugen_embeddings(self, request: Request) -> Response:
        body, result = await self._embed(request, texts_only=True)
        answer = nugen_body(
            result, body.encoding_format, request_id=_record(request).request_id, created=int(time.time())
        )
        return Response(answer, headers=self._headers(result), media_type=JSON)

    async def _embed(
        self, request: Request, *, path_model: str | None = None, azure: bool = False, texts_only: bool = False
    ) -> tuple[EmbeddingsRequest, Result]:
        with connection.of(request.scope):
            return await self._embed_for_client(request, path_model, azure=azure, texts_only=texts_only)

    async def _embed_for_client(
        self, request: Request, path_model: str | None, *, azure: bool, texts_only: bool
    ) -> tuple[EmbeddingsRequest, Result]:
        record = _record(request)
        record.embeds = True
        arrived = asyncio.get_running_loop().time()
        caller = await self._caller(request, azure=azure)
        headers = _headers_of(request)
        deadline = arrived + self._allowed_seconds(headers.get("x-request-timeout-ms"))
        priority = _wished_priority(headers.get("x-priority"))
        raw = await bodies.read(request, self.max_body, deadline)
        parse = functools.partial(
            parse_request,
            raw,
            path_model=path_model,
            require_space=headers.get("x-embedding-require-space"),
            cache_control=CacheControl.of(headers.get("cache-control")),
            priority=priority,
            texts_only=texts_only,
        )
        body = parse() if len(raw) <= INLINE_BODY else await asyncio.to_thread(parse)
        record.model, record.items, record.metadata = quoted(body.model), len(body.inputs), body.metadata
        return body, await self.gateway.embed(body, caller, deadline, record)

    async def _caller(self, request: Request, *, azure: bool = False) -> Caller:
        headers = _headers_of(request)
        record = _record(request)
        self.state.require()
        with record.timing("auth"):
            key = bearer(headers.get("authorization"), headers.get("api-key") if azure else None)
            caller = await self.authenticator.caller(key, origin.source(request))
        record.key, record.team = caller.name, caller.team or ""
        return caller

    def _allowed_seconds(self, wish: str | None) -> float:
        if wish is None:
            return self.timeout
        if not (wish.isascii() and wish.isdigit() and int(wish[:12]) > 0):
            raise InvalidRequest("`x-request-timeout-ms` must be a whole number of milliseconds, at least 1.")
        return min(self.timeout, int(wish[:12]) / 1000)

    def _headers(self, result: Result) -> Mapping[str, str]:
        headers = {"x-embedding-space": result.space, "x-embedding-usage": result.usage_source}
        if self.expose_targets:
            headers["x-embedding-target"] = ", ".join(result.targets)
        if result.cached is not None:
            headers["x-embedding-cache"] = f"{result.cached}/{len(result.vectors)}"
        if result.cut_items:
            headers["x-embedding-truncated"] = ",".join(map(str, result.cut_items))
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


def _headers_of(request: Request) -> Mapping[str, str]:
    """The first of each name. Starlette's own look through them all, for each name anew."""
    found: dict[str, str] | None = request.scope.get(HEADERS)
    if found is None:
        sent = reversed(request.scope["headers"])
        found = request.scope[HEADERS] = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent}
    return found


def _wished_priority(wish: str | None) -> Priority | None:
    if wish is not None and wish not in PRIORITIES:
        raise InvalidRequest("`x-priority` must be `bulk` or `interactive`; it may only lower what the key has.")
    return cast("Priority | None", wish)


def _record(request: Request) -> Record:
    record: Record = request.scope[RECORD]
    return record


def _json(value: object, status: int = 200) -> Response:
    return Response(codec.write_json(value), status, media_type=JSON)
