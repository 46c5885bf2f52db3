"""`gateway keys`: make, list, revoke and rotate the keys of client applications."""

from __future__ import annotations

import asyncio
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import click

from gateway import keys
from gateway.commands.common import config_option, fail, load
from gateway.errors import GatewayError, StateUnavailable
from gateway.store import StoreError


@click.group(name="keys")
def keys_group() -> None:
    """Make, list, revoke and rotate the keys of client applications."""


def _with_store(file: pathlib.Path | None, action: Callable[..., Any], *arguments: Any) -> Any:
    loaded = load(file)
    try:
        return asyncio.run(keys.with_store(loaded, action, *arguments))
    except StateUnavailable as error:
        fail(str(error.__cause__))
    except (StoreError, GatewayError, keys.KeyRefused) as error:
        fail(str(error))


@keys_group.command(name="create")
@config_option
@click.option("--name", required=True, help="What logs and lists call the key.")
@click.option("--models", default="*", show_default=True, help="Models it may use, comma-separated; * for any letters.")
@click.option("--expires", help="When it stops working: a date like 2027-01-31, or a time from now like 90d.")
def create_key(file: pathlib.Path | None, name: str, models: str, expires: str | None) -> None:
    """Make a key; it is printed once and never again."""
    patterns = tuple(pattern.strip() for pattern in models.split(",") if pattern.strip())
    made = _with_store(file, keys.create, name, patterns, expires)
    click.echo(made.key)
    click.echo(f"This is the key `{name}`. It is shown only now: only its hash is kept.", err=True)


@keys_group.command(name="list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def list_keys(file: pathlib.Path | None, as_json: bool) -> None:
    """List the keys of the state and of the routing file, without the keys themselves."""
    rows = _with_store(file, keys.listed, load(file).keys)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("There are no keys yet; `gateway keys create --name NAME` makes one.")
        return
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    for row in [{name: name.upper() for name in widths}, *rows]:
        click.echo("  ".join(str(row[name]).ljust(width) for name, width in widths.items()).rstrip())


@keys_group.command(name="revoke")
@config_option
@click.argument("key")
def revoke_key(file: pathlib.Path | None, key: str) -> None:
    """End a key, named by its name or id, within seconds everywhere."""
    for record in _with_store(file, keys.revoke, key):
        click.echo(f"The key `{record.name}` ({record.id}) is revoked.", err=True)


@keys_group.command(name="rotate")
@config_option
@click.argument("key")
@click.option("--overlap", default="24h", show_default=True, help="How long the old key still works; 0 ends it now.")
def rotate_key(file: pathlib.Path | None, key: str, overlap: str) -> None:
    """Make a new key with the same rights, and end the old one after an overlap."""
    made = _with_store(file, keys.rotate, key, overlap)
    ends = "has ended" if overlap == "0" else f"ends in {overlap}"
    click.echo(made.key)
    click.echo(f"This is the new key `{made.record.name}`, shown only now. The old one {ends}.", err=True)


@keys_group.command(name="hash")
def hash_key() -> None:
    """Read a key from standard input and print the SHA-256 that `auth.keys` of a routing file takes."""
    if sys.stdin.isatty():
        key: str = click.prompt("Key", hide_input=True, err=True)
    else:
        key = sys.stdin.buffer.readline().decode(errors="replace")
    try:
        click.echo(keys.hash_of(key.strip()))
    except keys.KeyRefused as error:
        fail(str(error))
