"""Usage and keys as people and programs read them: JSON objects, CSV, columns. It reads no state."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway import cache_state, keys
from gateway.allowances import NANOS, Budget, Rates
from gateway.auth import KeyRecord
from gateway.cache_state import CacheStatistics, Sums
from gateway.store import Usage, UsageKey, UsageQuery

COLUMNS: Final = (
    *("day", "key_id", "key", "team", "model", "requests", "errors", "inputs"),
    *("tokens", "reported", "counted", "estimated", "cached", "usd", "unpriced_tokens"),
)


def usage_query(
    first: str | None, last: str | None, key_id: str | None = None, team: str | None = None, model: str | None = None
) -> UsageQuery:
    """Raises ValueError for what is no day."""
    for name, day in (("from", first), ("to", last)):
        if day is not None and not _is_day(day):
            raise ValueError(f"`{name}` must be a day like 2026-11-21")
    return UsageQuery(first, last, key_id, team, model)


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def usage_row(key: UsageKey, usage: Usage) -> dict[str, Any]:
    """`tokens` is what went upstream, by how it is known; `usd` the cost of those whose price is known."""
    values = (
        *(key.day, key.key_id, key.key_name, key.team or None, key.model),
        *(usage.requests, usage.errors, usage.inputs, usage.reported + usage.counted + usage.estimated),
        *(usage.reported, usage.counted, usage.estimated, usage.cached, usage.nanos / NANOS, usage.unpriced),
    )
    return dict(zip(COLUMNS, values, strict=True))


def usage_report(rows: Sequence[tuple[UsageKey, Usage]]) -> dict[str, Any]:
    total = Usage()
    for _, usage in rows:
        total.add(usage)
    whole = usage_row(UsageKey("", "", "", "", ""), total)
    return {
        "object": "list",
        "data": [usage_row(key, usage) for key, usage in rows],
        "total": {name: whole[name] for name in COLUMNS[5:]},
    }


def usage_csv(rows: Sequence[tuple[UsageKey, Usage]]) -> str:
    """With a header line. Texts are quoted, and one that a spreadsheet would take for a formula is made a text."""
    written = io.StringIO(newline="")
    sheet = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    sheet.writerow(COLUMNS)
    for key, usage in rows:
        sheet.writerow(_harmless(value) for value in usage_row(key, usage).values())
    return written.getvalue()


def _harmless(value: object) -> object:
    """https://owasp.org/www-community/attacks/CSV_Injection"""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def cache_object(processes: Sequence[CacheStatistics]) -> dict[str, Any]:
    """The sums of the processes that run, each counted since it started; `limit` and `bytes` are of their memory."""
    whole = cache_state.sum_of(processes)
    sizes = {name: getattr(whole, name) for name in ("entries", "bytes", "limit", "evictions")}
    return {"object": "cache", "processes": len(processes), "memory": sizes, "models": cache_rows(whole.models)}


def cache_rows(sums: Sums) -> list[dict[str, Any]]:
    """`ratio` is the part of what was looked up that was there."""
    return [
        {"model": model, "hits": hits, "misses": misses, "ratio": round(hits / max(1, hits + misses), 4)}
        for model, (hits, misses) in sums.items()
    ]


def key_object(record: KeyRecord, now: float) -> dict[str, Any]:
    """A key without the key; times are seconds since the epoch."""
    return {
        "object": "key",
        "id": record.id,
        "name": record.name,
        "status": keys.status(record, now),
        "models": list(record.models),
        "team": record.team,
        "limits": rates_object(record.rates),
        "model_limits": {pattern: rates_object(rates) for pattern, rates in record.model_rates.items()},
        "budget": budget_object(record.budget),
        "priority": record.priority,
        "cache": record.cache,
        "metadata": dict(record.metadata),
        "created": record.created or None,
        "expires": record.expires,
        "revoked": record.revoked,
    }


def rates_object(rates: Rates) -> dict[str, Any]:
    return {"rpm": rates.rpm, "tpm": rates.tpm, "concurrent": rates.concurrent, "shadow": rates.shadow}


def budget_object(budget: Budget | None) -> dict[str, Any] | None:
    if budget is None:
        return None
    usd = None if budget.nanos is None else budget.nanos / NANOS
    return {"usd": usd, "tokens": budget.tokens, "per": budget.per, "soft": budget.soft}


def key_row(record: KeyRecord, now: float) -> Mapping[str, str]:
    """One line of `gateway keys list`."""
    state = keys.status(record, now)
    return {
        "id": record.id,
        "name": record.name,
        "models": ",".join(record.models),
        "team": record.team or "-",
        "limits": _limits(record),
        "created": written(record.created or None),
        "expires": written(record.expires),
        "status": f"until {written(record.revoked)}" if state == "ending" else state,
    }


def _limits(record: KeyRecord) -> str:
    budget = record.budget
    told = _told(record.rates)
    told += [f"{pattern}:{limit}" for pattern, rates in record.model_rates.items() for limit in _told(rates)]
    if budget is not None and budget.nanos is not None:
        told.append(f"usd={budget.nanos / NANOS:g}/{budget.per}")
    if budget is not None and budget.tokens is not None:
        told.append(f"tokens={budget.tokens}/{budget.per}")
    return ",".join(told) or "-"


def _told(rates: Rates) -> list[str]:
    return [name if value is True else f"{name}={value}" for name, value in rates_object(rates).items() if value]


def written(at: float | None) -> str:
    if at is None:
        return "-"
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M")
