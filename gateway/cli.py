"""The command line. It parses, calls and prints; what a command does is done in the rooms it calls."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import click

import gateway
from gateway import build, keys, loading, schema, serving, welcome
from gateway.answers import result_body
from gateway.auth import Caller
from gateway.config import Config, ConfigError
from gateway.errors import GatewayError
from gateway.record import Record
from gateway.store import StoreError
from gateway.upstream import Upstream
from gateway.wire import parse_request

DEFAULT_FILE: Final = pathlib.Path("gateway.yaml")

_FILE: Final = click.Path(dir_okay=False, path_type=pathlib.Path)


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    raise SystemExit(1)


def _config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config", "-c", "file", type=_FILE, help="The routing file [gateway.yaml here, else the embedded default]."
    )(command)


def _load(file: pathlib.Path | None) -> Config:
    """The configuration of a file, of `gateway.yaml` here, or the embedded default; ends the program on problems."""
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    try:
        return loading.load(file)
    except ConfigError as error:
        count = len(error.problems)
        _fail("\n".join([*error.lines(), f"{count} problem{'s' if count > 1 else ''}; nothing was started."]))
    except OSError as error:
        _fail(f"{file}: cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        _fail(f"{file}: is not UTF-8 text.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(gateway.__version__, prog_name="gateway")
def main() -> None:
    """One OpenAI-compatible service for embeddings from any provider, hosted or local."""


@main.command()
@_config_option
@click.option("--host", help="Address to listen on [server.host].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for a free one [server.port].")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that share the port [server.workers].")
def serve(file: pathlib.Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve until stopped."""
    loaded = _load(file)
    given = {"host": host, "port": port, "workers": workers}
    server = loaded.server.model_copy(update={name: value for name, value in given.items() if value is not None})
    loaded = dataclasses.replace(loaded, server=server)
    try:
        with serving.listen(server.host, server.port) as listener:
            serving.serve(loaded, listener, announce=lambda: _announce(loaded, serving.url(listener)))
    except (build.BuildError, StoreError, serving.ListenError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a person stops it


def _announce(config: Config, url: str) -> None:
    """The first key is made last: one made for a gateway that then fails to start would never be told."""
    click.echo(welcome.text(config, url, asyncio.run(keys.first_key(config))))


@main.command()
@click.argument("file", type=_FILE, required=False)
def check(file: pathlib.Path | None) -> None:
    """Check a routing file: every problem at once, each with its line; exit 1 if there is one."""
    loaded = _load(file)
    try:
        build.gateway(loaded, Upstream())  # the files of local models and of certificates are read, too
    except build.BuildError as error:
        _fail(str(error))
    for model in loaded.models:
        targets = ", ".join(f"{target.name} ({target.provider}: {target.model})" for target in model.targets)
        click.echo(f"{model.alias}: space {model.space}, {model.dimensions}, targets {targets}")
    count = len(loaded.models)
    click.echo(f"{file or 'The configuration'} is good: {count} model{'s' if count > 1 else ''}.")


@main.command(name="schema")
def print_schema() -> None:
    """Print the JSON Schema of the routing file, for editors."""
    click.echo(json.dumps(schema.json_schema(), indent=2))


@main.command()
@_config_option
@click.argument("model")
@click.argument("text", nargs=-1, required=True)
def embed(file: pathlib.Path | None, model: str, text: tuple[str, ...]) -> None:
    """Embed TEXT with MODEL, without a server, and print OpenAI's answer."""
    loaded = _load(file)

    async def run() -> bytes:
        upstream = Upstream()
        try:
            clock = asyncio.get_running_loop().time
            request = parse_request(json.dumps({"model": model, "input": text}).encode())  # as strict as the endpoint
            caller = Caller("cli", "cli", ("*",))
            deadline = clock() + loaded.server.timeout
            record = Record("cli", clock, clock())
            result = await build.gateway(loaded, upstream).embed(request, caller, deadline, record)
            return result_body(result, "float")
        finally:
            await upstream.close()

    try:
        click.echo(asyncio.run(run()))
    except (GatewayError, build.BuildError) as error:
        _fail(str(error))


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@main.group(name="keys")
def keys_group() -> None:
    """Make, list, revoke and rotate the keys of client applications."""


def _with_store(file: pathlib.Path | None, action: Callable[..., Any], *arguments: Any) -> Any:
    loaded = _load(file)
    try:
        return asyncio.run(keys.with_store(loaded, action, *arguments))
    except (StoreError, GatewayError, keys.KeyRefused) as error:
        _fail(str(error))


@keys_group.command(name="create")
@_config_option
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
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def list_keys(file: pathlib.Path | None, as_json: bool) -> None:
    """List the keys of the state and of the routing file, without the keys themselves."""
    rows = _with_store(file, keys.listed, _load(file).keys)
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
@_config_option
@click.argument("key")
def revoke_key(file: pathlib.Path | None, key: str) -> None:
    """End a key, named by its name or id, within seconds everywhere."""
    for record in _with_store(file, keys.revoke, key):
        click.echo(f"The key `{record.name}` ({record.id}) is revoked.", err=True)


@keys_group.command(name="rotate")
@_config_option
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
        _fail(str(error))
