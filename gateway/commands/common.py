"""What every command does alike: it finds the routing file, reads it, and ends with one clear message."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

import click

from gateway import build
from gateway.config import Config, ConfigError
from gateway.errors import GatewayError, StateUnavailable
from gateway.key_wishes import KeyRefused
from gateway.reading import Contents
from gateway.source import Source
from gateway.store import Store, StoreError

_T = TypeVar("_T")
_P = ParamSpec("_P")

DEFAULT_FILE: Final = pathlib.Path("gateway.yaml")

FILE: Final = click.Path(dir_okay=False, path_type=pathlib.Path)


def fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    raise SystemExit(1)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config", "-c", "file", type=FILE, help="The routing file [gateway.yaml here, else the embedded default]."
    )(command)


def found(file: pathlib.Path | None) -> pathlib.Path | None:
    """The file that is meant where none is named: `gateway.yaml` here, or None for the embedded default."""
    return DEFAULT_FILE if file is None and DEFAULT_FILE.exists() else file


def load(file: pathlib.Path | None) -> Config:
    """The configuration of a file, of `gateway.yaml` here, or the embedded default; ends the program on problems."""
    return read(Source(found(file)), {})


def read(source: Source, contents: Contents) -> Config:
    """The configuration of a source, what was read added to `contents`; ends the program on problems."""
    file = source.file
    try:
        return source.read(contents)
    except ConfigError as error:
        count = len(error.problems)
        fail("\n".join([*error.lines(), f"{count} problem{'s' if count > 1 else ''}; nothing was started."]))
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        fail(f"{file}: is not UTF-8 text.")


def with_store(
    config: Config, action: Callable[Concatenate[Store, _P], Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Runs one action on the configuration's store, and closes it; ends the program when it is refused."""

    async def run() -> _T:
        store = build.store(config)
        try:
            return await action(store, *args, **kwargs)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except StateUnavailable as error:
        fail(str(error.__cause__))  # which is for an operator to read, where the error itself is for clients
    except (StoreError, GatewayError, KeyRefused) as error:
        fail(str(error))


def table(rows: Sequence[Mapping[str, object]]) -> None:
    """Prints rows in columns, under the names of their values."""
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
    for row in [{name: name.upper() for name in widths}, *rows]:
        click.echo("  ".join(str(row[name]).ljust(width) for name, width in widths.items()).rstrip())
