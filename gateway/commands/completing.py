"""What the Tab key offers: names of models, targets and keys. Where these are not known it offers nothing.

Names come from the routing file as it is written, unchecked, in a few milliseconds. Keys are asked for in the state.
"""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

import gateway
from gateway.commands.common import found

if TYPE_CHECKING:
    from gateway.auth import KeyRecord


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    names = [(name, shape) for name, shape in _models(context).items() if isinstance(shape, dict)]
    offered = [
        *(CompletionItem(name) for name, _ in names),
        *(CompletionItem(other, help=name) for name, shape in names for other in shape.get("aliases") or ()),
    ]
    return _fitting(offered, incomplete)


def targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of the model that was named before; a target without a name is known by its provider and place."""
    shape = _models(context).get(context.params.get("model"))
    listed = shape.get("targets") if isinstance(shape, dict) else None
    named = [
        CompletionItem(str(target.get("name") or f"{target.get('provider')}-{place}"), help=str(target.get("model")))
        for place, target in enumerate(listed or ())
        if isinstance(target, dict)
    ]
    return _fitting(named, incomplete)


def key_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _fitting([CompletionItem(record.id, help=record.name) for record in _keys(context)], incomplete)


def key_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """By the name or the id."""
    offered = [*dict.fromkeys(record.name for record in _keys(context))]
    return [*_fitting([CompletionItem(name) for name in offered], incomplete), *key_ids(context, parameter, incomplete)]


def _fitting(offered: Sequence[CompletionItem], incomplete: str) -> list[CompletionItem]:
    return [item for item in offered if item.value.startswith(incomplete)]


def _models(context: click.Context) -> dict[Any, Any]:
    from gateway import document

    file = found(context.params.get("file")) or pathlib.Path(gateway.__file__).with_name("default.yaml")
    try:
        values = document.parse(file.read_text("utf-8"), {}).values
    except (OSError, UnicodeDecodeError):
        return {}
    models = values.get("models") if isinstance(values, dict) else None
    return models if isinstance(models, dict) else {}


def _keys(context: click.Context) -> Sequence[KeyRecord]:
    """Keys that work. A state that is not there yet is not made."""
    import asyncio
    import time

    from gateway import build
    from gateway.config import ConfigError
    from gateway.errors import StateUnavailable
    from gateway.source import Source
    from gateway.store import StoreError

    async def listed() -> Sequence[KeyRecord]:
        store = build.store(config)
        try:
            return await store.list_keys()
        finally:
            await store.close()

    with contextlib.suppress(ConfigError, OSError, UnicodeDecodeError, StoreError, StateUnavailable):
        config = Source(found(context.params.get("file"))).read({})
        if config.state.file is None or config.state.file.exists():
            return [record for record in asyncio.run(listed()) if record.usable_at(time.time())]
    return []
