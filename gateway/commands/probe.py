"""`gateway probe`: ask every target what it really does, and say what the routing file should hold."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from gateway.commands import completing
from gateway.commands.common import config_option, load, model_of
from gateway.commands.output import JSON_OPTION, marked, progress

if TYPE_CHECKING:
    from gateway.config import ModelConfig
    from gateway.probing.finding import Report
    from gateway.probing.questions import Questions

MOST: Final = 2048
"""What the gateway takes in one request: `gateway.inputs.MAX_INPUTS`, which a page of help need not import."""


@click.command(epilog="Example: gateway probe text-embedding-3-small --max-items 64")
@config_option
@click.argument("model", required=False, shell_complete=completing.models)
@click.option(
    "--max-items",
    type=click.IntRange(1, MOST),
    default=MOST,
    show_default=True,
    help="Most inputs to try in one call.",
)
@click.option("--long", "long_texts", is_flag=True, help="Also send texts beyond the token limit, which costs tokens.")
@JSON_OPTION
def probe(file: pathlib.Path | None, model: str | None, max_items: int, long_texts: bool, as_json: bool) -> None:
    """Ask every target (of MODEL) what it really does: about a dozen short calls each.

    Prints a table, and the YAML that follows. Exits with 1 if something contradicts the configuration.
    """
    import asyncio

    from gateway.probing import report
    from gateway.probing.questions import Questions

    loaded = load(file)
    models = loaded.models if model is None else [model_of(loaded, model)]
    count = sum(len(one.targets) for one in models)
    with progress(f"Asking {count} target{'' if count == 1 else 's'}", count) as move:
        questions = Questions(loaded.server.timeout, max_items, long_texts, lambda: move(1))
        found = asyncio.run(_asked(models, questions))
    click.echo(report.as_json(found) if as_json else marked(report.text(found)))
    if any(one.contradictions for one in found):
        raise SystemExit(1)


async def _asked(models: Sequence[ModelConfig], questions: Questions) -> list[Report]:
    import functools

    from gateway import build
    from gateway.engines import Engines
    from gateway.probing.questions import probe_all

    engines = Engines()
    try:
        return await probe_all(models, questions, functools.partial(build.routes, engines=engines), build.retry())
    finally:
        await engines.close()
