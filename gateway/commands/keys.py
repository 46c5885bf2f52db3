"""`gateway keys`: make, list, revoke and rotate the keys of client applications."""

from __future__ import annotations

import json
import pathlib
import sys
import time
from typing import Any

import click

from gateway import key_wishes, keys, minting, reports
from gateway.commands.common import config_option, fail, load, table, with_store
from gateway.commands.granting import granting
from gateway.commands.granting import wish as wish_of
from gateway.key_wishes import KeyRefused


@click.group(name="keys")
def keys_group() -> None:
    """Make, list, revoke and rotate the keys of client applications."""


def _patterns(models: str) -> list[str]:
    return [pattern.strip() for pattern in models.split(",") if pattern.strip()]


@keys_group.command(name="create")
@config_option
@click.option("--name", required=True, help="What logs and lists call the key.")
@click.option("--models", default="*", show_default=True, help="Models it may use, comma-separated; * for any letters.")
@click.option("--expires", help="When it stops working: a date like 2027-01-31, or a time from now like 90d.")
@granting
def create_key(file: pathlib.Path | None, name: str, models: str, expires: str | None, **granted: Any) -> None:
    """Make a key; it is printed once and never again."""
    wish = {"name": name, "models": _patterns(models), "expires": expires, **wish_of(granted)}
    if wish.get("limits") == {"shadow": True}:
        fail("`--shadow` says how limits are meant; give it --rpm, --tpm or --concurrent, too.")
    if "budget" in wish:
        wish["budget"] = {"per": "month"} | wish["budget"]
    try:
        shaped = key_wishes.shaped(wish)
    except KeyRefused as error:
        fail(str(error))
    loaded = load(file)
    made = with_store(loaded, keys.create, shaped, loaded.teams)
    click.echo(made.key)
    click.echo(f"This is the key `{name}`. It is shown only now: only its hash is kept.", err=True)


@keys_group.command(name="update")
@config_option
@click.argument("key")
@click.option("--models", help="Models it may use, comma-separated; * for any letters.")
@click.option("--expires", help="When it stops working: a date, or a time from now.")
@granting
def update_key(file: pathlib.Path | None, key: str, models: str | None, expires: str | None, **granted: Any) -> None:
    """Change what the key with this id may do; what is not named stays."""
    wish = wish_of(granted)
    if models is not None:
        wish["models"] = _patterns(models)
    if expires is not None:
        wish["expires"] = expires
    if not wish:
        fail("Say what to change: `gateway keys update --help` shows what can be.")
    loaded = load(file)
    with_store(loaded, keys.change, key, wish, loaded.teams)
    click.echo(f"The key {key} is changed; running gateways see it within seconds.", err=True)


@keys_group.command(name="show")
@config_option
@click.argument("key")
def show_key(file: pathlib.Path | None, key: str) -> None:
    """Print what is known of the key with this id, as JSON."""
    loaded = load(file)
    record = next((one for one in loaded.keys if one.id == key), None) or with_store(loaded, keys.find, key)
    click.echo(json.dumps(reports.key_object(record, time.time()), indent=2))


@keys_group.command(name="list")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def list_keys(file: pathlib.Path | None, as_json: bool) -> None:
    """List the keys of the routing file and of the state, without the keys themselves."""
    loaded = load(file)
    records = [*loaded.keys, *with_store(loaded, lambda store: store.list_keys())]
    now = time.time()
    if as_json:
        click.echo(json.dumps([reports.key_object(record, now) for record in records], indent=2))
    elif records:
        table([reports.key_row(record, now) for record in records])
    else:
        click.echo("There are no keys yet; `gateway keys create --name NAME` makes one.")


@keys_group.command(name="revoke")
@config_option
@click.argument("key")
def revoke_key(file: pathlib.Path | None, key: str) -> None:
    """End a key, named by its name or id, within seconds everywhere."""
    for record in with_store(load(file), keys.revoke, key):
        click.echo(f"The key `{record.name}` ({record.id}) is revoked.", err=True)


@keys_group.command(name="rotate")
@config_option
@click.argument("key")
@click.option("--overlap", default="24h", show_default=True, help="How long the old key still works; 0 ends it now.")
def rotate_key(file: pathlib.Path | None, key: str, overlap: str) -> None:
    """Make a new key with the same rights, and end the old one after an overlap."""
    made = with_store(load(file), keys.rotate, key, overlap)
    ends = "has ended" if overlap == "0" else f"ends in {overlap}"
    click.echo(made.key)
    click.echo(f"This is the new key `{made.record.name}`, shown only now. The old one {ends}.", err=True)


@keys_group.command(name="mint")
@config_option
@click.option("--key", required=True, help="The name or id of the key that it is minted from.")
@click.option("--ttl", default="15m", show_default=True, help="How long it works; at most 24h.")
@click.option("--models", default="*", show_default=True, help="Of the key's models those that fit, comma-separated.")
def mint_key(file: pathlib.Path | None, key: str, ttl: str, models: str) -> None:
    """Sign a short-lived key for a browser or a job, which has at most another key's rights and ends with it."""
    loaded = load(file)
    made = with_store(loaded, minting.mint, loaded.keys, loaded.signing_key, key, ttl, _patterns(models))
    click.echo(made.key)
    click.echo(f"This key works for {ttl}, on the limits and budget of `{made.parent.name}`.", err=True)


@keys_group.command(name="hash")
def hash_key() -> None:
    """Read a key from standard input and print the SHA-256 that `auth.keys` of a routing file takes."""
    if sys.stdin.isatty():
        key: str = click.prompt("Key", hide_input=True, err=True)
    else:
        key = sys.stdin.buffer.readline().decode(errors="replace")
    try:
        click.echo(keys.hash_of(key.strip()))
    except KeyRefused as error:
        fail(str(error))
