"""`gateway import`: what another gateway was told becomes a routing file."""

from __future__ import annotations

import pathlib

import click

from gateway import importing
from gateway.commands.common import FILE, fail


@click.group(name="import")
def import_group() -> None:
    """Make a routing file out of another gateway's configuration."""


@import_group.command(name="litellm")
@click.argument("file", type=FILE)
def import_litellm(file: pathlib.Path) -> None:
    """Print a routing file for the embedding models of a LiteLLM proxy's configuration.

    What could not be converted stands in its comments; exit 1 if nothing could be.
    """
    try:
        imported = importing.convert(file.read_text("utf-8"))
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}.")
    except (UnicodeDecodeError, importing.ImportRefused) as error:
        fail(f"{file}: {error if isinstance(error, importing.ImportRefused) else 'is not UTF-8 text'}.")
    click.echo(imported.text, nl=False)
    count = imported.converted
    click.echo(
        f"{count} model{'' if count == 1 else 's'} converted, {imported.left_out} left out; the comments say what is "
        "missing. Look at it with `gateway check`.",
        err=True,
    )
    if imported.variables:
        click.echo(f"It reads from the environment: {', '.join(imported.variables)}.", err=True)
    if imported.moved:
        click.echo(f"Keys stood in {file}; set them as: {', '.join(imported.moved)}.", err=True)
    if count == 0:
        raise SystemExit(1)
