"""State in a Redis that all replicas share: keys, limits and usage, each step one atomic call.

Four families of names, which a Cluster may keep on different nodes: `gateway:keys`, one hash; `{gateway:limits:2}:…`,
one for each limit, gone by itself when it holds nothing worth keeping; `{gateway:usage:DAY}:…`, the sums of a day,
with `gateway:usage` as the index of days; `gateway:values:…`, a hash for each family of shared values. The first brace
of a name begins its hash tag and the next one ends it, so what follows may be any text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from gateway.auth import KeyRecord
from gateway.gates import Gate, Standings
from gateway.store import StoreError, Usage, UsageKey, UsageQuery, grants, redis_limits, unavailable
from gateway.store.redis_link import RedisLink, Script

_KEYS: Final = "gateway:keys"
_DAYS: Final = "gateway:usage"
_PING: Final = "gateway:ping"
_RESERVE: Final = Script.of("gates", "reserve")
_SETTLE: Final = Script.of("gates", "settle")
_ADD_KEY: Final = Script.of("add_key")
_REVOKE_KEY: Final = Script.of("revoke_key")
_ADD_USAGE: Final = Script.of("add_usage")
_USAGE: Final = Script.of("usage")
_FIND_VALUE: Final = Script.of("values", "find_value")
_FIND_VALUES: Final = Script.of("values", "find_values")
_PUT_VALUE: Final = Script.of("values", "put_value")
_ROWS: Final = 500
"""Most rows of usage in one call: a Redis does nothing else meanwhile."""
_BATCH_SECONDS: Final = 3600
"""How long a batch's name is remembered; a ledger sends it again every second until it is taken."""
_PING_SECONDS: Final = 60


