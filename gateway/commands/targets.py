"""`gateway targets`: how each target is doing, and which are asked nothing, in every process that shares the state."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from gateway.commands import completing
from gateway.commands.common import config_option, load, model_of, with_store
from gateway.commands.output import JSON_OPTION, fail, near, note, print_json, table

if TYPE_CHECKING:
    from gateway.config import ModelConfig
    from gateway.store import Store


@click.group(name="targets")
def targets_group() -> None:
    """See how targets are doing, take one out everywhere, and put it back."""


@targets_group.command(name="list", epilog="Example: gateway targets list")
@config_option
@JSON_OPTION
def list_targets(file: pathlib.Path | None, as_json: bool) -> None:
    """Show every target as each running gateway process sees it, or what is drained where none runs."""
    from gateway import replicas

    async def asked(store: Store) -> tuple[list[Mapping[str, Any]], frozenset[tuple[str, str]]]:
        return await replicas.told(store), await replicas.drained(store)

    loaded = load(file)
    processes, drained = with_store(loaded, asked)
    if as_json:
        marks = [{"model": model, "target": target} for model, target in sorted(drained)]
        print_json({"object": "list", "data": processes, "drained": marks})
        return
    table(list(_rows(processes)) or list(_configured(loaded.models, drained)))
    if not processes:
        note("No gateway runs on this state, so that nothing is known of their health.")


def _rows(processes: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, object]]:
    for process in processes:
        for target in process["targets"]:
            error = target["last_error"]
            yield {
                "process": process["replica"],
                "model": target["model"],
                "target": target["target"],
                "provider": target["provider"],
                "state": target["state"],
                "in flight": target["in_flight"],
                "waiting": target["waiting"],
                "last error": error and f"{error['kind']}, {error['seconds_ago']:.0f} s ago",
            }


def _configured(models: Sequence[ModelConfig], drained: frozenset[tuple[str, str]]) -> Iterator[dict[str, object]]:
    for model in models:
        for target in model.targets:
            yield {
                "model": model.alias,
                "target": target.name,
                "provider": target.provider,
                "state": "drained" if (model.alias, target.name) in drained else None,
            }


@targets_group.command(epilog="Example: gateway targets drain text-embedding-3-small azure-west")
@config_option
@click.argument("model", shell_complete=completing.models)
@click.argument("target", shell_complete=completing.targets)
def drain(file: pathlib.Path | None, model: str, target: str) -> None:
    """Ask TARGET of MODEL nothing any more, in any process, until it is restored; what runs finishes."""
    from gateway import replicas

    loaded = load(file)
    found = model_of(loaded, model)
    _require(found, target)
    with_store(loaded, replicas.drain, found.alias, target)
    note(f"`{target}` of `{found.alias}` is drained; running gateways see it within seconds.")
    if len(found.targets) == 1:
        note(f"It is the only target of `{found.alias}`, which nobody can use meanwhile.", "yellow")


@targets_group.command(epilog="Example: gateway targets restore text-embedding-3-small azure-west")
@config_option
@click.argument("model", shell_complete=completing.models)
@click.argument("target", shell_complete=completing.targets)
def restore(file: pathlib.Path | None, model: str, target: str) -> None:
    """Let TARGET of MODEL be asked again, even one that the routing file does not name any more."""
    from gateway import replicas

    loaded = load(file)
    alias = next((one.alias for one in loaded.models if model in (one.alias, *one.aliases)), model)
    if (alias, target) not in with_store(loaded, replicas.drained):
        _require(model_of(loaded, model), target)
        note(f"`{target}` of `{alias}` was not drained.")
        return
    with_store(loaded, replicas.restore, alias, target)
    note(f"`{target}` of `{alias}` is asked again; running gateways see it within seconds.")


def _require(model: ModelConfig, target: str) -> None:
    names = [one.name for one in model.targets]
    if target not in names:
        listed = ", ".join(f"`{name}`" for name in names)
        fail(f"The model `{model.alias}` has no target `{target}`.{near(target, names)} It has {listed}.")
