"""What a configuration says, for people to read, and what a newer one changes in it. No secret is shown.

What a value's own `repr` hides is a secret, and shown as `[hidden]`; that it has changed is told all the same.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from gateway.auth import KeyRecord
from gateway.claims import Issuer
from gateway.config import Config, ModelConfig, TargetConfig
from gateway.document import Path, written
from providers import codec

HIDDEN: Final = "[hidden]"
LIVE: Final = frozenset(
    {"max_body", "timeout", "metrics", "expose_targets", "cors_origins", "trusted_proxies", "watch"}
)
"""What of `server` a running gateway can take; the rest belongs to its socket and its processes."""
_NAMES: Final[Mapping[type, str]] = {ModelConfig: "alias", TargetConfig: "name", KeyRecord: "name", Issuer: "name"}
"""What members of a list are known by."""
_OF_THE_FILE: Final = frozenset({"is_embedded_default", "warnings"})

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """`path` is like `models.small.targets.openai-0.weight`; a whole member of a list is added or removed as one."""

    path: str
    kind: Kind
    old: Any = None
    new: Any = None
    needs_restart: bool = False

    def __str__(self) -> str:
        if self.kind != "changed":
            return f"{self.path}: {self.kind}"
        what = "a secret" if self.old == self.new == HIDDEN else f"{_said(self.old)} → {_said(self.new)}"
        return f"{self.path}: {what}{' (restart needed)' if self.needs_restart else ''}"


@dataclass(frozen=True, slots=True)
class _Secret:
    """Compared, and never shown."""

    value: object = dataclasses.field(repr=False)


def shown(config: Config) -> dict[str, Any]:
    """The whole configuration as JSON can say it, its secrets hidden."""
    told: dict[str, Any] = _masked(_config(config))
    return told


def between(old: Config, new: Config) -> list[Change]:
    """In the order of the newer one; what was removed comes last in its place."""
    return list(_between(_config(old), _config(new), ()))


def from_shown(old: Mapping[str, Any], new: Config) -> list[Change]:
    """The same for what a running gateway has shown of its own, where one secret looks like another."""
    return list(_between(old, codec.parse_json(codec.write_json(shown(new))), ()))


def _between(old: Any, new: Any, path: Path) -> Iterator[Change]:
    if old == new:
        return
    if not (isinstance(old, dict) and isinstance(new, dict)):
        yield Change(written(path), "changed", _masked(old), _masked(new), _needs_restart(path))
        return
    for name, value in new.items():
        if name in old:
            yield from _between(old[name], value, (*path, name))
        else:
            yield Change(written((*path, name)), "added", None, _masked(value), _needs_restart((*path, name)))
    for name, value in old.items():
        if name not in new:
            yield Change(written((*path, name)), "removed", _masked(value), None, _needs_restart((*path, name)))


def _needs_restart(path: Path) -> bool:
    return path[0] in ("state", "cache", "tracing") or (path[0] == "server" and path[1] not in LIVE)


def _config(config: Config) -> dict[str, Any]:
    tree = _plain(config)
    return {name: value for name, value in tree.items() if name not in _OF_THE_FILE}


def _plain(value: Any, hidden: bool = False) -> Any:
    """Plain mappings, lists and scalars, with every secret in its wrapping."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: _plain(getattr(value, field.name), hidden=not field.repr) for field in fields}
    if isinstance(value, Mapping):
        return {str(name): _plain(inner, hidden) for name, inner in value.items()}
    if value is None:
        return None
    if hidden:
        return _Secret(value)
    if isinstance(value, list | tuple):
        if any(type(member) in _NAMES for member in value):
            return {getattr(member, _NAMES[type(member)]): _plain(member) for member in value}
        return [_plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(_plain(inner) for inner in value)
    return str(value) if isinstance(value, pathlib.Path) else value


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return HIDDEN if isinstance(value, _Secret) else value


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value)
