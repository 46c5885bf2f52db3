"""`gateway import`: what another gateway was told becomes a routing file."""

from __future__ import annotations

import pathlib

import click

from gateway.commands.common import FILE, unreadable
from gateway.commands.output import fail, note


@click.group(name="import")
def import_group() -> None:
    """Make a routing file out of another gateway's configuration."""


@import_group.command(name="litellm", epilog="Example: gateway import litellm config.yaml > gateway.yaml")
@click.argument("file", type=FILE)
def import_litellm(file: pathlib.Path) -> None:
    """Print a routing file for the embedding models of a LiteLLM proxy's configuration.

    What could not be converted stands in its comments; exit 1 if nothing could be.
    """
    from gateway import importing

    try:
        imported = importing.convert(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        fail(unreadable(file, error))
    except importing.ImportRefused as error:
        fail(f"{file}: {error}.")
    click.echo(imported.text, nl=False)
    count = imported.converted
    note(
        f"{count} model{'' if count == 1 else 's'} converted, {imported.left_out} left out; the comments say what is "
        "missing. Look at it with `gateway check`."
    )
    if imported.variables:
        note(f"It reads from the environment: {', '.join(imported.variables)}.")
    if imported.moved:
        note(f"Keys stood in {file}; set them as: {', '.join(imported.moved)}.")
    if count == 0:
        raise SystemExit(1)
