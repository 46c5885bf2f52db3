"""`gateway check` and `gateway schema`: what is right and wrong in a routing file, and what may stand in it."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import click

from gateway.commands.common import FILE, found, load, unreadable
from gateway.commands.output import JSON_OPTION, fail, note, painted, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.changes import Change
    from gateway.config import Config


@click.command(epilog="Example: gateway check new.yaml --diff gateway.yaml")
@click.argument("file", type=FILE, required=False)
@click.option("--diff", "running", metavar="RUNNING", help="Say what would change from this file, or gateway's URL.")
@JSON_OPTION
def check(file: pathlib.Path | None, running: str | None, as_json: bool) -> None:
    """Check a routing file: every problem at once, each with its line; exit 1 if there is one."""
    from gateway import build
    from gateway.assembly import BuildError
    from gateway.upstream import Upstream

    if as_json:
        _check_as_json(file, running)
        return
    loaded = load(file)
    found = None if running is None else _changes(running, loaded, load)
    try:
        build.gateway(loaded, Upstream())  # the files of local models and of certificates are read, too
    except BuildError as error:
        fail(str(error))
    for model in loaded.models:
        targets = ", ".join(f"{target.name} ({target.provider}: {target.model})" for target in model.targets)
        click.echo(f"{painted(model.alias, bold=True)}: space {model.space}, {model.dimensions}, targets {targets}")
    if found is not None:
        click.echo("What would change:" if found else "Nothing would change.")
        for change in found:
            click.echo(f"  {change}")
    for warning in loaded.warnings:
        note(f"{painted('Warning', 'yellow', err=True)}: {warning}")
    count, warned = len(loaded.models), len(loaded.warnings)
    click.echo(
        f"{file or 'The configuration'} is {painted('good', 'green')}: {count} model{'s' if count > 1 else ''}"
        f"{f', {warned} warning' if warned else ''}{'s' if warned > 1 else ''}."
    )


def _changes(running: str, loaded: Config, read: Callable[[pathlib.Path], Config | None]) -> list[Change] | None:
    """From the file or the gateway that is named; ends the program where the gateway does not tell."""
    from gateway import changes
    from gateway import running as gateway_running

    if not running.startswith(("http://", "https://")):
        former = read(pathlib.Path(running))
        return None if former is None else changes.between(former, loaded)
    try:
        return changes.from_shown(gateway_running.configuration(running, loaded.admin_key), loaded)
    except gateway_running.NotTold as error:
        fail(str(error))


def _check_as_json(file: pathlib.Path | None, running: str | None) -> None:
    """The same for scripts: problems stand in it, too, and make the exit code 1 all the same."""
    from gateway import build
    from gateway.assembly import BuildError
    from gateway.upstream import Upstream

    problems: list[dict[str, Any]] = []
    loaded = _loaded(file, problems)
    if loaded is not None:
        try:
            build.gateway(loaded, Upstream())
        except BuildError as error:
            problems.append({"file": _named(file), "line": None, "path": None, "message": str(error)})
    differ = None
    if running is not None and loaded is not None:
        differ = _changes(running, loaded, lambda former: _loaded(former, problems))
    models = [] if loaded is None else loaded.models
    print_json(
        {
            "good": not problems,
            "models": [
                {
                    "model": model.alias,
                    "space": model.space,
                    "dimensions": model.dimensions.native,
                    "targets": [
                        {"target": target.name, "provider": target.provider, "upstream_model": target.model}
                        for target in model.targets
                    ],
                }
                for model in models
            ],
            "problems": problems,
            "warnings": [] if loaded is None else list(loaded.warnings),
            "changes": None if running is None else [dataclasses.asdict(change) for change in differ or ()],
        }
    )
    if problems:
        raise SystemExit(1)


def _loaded(file: pathlib.Path | None, problems: list[dict[str, Any]]) -> Config | None:
    """None where there are problems, which are added."""
    from gateway.config import ConfigError
    from gateway.source import Source

    try:
        return Source(found(file)).read({})
    except ConfigError as error:
        problems += [
            {"file": _named(file), "line": one.line, "path": one.place, "message": one.message}
            for one in error.problems
        ]
    except (OSError, UnicodeDecodeError) as error:
        problems.append({"file": _named(file), "line": None, "path": None, "message": unreadable(file, error)})
    return None


def _named(file: pathlib.Path | None) -> str | None:
    return None if (named := found(file)) is None else str(named)


@click.command(name="schema", epilog="Example: gateway schema > gateway.schema.json")
def print_schema() -> None:
    """Print the JSON Schema of the routing file, for editors."""
    from gateway import schema

    print_json(schema.json_schema())