class RedisStore:
    """`Store` over a Redis. `clock` is in seconds since the epoch; without one, as in service, it is Redis's own."""

    def __init__(self, link: RedisLink, clock: Callable[[], float] | None = None) -> None:
        self.name = link.name
        self._link = link
        self._clock = clock

    # ── keys: what never changes, what may change, and the end, by hash; the hash by id ───────────────────────────

    async def find_key(self, sha256: str) -> KeyRecord | None:
        fields = (f"made:{sha256}", f"record:{sha256}", f"end:{sha256}")
        made, record, end = await self._link.command("HMGET", _KEYS, *fields)
        return None if made is None else _record(sha256, made, record, end)

    async def find_key_by_id(self, key_id: str) -> KeyRecord | None:
        sha256 = await self._link.command("HGET", _KEYS, f"id:{key_id}")
        return None if sha256 is None else await self.find_key(_text(sha256))

    async def list_keys(self, name: str | None = None) -> Sequence[KeyRecord]:
        found = await self._link.command("HGETALL", _KEYS)
        kept: dict[bytes, bytes] = dict(zip(found[::2], found[1::2], strict=True))
        begin = b"[" if name is None else f"[{json.dumps(name)}, ".encode()  # as `_changeable` writes it
        hashes = [
            field.removeprefix(b"record:")
            for field, record in kept.items()
            if field.startswith(b"record:") and record.startswith(begin)
        ]
        records = [
            _record(_text(sha256), kept[b"made:" + sha256], kept[b"record:" + sha256], kept.get(b"end:" + sha256))
            for sha256 in hashes
        ]
        return sorted(records, key=lambda record: (record.created, record.id))

    async def add_key(self, record: KeyRecord) -> None:
        made = json.dumps([record.id, record.created])
        end = "" if record.revoked is None else record.revoked
        if not await self._link.script(_ADD_KEY, [_KEYS], [record.sha256, record.id, made, _changeable(record), end]):
            raise unavailable() from StoreError("The state has a key of this id or hash already.")

    async def change_key(self, record: KeyRecord) -> bool:
        sha256 = await self._link.command("HGET", _KEYS, f"id:{record.id}")  # which never changes
        if sha256 is None:
            return False
        await self._link.command("HSET", _KEYS, f"record:{_text(sha256)}", _changeable(record))
        return True

    async def revoke_key(self, key_id: str, at: float) -> None:
        await self._link.script(_REVOKE_KEY, [_KEYS], [key_id, at])

    # ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def at_once(self) -> None:
        """Redis is always waited for."""

    async def reserve(self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float) -> Standings:
        told = redis_limits.to_reserve(gates, amounts, lease, self._now())
        answer = await self._link.script(_RESERVE, redis_limits.names(gates), (reservation, told))
        return redis_limits.standings(gates, amounts, answer)

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        told = redis_limits.to_settle(gates, amounts, spent, self._now())
        await self._link.script(_SETTLE, redis_limits.names(gates), (reservation, told))

    # ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_usage(self, batch: str, usage: Mapping[UsageKey, Usage]) -> None:
        for day in sorted({key.day for key in usage}):
            await self._link.command("ZADD", _DAYS, 0, day)  # first: a day in the index may be empty
            rows = [(_row(key), _numbers(sums)) for key, sums in usage.items() if key.day == day]
            for start in range(0, len(rows), _ROWS):
                names = [f"{_tag(day)}:batch:{start}:{batch}", f"{_tag(day)}:sums"]
                words = [word for row in rows[start : start + _ROWS] for word in row]
                await self._link.script(_ADD_USAGE, names, [_BATCH_SECONDS, *words])

    async def usage(self, query: UsageQuery) -> Sequence[tuple[UsageKey, Usage]]:
        first = "-" if query.first_day is None else f"[{query.first_day}"
        last = "+" if query.last_day is None else f"[{query.last_day}"
        begin = "" if query.key_id is None else f"[{json.dumps(query.key_id)}, "
        found = []
        for name in await self._link.command("ZRANGEBYLEX", _DAYS, first, last):
            day = _text(name)
            kept = await self._link.script(_USAGE, [f"{_tag(day)}:sums"], [begin])
            found += [(key, sums) for key, sums in _rows(day, kept) if _asked(key, query)]
        return sorted(found, key=lambda row: (row[0].day, row[0].key_name, row[0].key_id, row[0].model, row[0].team))

    async def save(self) -> None:
        """Everything is in Redis already."""

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def value(self, family: str, name: str) -> bytes | None:
        found: bytes | None = await self._link.script(_FIND_VALUE, [_family(family)], [self._time(), name])
        return found

    async def values(self, family: str) -> Mapping[str, bytes]:
        found = await self._link.script(_FIND_VALUES, [_family(family)], [self._time()])
        return {_text(name): value for name, value in zip(found[::2], found[1::2], strict=True)}

    async def put_value(
        self, family: str, name: str, value: bytes, seconds: float | None = None, *, only_if_absent: bool = False
    ) -> bool:
        words = [self._time(), name, value, "" if seconds is None else seconds, int(only_if_absent)]
        return bool(await self._link.script(_PUT_VALUE, [_family(family)], words))

    async def drop_value(self, family: str, name: str) -> None:
        await self._link.command("HDEL", _family(family), name)

    # ── itself ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _time(self) -> str | float:
        """As the scripts of values want it: '' for Redis's own."""
        return "" if self._clock is None else self._clock()

    def _now(self) -> float | None:
        return None if self._clock is None else self._clock()

    async def ping(self) -> None:
        """A write: a replica, or a Redis that is full, answers everything else."""
        await self._link.command("SET", _PING, "", "EX", _PING_SECONDS)

    async def close(self) -> None:
        await self._link.close()


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogatepass")


def _changeable(record: KeyRecord) -> str:
    return json.dumps([record.name, record.models, record.expires, grants.write(record)])


def _record(sha256: str, made: bytes, record: bytes, end: bytes | None) -> KeyRecord:
    key_id, created = json.loads(made)
    name, models, expires, granted = json.loads(record)
    revoked = None if end is None else float(end)
    return KeyRecord(key_id, name, sha256, tuple(models), created, expires, revoked, **grants.read(granted))


def _family(name: str) -> str:
    return f"gateway:values:{name}"


def _tag(day: str) -> str:
    return f"{{gateway:usage:{day}}}"


def _row(key: UsageKey) -> str:
    return json.dumps([key.key_id, key.key_name, key.team, key.model])


def _numbers(sums: Usage) -> str:
    return " ".join(str(getattr(sums, name)) for name in Usage.__slots__)


def _rows(day: str, kept: Sequence[bytes]) -> Iterator[tuple[UsageKey, Usage]]:
    for name, numbers in zip(kept[::2], kept[1::2], strict=True):
        yield UsageKey(day, *json.loads(name)), Usage(*map(int, numbers.split()[: len(Usage.__slots__)]))


def _asked(key: UsageKey, query: UsageQuery) -> bool:
    pairs = ((query.key_id, key.key_id), (query.team, key.team), (query.model, key.model))
    return all(wanted is None or wanted == found for wanted, found in pairs)
