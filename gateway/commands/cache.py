"""`gateway cache`: what the cache of all processes has done, and how it is emptied."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from gateway.commands.common import config_option, load, with_store
from gateway.commands.output import JSON_OPTION, fail, print_json, table

if TYPE_CHECKING:
    from gateway.config import Config


@click.group()
def cache() -> None:
    """What the cache has saved, and how to empty it."""


@cache.command()
@config_option
@JSON_OPTION
def stats(file: pathlib.Path | None, as_json: bool) -> None:
    """Show hits and misses of each model, and the memory in use, of all gateway processes that run."""
    from gateway import cache_state, reports

    processes = with_store(_load(file), cache_state.told)
    found = reports.cache_object(processes)
    if as_json:
        print_json(found)
        return
    if found["models"]:
        table(found["models"])
    memory, count = found["memory"], len(processes)
    click.echo(
        f"{memory['entries']} vectors in {memory['bytes']} of {memory['limit']} bytes of memory, in {count} "
        f"process{'' if count == 1 else 'es'}."
    )


@cache.command()
@config_option
def clear(file: pathlib.Path | None) -> None:
    """Let every gateway process forget what was kept, in Redis too."""
    from gateway import cache_state

    with_store(_load(file), cache_state.clear)
    click.echo("Cleared. Every gateway process knows within a second.")


def _load(file: pathlib.Path | None) -> Config:
    config = load(file)
    if config.cache is None:
        fail("There is no cache: the routing file has no section `cache`. `cache: {memory: 256MiB}` makes one.")
    return config
