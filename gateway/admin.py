"""The operator's side of HTTP: keys and usage, for whoever shows the admin key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway import bodies, changes, key_lookup, key_wishes, keys, origin, reports
from gateway.answers import envelope
from gateway.auth import KeyRecord, bearer
from gateway.authentication import AdminGuard
from gateway.cache import Cache
from gateway.config import Config
from gateway.errors import InvalidRequest, NotFound
from gateway.key_wishes import KeyRefused
from gateway.keys import KeyUnknown
from gateway.reload import NOTHING_TO_READ, Reload
from gateway.store import Store, Usage, UsageKey
from providers import codec

JSON: Final = "application/json"
UNKEPT: Final = {"cache-control": "no-store"}
"""A new key is in one of these answers, and the others are soon out of date."""


@dataclass(frozen=True, slots=True)
class Admin:
    """The keys of the configuration can be seen here, and changed in its file alone."""

    store: Store
    guard: AdminGuard
    running: Config
    reload_now: Reload | None
    cache: Cache | None

    async def list_keys(self, request: Request) -> Response:
        self._check(request)
        records = [*self.running.keys, *await self.store.list_keys()]
        return await asyncio.to_thread(_key_list, records)

    async def create_key(self, request: Request) -> Response:
        """The answer has the key, which is never told again."""
        self._check(request)
        body = await bodies.small_object(request, "`name`, and what the key is to be")
        try:
            made = await keys.create(self.store, key_wishes.shaped(body), self.running.teams)
        except KeyRefused as error:
            raise _refused(error) from None
        return _json({**reports.key_object(made.record, time.time()), "key": made.key}, 201)

    async def show_key(self, request: Request) -> Response:
        self._check(request)
        return _json(reports.key_object(await self._find(request), time.time()))

    async def change_key(self, request: Request) -> Response:
        """The body is a JSON merge patch: https://www.rfc-editor.org/rfc/rfc7396"""
        self._check(request)
        body = await bodies.small_object(request, "what is to change")
        record = await self._changeable(request)
        try:
            changed = await keys.change(self.store, record.id, body, self.running.teams)
        except KeyRefused as error:
            raise _refused(error) from None
        return _json(reports.key_object(changed, time.time()))

    async def revoke_key(self, request: Request) -> Response:
        self._check(request)
        record = await self._changeable(request)
        await self.store.revoke_key(record.id, time.time())
        return _json(reports.key_object(await self._find(request), time.time()))

    async def rotate_key(self, request: Request) -> Response:
        """`overlap` is how long the old key still works, like 24h; `0` ends it now."""
        self._check(request)
        body = await bodies.small_object(request, "`overlap`")
        overlap = body.get("overlap")
        if set(body) != {"overlap"} or not isinstance(overlap, str):
            raise InvalidRequest(
                'The body must hold `overlap` alone: how long the old key still works, like "24h", or "0".',
                param="overlap",
            )
        record = await self._changeable(request)
        try:
            made = await keys.rotate(self.store, record.id, overlap)
        except KeyRefused as error:
            raise _refused(error) from None
        return _json({**reports.key_object(made.record, time.time()), "key": made.key}, 201)

    async def usage(self, request: Request) -> Response:
        """By day, key and model; `from`, `to`, `key`, `team` and `model` choose, `format=csv` is for spreadsheets."""
        self._check(request)
        asked = dict(request.query_params)
        form = asked.pop("format", "json")
        if set(asked) - {"from", "to", "key", "team", "model"} or form not in ("json", "csv"):
            raise InvalidRequest(
                "Usage can be asked for by `from`, `to`, `key`, `team`, `model` and `format=csv|json`."
            )
        try:
            chosen = (asked.get("key"), asked.get("team"), asked.get("model"))
            query = reports.usage_query(asked.get("from"), asked.get("to"), *chosen)
        except ValueError as error:
            raise InvalidRequest(f"{error}.") from None
        rows = await self.store.usage(query)
        return await asyncio.to_thread(_usage_csv if form == "csv" else _usage_report, rows)

    async def cache_statistics(self, request: Request) -> Response:
        """Of every process that shares the state."""
        self._check(request)
        return _json(reports.cache_object(await self._cache().of_all()))

    async def clear_cache(self, request: Request) -> Response:
        """In every process that shares the state, within a second."""
        self._check(request)
        await self._cache().clear()
        return _json({"object": "cache", "cleared": True})

    def _cache(self) -> Cache:
        if self.cache is None:
            raise NotFound("There is no cache: the routing file has no section `cache`.")
        return self.cache

    async def config(self, request: Request) -> Response:
        """What is served, secrets hidden."""
        self._check(request)
        return _json(changes.shown(self.running))

    async def reload(self, request: Request) -> Response:
        """Reads the routing file anew; the answer lists what has changed, or everything that is wrong with it."""
        self._check(request)
        if self.reload_now is None:
            raise InvalidRequest(NOTHING_TO_READ)
        outcome = await self.reload_now("admin")
        if outcome.problems:
            refusal = InvalidRequest("The new configuration is refused, and the former one goes on serving.")
            return _json({**envelope(refusal), "problems": outcome.problems}, refusal.status)
        return _json({"object": "reload", "changes": outcome.changes, "warnings": outcome.warnings})

    def _check(self, request: Request) -> None:
        self.guard.check(bearer(request.headers.get("authorization"), None), origin.source(request))

    async def _find(self, request: Request) -> KeyRecord:
        return await key_lookup.find(self.running.keys, self.store, request.path_params["key_id"])

    async def _changeable(self, request: Request) -> KeyRecord:
        return await key_lookup.changeable(self.running.keys, self.store, request.path_params["key_id"])


def _refused(error: KeyRefused) -> InvalidRequest | NotFound:
    return NotFound(str(error)) if isinstance(error, KeyUnknown) else InvalidRequest(str(error), param=error.field)


# Lists can be long: they are written in a thread, so that no client waits for an operator's report.


def _key_list(records: Sequence[KeyRecord]) -> Response:
    now = time.time()
    return _json({"object": "list", "data": [reports.key_object(record, now) for record in records]})


def _usage_report(rows: Sequence[tuple[UsageKey, Usage]]) -> Response:
    return _json(reports.usage_report(rows))


def _usage_csv(rows: Sequence[tuple[UsageKey, Usage]]) -> Response:
    return Response(reports.usage_csv(rows), headers=UNKEPT, media_type="text/csv; charset=utf-8")


def _json(value: Any, status: int = 200) -> Response:
    return Response(codec.write_json(value), status, headers=UNKEPT, media_type=JSON)
