"""Client keys: listed, made, shown once, changed, rotated, revoked. It asks of the state what the admin API asks."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from gateway import key_lookup, key_wishes, keys
from gateway.auth import KeyRecord
from gateway.config import Config
from gateway.console import door, key_forms, sums
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.key_wishes import KeyRefused
from gateway.reports import key_object
from gateway.store import Store, UsageQuery

USE_DAYS: Final = 30
BLANK: Final = dict.fromkeys(("name", "team", *key_forms.RATES, "shadow", "usd", "tokens", "soft", "metadata"), "")
NEW: Final = {**BLANK, "models": "*", "per": "month", "priority": "interactive", "expires": ""}


@dataclass(frozen=True, slots=True)
class KeysPage:
    pages: Pages
    store: Store
    running: Config

    async def show(self, visit: Visit) -> Response:
        now = time.time()
        records = [*self.running.keys, *reversed(await self.store.list_keys())]
        used = sums.by(await self.store.usage(sums.lately(USE_DAYS)), "key_id")
        listed = [(record, key_object(record, now), used.get(record.id)) for record in records]
        return self.pages.html("keys.html", visit.session, tab="keys", listed=listed, days=USE_DAYS)

    async def new(self, visit: Visit) -> Response:
        return self._form(visit, NEW)

    async def create(self, visit: Visit) -> Response:
        """The answer has the key, which is never told again."""
        try:
            wish = key_wishes.shaped(key_forms.wish(visit.form))
            made = await keys.create(self.store, wish, self.running.teams)
        except KeyRefused as refused:
            return self._form(visit, {**BLANK, **visit.form}, refused=refused)
        return self.pages.html("key_made.html", visit.session, 201, tab="keys", made=made)

    async def show_one(self, visit: Visit) -> Response:
        return await self._one(visit, await self._find(visit))

    async def change(self, visit: Visit) -> Response:
        record = await self._changeable(visit)
        try:
            wish = key_forms.patch(visit.form, record)
            await keys.change(self.store, record.id, wish, self.running.teams)
        except KeyRefused as refused:
            return await self._one(visit, record, refused=refused)
        return door.see(f"keys/{record.id}")

    async def rotate(self, visit: Visit) -> Response:
        record = await self._changeable(visit)
        try:
            made = await keys.rotate(self.store, record.id, visit.form.get("overlap", "").strip())
        except KeyRefused as refused:
            return await self._one(visit, record, refused=refused)
        return self.pages.html("key_made.html", visit.session, 201, tab="keys", made=made)

    async def revoke(self, visit: Visit) -> Response:
        record = await self._changeable(visit)
        await self.store.revoke_key(record.id, time.time())
        return door.see(f"keys/{record.id}")

    def _form(self, visit: Visit, form: dict[str, str], refused: KeyRefused | None = None) -> Response:
        return self.pages.html(
            "key_new.html",
            visit.session,
            200 if refused is None else 400,
            tab="keys",
            form=form,
            teams=sorted(self.running.teams),
            refused=refused,
        )

    async def _one(self, visit: Visit, record: KeyRecord, refused: KeyRefused | None = None) -> Response:
        first = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=USE_DAYS - 1)
        rows = await self.store.usage(UsageQuery(first.isoformat(), key_id=record.id))
        return self.pages.html(
            "key.html",
            visit.session,
            200 if refused is None else 400,
            tab="keys",
            key=key_object(record, time.time()),
            form=key_forms.fields(record) | ({} if refused is None else dict(visit.form)),
            of_file=record in self.running.keys,
            teams=sorted(self.running.teams),
            models=sums.by(rows, "model"),
            total=sums.total(rows),
            chart=sums.days_chart(rows, first, USE_DAYS),
            days=USE_DAYS,
            refused=refused,
        )

    async def _find(self, visit: Visit) -> KeyRecord:
        return await key_lookup.find(self.running.keys, self.store, visit.request.path_params["key_id"])

    async def _changeable(self, visit: Visit) -> KeyRecord:
        return await key_lookup.changeable(self.running.keys, self.store, visit.request.path_params["key_id"])
