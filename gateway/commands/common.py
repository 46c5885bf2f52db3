"""What every command does alike: it finds the routing file, reads it, and ends with one clear message."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, TypeVar

import click

from gateway import build, loading
from gateway.config import Config, ConfigError
from gateway.errors import GatewayError, StateUnavailable
from gateway.key_wishes import KeyRefused
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


def load(file: pathlib.Path | None) -> Config:
    """The configuration of a file, of `gateway.yaml` here, or the embedded default; ends the program on problems."""
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    try:
        return loading.load(file)
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
