"""`gateway embed`: texts become vectors without a server, a few on the command line or many out of a file."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.commands import completing
from gateway.commands.common import FILE, config_option, load, no_model, unreadable
from gateway.commands.output import fail, note, progress

if TYPE_CHECKING:
    from gateway.answers import Result
    from gateway.auth import Caller
    from gateway.config import Config
    from gateway.service import Gateway

_T = TypeVar("_T")


@click.command(epilog="Example: gateway embed local-small --file texts.txt --output vectors.jsonl")
@config_option
@click.argument("model", shell_complete=completing.models)
@click.argument("text", nargs=-1)
@click.option("--file", "texts", type=FILE, help="Embed the lines of this file, a text a line, in place of TEXT.")
@click.option("--output", type=FILE, help="Where their vectors go; after a stop it is gone on from where it ends.")
@click.option("--batch", type=click.IntRange(1, 2048), default=256, show_default=True, help="Lines in one request.")
def embed(
    file: pathlib.Path | None,
    model: str,
    text: tuple[str, ...],
    texts: pathlib.Path | None,
    output: pathlib.Path | None,
    batch: int,
) -> None:
    """Embed TEXT with MODEL, without a server, and print OpenAI's answer.

    With --file and --output every line of a file is embedded, and its vector written as a line of JSON, in their order.
    A run that was stopped goes on where it ended, unless the texts or the model have changed.
    """
    if (texts is None) != (output is None):
        raise click.UsageError("--file and --output go together.")
    if bool(text) == (texts is not None):
        raise click.UsageError("Give TEXT, or name a file of texts with --file.")
    loaded = load(file)
    if texts is None or output is None:
        _print_answer(loaded, model, text)
    else:
        _embed_file(loaded, model, texts, output, batch)


def _print_answer(loaded: Config, model: str, texts: Sequence[str]) -> None:
    from gateway.answers import result_body
    from gateway.errors import GatewayError, ModelNotFound

    async def run(gateway: Gateway) -> bytes:
        return result_body(await _embedded(gateway, model, texts, loaded.server.timeout), "float")

    try:
        click.echo(_with_gateway(loaded, run))
    except ModelNotFound:
        fail(no_model(loaded, model))
    except GatewayError as error:
        fail(error.message)


def _embed_file(loaded: Config, model: str, file: pathlib.Path, output: pathlib.Path, batch: int) -> None:
    from gateway import bulk
    from gateway.bulk import BulkRefused
    from gateway.errors import GatewayError, ModelNotFound, TooManyTokens

    try:
        texts = bulk.read(file)
    except (OSError, UnicodeDecodeError) as error:
        fail(unreadable(file, error))
    except BulkRefused as error:
        fail(str(error))

    async def run(gateway: Gateway) -> None:
        route, _ = gateway.routes.find(model, _caller())
        done = bulk.done(output, texts, model, route.space)
        at, size = done.texts, batch
        with output.open("ab") as vectors, progress(f"Embedding {file.name}", len(texts), at) as move:
            vectors.truncate(done.size)
            while at < len(texts):
                some = texts[at : at + size]
                try:
                    result = await _embedded(gateway, model, some, loaded.server.timeout)
                except GatewayError as error:
                    if isinstance(error, TooManyTokens) and len(some) > 1:
                        size = len(some) // 2
                        continue
                    raise BulkRefused(
                        f"Lines {at + 1} to {at + len(some)} of {file} are not embedded (`input[0]` is line {at + 1}): "
                        f"{error.message} {at} of {len(texts)} are in {output}; the same command goes on from there."
                    ) from None
                vectors.write(bulk.lines(result, some, at))
                vectors.flush()
                at += len(some)
                move(len(some))

    try:
        _with_gateway(loaded, run)
    except OSError as error:
        fail(f"{output}: cannot be written: {error.strerror}.")
    except ModelNotFound:
        fail(no_model(loaded, model))
    except (GatewayError, BulkRefused) as error:
        fail(str(error))
    note(f"{output} holds the vectors of all {len(texts)} lines of {file}.")


def _with_gateway(loaded: Config, run: Callable[[Gateway], Awaitable[_T]]) -> _T:
    import asyncio

    from gateway import build
    from gateway.assembly import BuildError
    from gateway.upstream import Upstream

    async def whole() -> _T:
        upstream = Upstream()
        try:
            return await run(build.gateway(loaded, upstream))
        finally:
            await upstream.close()

    try:
        return asyncio.run(whole())
    except BuildError as error:
        fail(str(error))


async def _embedded(gateway: Gateway, model: str, texts: Sequence[str], seconds: float) -> Result:
    """As strict as the endpoint. Raises GatewayError."""
    import asyncio

    from gateway.record import Record
    from gateway.wire import parse_request

    clock = asyncio.get_running_loop().time
    request = parse_request(json.dumps({"model": model, "input": texts}).encode())
    return await gateway.embed(request, _caller(), clock() + seconds, Record("cli", clock, clock()))


def _caller() -> Caller:
    from gateway.auth import Caller

    return Caller("cli", "cli", ("*",))
