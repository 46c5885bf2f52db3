"""The command line. It parses, calls and prints; what a command does is done in the rooms it calls."""

from __future__ import annotations

import asyncio
import json
import pathlib
import sys

import click

import gateway
from gateway import build, changes, keys, loading, logs, schema, serving, welcome
from gateway.answers import result_body
from gateway.assembly import BuildError
from gateway.auth import Caller
from gateway.commands.cache import cache
from gateway.commands.common import FILE, config_option, fail, found, load, read, with_store
from gateway.commands.importing import import_group
from gateway.commands.keys import keys_group
from gateway.commands.probe import probe
from gateway.commands.space import space_group
from gateway.commands.usage import usage
from gateway.config import UNSHARED, Config
from gateway.errors import GatewayError
from gateway.record import Record
from gateway.reload import Provision
from gateway.source import Source
from gateway.store import StoreError
from gateway.upstream import Upstream
from gateway.wire import parse_request


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(gateway.__version__, prog_name="gateway")
def main() -> None:
    """One OpenAI-compatible service for embeddings from any provider, hosted or local."""


@main.command()
@config_option
@click.option("--host", help="Address to listen on [server.host].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for a free one [server.port].")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that share the port [server.workers].")
@click.option(
    "--log-format", type=click.Choice(["json", "console"]), default="json", help="Log lines for programs or for people."
)
def serve(
    file: pathlib.Path | None, host: str | None, port: int | None, workers: int | None, log_format: logs.Style
) -> None:
    """Serve until stopped."""
    given = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    provision = Provision(Source(found(file), given))
    loaded = read(provision.file, provision.contents)
    if loaded.counts_apart:
        fail(f"--workers {loaded.server.workers}: {UNSHARED}.")
    try:
        with serving.listen(loaded.server.host, loaded.server.port) as listener:
            log = logs.configuration(log_format, sys.stderr.isatty() and not loading.wants_no_colour())
            serving.serve(loaded, provision, listener, lambda: _announce(loaded, serving.url(listener)), log)
    except (BuildError, StoreError, serving.ListenError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a person stops it


def _announce(config: Config, url: str) -> None:
    """The first key is made last: one made for a gateway that then fails to start would never be told."""
    key = with_store(config, keys.first) if config.is_embedded_default else None
    click.echo(welcome.text(config, url, key))


@main.command()
@click.argument("file", type=FILE, required=False)
@click.option("--diff", "running", type=FILE, metavar="RUNNING", help="Say what would change from this routing file.")
def check(file: pathlib.Path | None, running: pathlib.Path | None) -> None:
    """Check a routing file: every problem at once, each with its line; exit 1 if there is one."""
    loaded = load(file)
    former = None if running is None else load(running)
    try:
        build.gateway(loaded, Upstream())  # the files of local models and of certificates are read, too
    except BuildError as error:
        fail(str(error))
    for model in loaded.models:
        targets = ", ".join(f"{target.name} ({target.provider}: {target.model})" for target in model.targets)
        click.echo(f"{model.alias}: space {model.space}, {model.dimensions}, targets {targets}")
    if former is not None:
        _print_changes(former, loaded)
    for warning in loaded.warnings:
        click.echo(f"Warning: {warning}", err=True)
    count, warned = len(loaded.models), len(loaded.warnings)
    click.echo(
        f"{file or 'The configuration'} is good: {count} model{'s' if count > 1 else ''}"
        f"{f', {warned} warning' if warned else ''}{'s' if warned > 1 else ''}."
    )


def _print_changes(former: Config, loaded: Config) -> None:
    found = changes.between(former, loaded)
    click.echo("What would change:" if found else "Nothing would change.")
    for change in found:
        click.echo(f"  {change}")


@main.command(name="schema")
def print_schema() -> None:
    """Print the JSON Schema of the routing file, for editors."""
    click.echo(json.dumps(schema.json_schema(), indent=2))


@main.command()
@config_option
@click.argument("model")
@click.argument("text", nargs=-1, required=True)
def embed(file: pathlib.Path | None, model: str, text: tuple[str, ...]) -> None:
    """Embed TEXT with MODEL, without a server, and print OpenAI's answer."""
    loaded = load(file)

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
    except (GatewayError, BuildError) as error:
        fail(str(error))


main.add_command(probe)
main.add_command(keys_group)
main.add_command(space_group)
main.add_command(usage)
main.add_command(cache)
main.add_command(import_group)
