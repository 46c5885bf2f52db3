"""`gateway keys`: make, list, revoke and rotate the keys of client applications."""

from __future__ import annotations

import pathlib
import sys
import time
from typing import Any

import click

from gateway.commands import completing
from gateway.commands.common import config_option, load, with_store
from gateway.commands.granting import granting
from gateway.commands.granting import wish as wish_of
from gateway.commands.output import JSON_OPTION, fail, note, print_json, table


@click.group(name="keys")
def keys_group() -> None:
    """Make, list, revoke and rotate the keys of client applications."""


def _patterns(models: str) -> list[str]:
    return [pattern.strip() for pattern in models.split(",") if pattern.strip()]


@keys_group.command(name="create", epilog="Example: gateway keys create --name app --models 'text-*' --rpm 600")
@config_option
@click.option("--name", required=True, help="What logs and lists call the key.")
@click.option("--models", default="*", show_default=True, help="Models it may use, comma-separated; * for any letters.")
@click.option("--expires", help="When it stops working: a date like 2027-01-31, or a time from now like 90d.")
@granting
@JSON_OPTION
def create_key(
    file: pathlib.Path | None, name: str, models: str, expires: str | None, as_json: bool, **granted: Any
) -> None:
    """Make a key; it is printed once and never again."""
    from gateway import key_wishes, keys, reports
    from gateway.key_wishes import KeyRefused

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
    if as_json:
        print_json({"key": made.key, **reports.key_object(made.record, time.time())})
    else:
        click.echo(made.key)
    note(f"This is the key `{name}`. It is shown only now: only its hash is kept.")


@keys_group.command(name="update", epilog="Example: gateway keys update key_0123456789ab --rpm 900")
@config_option
@click.argument("key", shell_complete=completing.key_ids)
@click.option("--models", help="Models it may use, comma-separated; * for any letters.")
@click.option("--expires", help="When it stops working: a date, or a time from now.")
@granting
def update_key(file: pathlib.Path | None, key: str, models: str | None, expires: str | None, **granted: Any) -> None:
    """Change what the key with this id may do; what is not named stays."""
    from gateway import keys

    wish = wish_of(granted)
    if models is not None:
        wish["models"] = _patterns(models)
    if expires is not None:
        wish["expires"] = expires
    if not wish:
        fail("Say what to change: `gateway keys update --help` shows what can be.")
    loaded = load(file)
    with_store(loaded, keys.change, key, wish, loaded.teams)
    note(f"The key {key} is changed; running gateways see it within seconds.")


@keys_group.command(name="show", epilog="Example: gateway keys show key_0123456789ab")
@config_option
@click.argument("key", shell_complete=completing.key_ids)
def show_key(file: pathlib.Path | None, key: str) -> None:
    """Print what is known of the key with this id, as JSON."""
    from gateway import keys, reports

    loaded = load(file)
    record = next((one for one in loaded.keys if one.id == key), None) or with_store(loaded, keys.find, key)
    print_json(reports.key_object(record, time.time()))


@keys_group.command(name="list")
@config_option
@JSON_OPTION
def list_keys(file: pathlib.Path | None, as_json: bool) -> None:
    """List the keys of the routing file and of the state, without the keys themselves."""
    from gateway import reports

    loaded = load(file)
    records = [*loaded.keys, *with_store(loaded, lambda store: store.list_keys())]
    now = time.time()
    if as_json:
        print_json([reports.key_object(record, now) for record in records])
    elif records:
        table([reports.key_row(record, now) for record in records])
    else:
        click.echo("There are no keys yet; `gateway keys create --name NAME` makes one.")


@keys_group.command(name="revoke")
@config_option
@click.argument("key", shell_complete=completing.key_names)
def revoke_key(file: pathlib.Path | None, key: str) -> None:
    """End a key, named by its name or id, within seconds everywhere."""
    from gateway import keys

    for record in with_store(load(file), keys.revoke, key):
        note(f"The key `{record.name}` ({record.id}) is revoked.")


@keys_group.command(name="rotate", epilog="Example: gateway keys rotate app --overlap 48h")
@config_option
@click.argument("key", shell_complete=completing.key_names)
@click.option("--overlap", default="24h", show_default=True, help="How long the old key still works; 0 ends it now.")
@JSON_OPTION
def rotate_key(file: pathlib.Path | None, key: str, overlap: str, as_json: bool) -> None:
    """Make a new key with the same rights, and end the old one after an overlap."""
    from gateway import keys, reports

    made = with_store(load(file), keys.rotate, key, overlap)
    ends = "has ended" if overlap == "0" else f"ends in {overlap}"
    if as_json:
        print_json({"key": made.key, **reports.key_object(made.record, time.time())})
    else:
        click.echo(made.key)
    note(f"This is the new key `{made.record.name}`, shown only now. The old one {ends}.")


@keys_group.command(name="mint", epilog="Example: gateway keys mint --key app --ttl 15m")
@config_option
@click.option(
    "--key",
    required=True,
    help="The name or id of the key that it is minted from.",
    shell_complete=completing.key_names,
)
@click.option("--ttl", default="15m", show_default=True, help="How long it works; at most 24h.")
@click.option("--models", default="*", show_default=True, help="Of the key's models those that fit, comma-separated.")
def mint_key(file: pathlib.Path | None, key: str, ttl: str, models: str) -> None:
    """Sign a short-lived key for a browser or a job, which has at most another key's rights and ends with it."""
    from gateway import minting

    loaded = load(file)
    made = with_store(loaded, minting.mint, loaded.keys, loaded.signing_key, key, ttl, _patterns(models))
    click.echo(made.key)
    note(f"This key works for {ttl}, on the limits and budget of `{made.parent.name}`.")


@keys_group.command(name="hash")
def hash_key() -> None:
    """Read a key from standard input and print the SHA-256 that `auth.keys` of a routing file takes."""
    from gateway import keys
    from gateway.key_wishes import KeyRefused

    if sys.stdin.isatty():
        key: str = click.prompt("Key", hide_input=True, err=True)
    else:
        key = sys.stdin.buffer.readline().decode(errors="replace")
    try:
        click.echo(keys.hash_of(key.strip()))
    except KeyRefused as error:
        fail(str(error))
