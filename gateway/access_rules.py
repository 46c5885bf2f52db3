"""Who may ask for how much: keys, teams, the admin key and the state of the routing file become their values."""

from __future__ import annotations

import datetime
import re
import urllib.parse
from collections.abc import Mapping, Sequence

from gateway.access_shape import BudgetShape, TeamShape
from gateway.allowances import NANOS, Budget, Rates, Team
from gateway.auth import KeyRecord
from gateway.config import CacheConfig, StateConfig
from gateway.document import Path
from gateway.model_shape import RatesShape
from gateway.reading import Reading
from gateway.schema import AuthShape, CacheShape, KeyShape, StateShape


def keys(reading: Reading, shapes: Sequence[KeyShape], teams: Mapping[str, TeamShape]) -> tuple[KeyRecord, ...]:
    found: dict[str, KeyRecord] = {}
    for index, shape in enumerate(shapes):
        path: Path = ("auth", "keys", index)
        if shape.sha256 in found:
            reading.problem((*path, "sha256"), "this key is listed twice")
        if any(record.name == shape.name for record in found.values()):
            reading.problem((*path, "name"), "another key of this file has this name")
        if shape.team is not None and shape.team not in teams:
            reading.problem((*path, "team"), "there is no such team under `teams`")
        found[shape.sha256] = KeyRecord(
            id=f"file:{shape.name}",
            name=shape.name,
            sha256=shape.sha256,
            models=tuple(shape.models),
            expires=_moment(shape.expires),
            team=shape.team,
            rates=rates(shape.limits),
            model_rates={pattern: rates(limits) for pattern, limits in shape.model_limits.items()},
            budget=_budget(reading, shape.budget, (*path, "budget")),
            priority=shape.priority,
            cache=shape.cache,
        )
    return tuple(found.values())


def teams(reading: Reading, shapes: Mapping[str, TeamShape]) -> Mapping[str, Team]:
    return {
        name: Team(rates(shape.limits), _budget(reading, shape.budget, ("teams", name, "budget")))
        for name, shape in shapes.items()
    }


def rates(shape: RatesShape) -> Rates:
    return Rates(shape.rpm, shape.tpm, shape.concurrent, shape.shadow)


def _budget(reading: Reading, shape: BudgetShape | None, path: Path) -> Budget | None:
    try:
        return budget(shape)
    except ValueError as error:
        reading.problem(path, str(error))
        return None


def budget(shape: BudgetShape | None) -> Budget | None:
    """Raises ValueError for one that limits nothing."""
    if shape is None:
        return None
    if shape.usd is None and shape.tokens is None:
        raise ValueError("must say how much: `usd`, `tokens`, or both")
    nanos = None if shape.usd is None else round(shape.usd * NANOS)
    return Budget(shape.per, nanos, shape.tokens, shape.soft)


def admin_key(reading: Reading, shape: AuthShape) -> str | None:
    if shape.admin_key is not None and shape.admin_key_file is not None:
        reading.problem(("auth", "admin_key_file"), "stands beside `admin_key`; give one of them")
    if shape.admin_key_file is not None:
        name, key = "admin_key_file", reading.text_of(shape.admin_key_file, ("auth", "admin_key_file"))
    else:
        name, key = "admin_key", None if shape.admin_key is None else shape.admin_key.get_secret_value()
    if key is not None and (not re.fullmatch(r"[\x20-\x7e]*", key) or key != key.strip()):
        reading.problem(("auth", name), "must be printable ASCII without blanks around it: it is sent in a header")
    return key


def state(reading: Reading, shape: StateShape) -> StateConfig:
    url = shape.url.get_secret_value()
    if url.startswith("sqlite:///"):
        for name in ("password_file", "ca_file"):
            if name in shape.model_fields_set:
                reading.problem(("state", name), "only Redis has this")
        file = reading.file(url.removeprefix("sqlite:///"))
        return StateConfig(file, on_loss=shape.on_state_loss, allow_unshared=shape.allow_unshared)
    bare, password = _without_password(url)
    if shape.password_file is not None:
        if password is not None:
            reading.problem(("state", "password_file"), "stands beside a password in `url`; give one of them")
        password = reading.text_of(shape.password_file, ("state", "password_file"))
    ca_file = None if shape.ca_file is None else reading.file(shape.ca_file)
    if shape.ca_file is not None and not reading.has_file(shape.ca_file):
        reading.problem(("state", "ca_file"), "there is no such file")
    return StateConfig(
        None, bare, password, None if ca_file is None else str(ca_file), shape.on_state_loss, shape.allow_unshared
    )


def cache(reading: Reading, shape: CacheShape | None, state: StateConfig) -> CacheConfig | None:
    """Redis is used where the state is in one, unless the file says otherwise."""
    if shape is None:
        return None
    shared = state.file is None
    if shape.redis and not shared:
        reading.problem(("cache", "redis"), "needs the state to be in Redis (`state.url`)")
    return CacheConfig(shape.memory, shared and shape.redis is not False, shape.ttl, shape.scope)


def _without_password(url: str) -> tuple[str, str | None]:
    scheme, _, rest = url.partition("://")
    login, at, hosts = rest.rpartition("@")
    user, colon, password = login.partition(":")
    return f"{scheme}://{user}{at if user else ''}{hosts}", urllib.parse.unquote(password) if colon else None


def _moment(value: datetime.datetime | datetime.date | None) -> float | None:
    """In seconds since the epoch; a date is its first second, and what has no zone is UTC."""
    if value is None:
        return None
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    return (value if value.tzinfo else value.replace(tzinfo=datetime.UTC)).timestamp()
