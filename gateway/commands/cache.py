"""`gateway cache`: what the cache that replicas share has done, and how it is emptied."""

from __future__ import annotations

import asyncio
import json
import pathlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from gateway import build, reports
from gateway.commands.common import config_option, fail, load, table
from gateway.errors import StateUnavailable
from gateway.store import StoreError
from gateway.store.redis_cache import RedisCache

_T = TypeVar("_T")


@click.group()
def cache() -> None:
    """What the cache in Redis has saved, and how to empty it."""


@cache.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats(file: pathlib.Path | None, as_json: bool) -> None:
    """Show hits and misses of each model, of all replicas, since the cache was last cleared."""
    sums = _with_cache(file, lambda shared: shared.sums())
    rows = reports.cache_rows(sums)
    if as_json:
        click.echo(json.dumps({"object": "list", "data": rows}, indent=2))
    elif rows:
        table(rows)
    else:
        click.echo("Nothing was looked up yet.")


@cache.command()
@config_option
def clear(file: pathlib.Path | None) -> None:
    """Let every replica forget what it has kept."""
    _with_cache(file, lambda shared: shared.clear())
    click.echo("Cleared. Every replica knows within a second.")


def _with_cache(file: pathlib.Path | None, action: Callable[[RedisCache], Awaitable[_T]]) -> _T:
    config = load(file)
    if config.cache is None:
        fail("There is no cache: the routing file has no section `cache`.")

    async def run() -> _T:
        shared = build.redis_cache(config)
        if shared is None:
            fail(
                "The cache is in the memory of the running gateway alone: ask it with `GET /admin/cache`, empty it "
                "with `DELETE /admin/cache`."
            )
        try:
            return await action(shared)
        finally:
            await shared.close()

    try:
        return asyncio.run(run())
    except StateUnavailable as error:
        fail(str(error.__cause__))
    except StoreError as error:
        fail(str(error))
