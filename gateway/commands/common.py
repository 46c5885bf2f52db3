"""What every command does alike: it finds the routing file, reads it, and ends with one clear message."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, Final, NoReturn

import click

from gateway import loading
from gateway.config import Config, ConfigError

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
