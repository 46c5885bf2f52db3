"""`gateway cache`: what the cache of all processes has done, and how it is emptied."""

from __future__ import annotations

import json
import pathlib

import click

from gateway import cache_state, reports
from gateway.commands.common import config_option, fail, load, table, with_store
from gateway.config import Config


@click.group()
def cache() -> None:
    """What the cache has saved, and how to empty it."""


@cache.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(file: pathlib.Path | None, as_json: bool) -> None:
    """Show hits and misses of each model, and the memory in use, of all gateway processes that run."""
    processes = with_store(_load(file), cache_state.told)
    found = reports.cache_object(processes)
    if as_json:
        click.echo(json.dumps(found, indent=2))
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
    with_store(_load(file), cache_state.clear)
    click.echo("Cleared. Every gateway process knows within a second.")


def _load(file: pathlib.Path | None) -> Config:
    config = load(file)
    if config.cache is None:
        fail("There is no cache: the routing file has no section `cache`.")
    return config
