"""`gateway serve`: the gateway itself."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import click

from gateway.commands.common import config_option, found, read, with_store
from gateway.commands.output import fail, has_colours

if TYPE_CHECKING:
    from gateway import logs
    from gateway.config import Config


@click.command(epilog="Example: gateway serve --config gateway.yaml --workers 4")
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
    from gateway import logs, serving
    from gateway.assembly import BuildError
    from gateway.config import UNSHARED
    from gateway.reload import Provision
    from gateway.source import Source
    from gateway.store import StoreError

    given = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    provision = Provision(Source(found(file), given))
    loaded = read(provision.file, provision.contents)
    if loaded.counts_apart:
        fail(f"--workers {loaded.server.workers}: {UNSHARED}.")
    try:
        with serving.listen(loaded.server.host, loaded.server.port) as listener:
            log = logs.configuration(log_format, has_colours(err=True))
            serving.serve(loaded, provision, listener, lambda: _announce(loaded, serving.url(listener)), log)
    except (BuildError, StoreError, serving.ListenError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        pass  # Ctrl-C is how a person stops it


def _announce(config: Config, url: str) -> None:
    """The first key is made last: one made for a gateway that then fails to start would never be told."""
    from gateway import keys, welcome

    key = with_store(config, keys.first) if config.is_embedded_default else None
    click.echo(welcome.text(config, url, key))
