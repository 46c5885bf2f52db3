"""`gateway probe`: ask every target what it really does, and say what the routing file should hold."""

from __future__ import annotations

import asyncio
import functools
import pathlib
from collections.abc import Sequence

import click

from gateway import build
from gateway.commands.common import config_option, fail, load
from gateway.config import ModelConfig
from gateway.engines import Engines
from gateway.inputs import MAX_INPUTS
from gateway.probing import report
from gateway.probing.finding import Report
from gateway.probing.questions import Questions, probe_all


@click.command()
@config_option
@click.argument("model", required=False)
@click.option(
    "--max-items",
    type=click.IntRange(1, MAX_INPUTS),
    default=MAX_INPUTS,
    show_default=True,
    help="Most inputs to try in one call.",
)
@click.option("--long", "long_texts", is_flag=True, help="Also send texts beyond the token limit, which costs tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def probe(file: pathlib.Path | None, model: str | None, max_items: int, long_texts: bool, as_json: bool) -> None:
    """Ask every target (of MODEL) what it really does: about a dozen short calls each.

    Prints a table, and the YAML that follows. Exits with 1 if something contradicts the configuration.
    """
    loaded = load(file)
    models = [one for one in loaded.models if model is None or model in (one.alias, *one.aliases)]
    if not models:
        fail(f"There is no such model; there are {', '.join(f'`{one.alias}`' for one in loaded.models)}.")
    questions = Questions(loaded.server.timeout, max_items, long_texts)
    found = asyncio.run(_asked(models, questions))
    click.echo(report.as_json(found) if as_json else report.text(found))
    if any(one.contradictions for one in found):
        raise SystemExit(1)


async def _asked(models: Sequence[ModelConfig], questions: Questions) -> list[Report]:
    engines = Engines()
    try:
        return await probe_all(models, questions, functools.partial(build.routes, engines=engines), build.retry())
    finally:
        await engines.close()
