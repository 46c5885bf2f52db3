"""`gateway space`: what each vector space is compared to, and whether its targets still make its vectors."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gateway.commands import completing
from gateway.commands.common import config_option, load, model_of, with_store
from gateway.commands.output import JSON_OPTION, fail, print_json, table

if TYPE_CHECKING:
    from gateway.canary import Reference
    from gateway.config import Config, ModelConfig
    from gateway.store import Store


@click.group(name="space")
def space_group() -> None:
    """See and renew what targets are compared to, so that a silent change of a model is noticed."""


@space_group.command(name="list")
@config_option
@JSON_OPTION
def list_spaces(file: pathlib.Path | None, as_json: bool) -> None:
    """Show every model's space, its reference, and how like it each target is."""
    loaded = load(file)
    _print(_report(loaded, loaded.models), as_json)


@space_group.command(name="show")
@config_option
@click.argument("model", shell_complete=completing.models)
@JSON_OPTION
def show_space(file: pathlib.Path | None, model: str, as_json: bool) -> None:
    """Show the space of MODEL."""
    loaded = load(file)
    _print(_report(loaded, [model_of(loaded, model)]), as_json)


@space_group.command(name="accept")
@config_option
@click.argument("model", shell_complete=completing.models)
@click.option(
    "--target", help="The target whose vectors are right [all, if they agree].", shell_complete=completing.targets
)
def accept(file: pathlib.Path | None, model: str, target: str | None) -> None:
    """Ask the targets of MODEL now, and make what they answer the reference of its space.

    Whatever is cached of the space is found no more.
    """
    from gateway.assembly import BuildError
    from gateway.pinning import NotPinned

    loaded = load(file)
    found = model_of(loaded, model)
    try:
        reference, generation = with_store(loaded, _accept, loaded, found, target)
    except (BuildError, NotPinned) as error:
        fail(str(error))
    click.echo(f"The space {found.space} has a new reference, by {reference.by}; its generation is {generation}.")


async def _accept(store: Store, config: Config, model: ModelConfig, target: str | None) -> tuple[Reference, int]:
    import asyncio
    import time

    from gateway import assembly, build, pinning
    from gateway.engines import Engines
    from gateway.recipe import mark, run_name
    from gateway.spaces import Spaces
    from gateway.upstream import Upstream

    spaces, upstream, engines = Spaces(store), Upstream(), Engines()
    try:
        # In a thread, as it reads the files of local models.
        [route] = await asyncio.to_thread(build.routes, [model], upstream, engines)
        reference = await pinning.accept(route, target, assembly.counter(route), spaces, time.time)
        for other in config.models:  # they are compared to it soon, whenever they were last
            if other.space == model.space:
                for one in other.targets:
                    await spaces.end(run_name(other, mark(one)), 0)
        return reference, spaces.generation(model.space)
    finally:
        await engines.close()
        await upstream.close()


def _report(config: Config, models: Sequence[ModelConfig]) -> list[dict[str, Any]]:
    from gateway import space_report
    from gateway.spaces import Spaces

    return with_store(config, lambda store: space_report.report(models, Spaces(store)))


def _print(models: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(models)
        return
    table(
        [
            {
                "model": model["model"],
                "space": model["space"],
                "reference": model["reference"] and model["reference"]["since"],
                "generation": model["generation"],
                "target": target["target"],
                "state": target["state"],
                "cosine": target["cosine"],
                "asked": target["asked"],
                "complaint": target["complaint"] or "",
            }
            for model in models
            for target in model["targets"]
        ]
    )
