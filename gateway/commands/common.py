"""What every command does alike: it finds the routing file, reads it, and ends with one clear message.

Nothing that serves is imported before a command needs it: help and completion have to be quick.
"""

from __future__ import annotations

import pathlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import click

from gateway.commands.output import fail, near

if TYPE_CHECKING:
    from gateway.config import Config, ModelConfig
    from gateway.reading import Contents
    from gateway.source import Source
    from gateway.store import Store

_T = TypeVar("_T")
_P = ParamSpec("_P")

DEFAULT_FILE: Final = pathlib.Path("gateway.yaml")

FILE: Final = click.Path(dir_okay=False, path_type=pathlib.Path)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--config", "-c", "file", type=FILE, help="The routing file [gateway.yaml here, else the embedded default]."
    )(command)


def found(file: pathlib.Path | None) -> pathlib.Path | None:
    """The file that is meant where none is named: `gateway.yaml` here, or None for the embedded default."""
    return DEFAULT_FILE if file is None and DEFAULT_FILE.exists() else file


def load(file: pathlib.Path | None) -> Config:
    """The configuration of a file, of `gateway.yaml` here, or the embedded default; ends the program on problems."""
    from gateway.source import Source

    return read(Source(found(file)), {})


def read(source: Source, contents: Contents) -> Config:
    """The configuration of a source, what was read added to `contents`; ends the program on problems."""
    from gateway.config import ConfigError

    try:
        return source.read(contents)
    except ConfigError as error:
        count = len(error.problems)
        fail("\n".join([*error.lines(), f"{count} problem{'s' if count > 1 else ''}; nothing was started."]))
    except (OSError, UnicodeDecodeError) as error:
        fail(unreadable(source.file, error))


def unreadable(file: pathlib.Path | None, error: OSError | UnicodeDecodeError) -> str:
    """Why a file cannot be read, and where it has not been found, which it might be."""
    if isinstance(error, UnicodeDecodeError):
        return f"{file}: is not UTF-8 text."
    said = f"{file}: cannot be read: {error.strerror}."
    if file is None or not isinstance(error, FileNotFoundError) or not file.parent.is_dir():
        return said
    return said + near(str(file), [str(one) for one in file.parent.iterdir() if one.suffix == file.suffix])


def with_store(
    config: Config, action: Callable[Concatenate[Store, _P], Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Runs one action on the configuration's store, and closes it; ends the program when it is refused."""
    import asyncio

    from gateway import build
    from gateway.errors import GatewayError, StateUnavailable
    from gateway.key_wishes import KeyRefused
    from gateway.store import StoreError

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


def model_of(config: Config, name: str) -> ModelConfig:
    """The model of one of its names; ends the program where there is none."""
    model = next((model for model in config.models if name in (model.alias, *model.aliases)), None)
    return model or fail(no_model(config, name))


def no_model(config: Config, name: str) -> str:
    """What whoever named a model is told where there is none of that name."""
    guess = near(name, [one for model in config.models for one in (model.alias, *model.aliases)])
    listed = ", ".join(f"`{model.alias}`" for model in config.models)
    return f"There is no model `{name}`.{guess} There {'is' if len(config.models) == 1 else 'are'} {listed}."
