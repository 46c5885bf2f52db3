"""A routing file becomes a `Config`, or every problem in it at once: the only reader of files and environment."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Final

from gateway import access_rules, adapters, advice, checks, identity_rules, model_rules, model_shape, schema
from gateway.config import UNSHARED, Config, ConfigError, ModelConfig, TracingConfig
from gateway.document import Path, Problem, parse
from gateway.reading import Contents, Pasted, Reading, content

EMBEDDED_DEFAULT: Final = pathlib.Path(__file__).with_name("default.yaml")
"""The routing file of a gateway that was given none."""


def load(
    file: pathlib.Path | None, environ: Mapping[str, str] | None = None, contents: Contents | None = None
) -> Config:
    """Reads and checks a routing file; without one, the embedded default with its state in the current folder.

    What `contents` has is not read again, and whatever is read, the file itself and its secrets, is added to it.
    Raises ConfigError with every problem, or OSError or UnicodeDecodeError when the file cannot be read.
    """
    source = file or EMBEDDED_DEFAULT
    environ = os.environ if environ is None else environ
    folder = file.resolve().parent if file else pathlib.Path.cwd()
    contents = {} if contents is None else contents
    document = parse(content(source, contents).decode("utf-8"), environ)
    reading = Reading(document, folder, environ, contents=contents)
    config = _config(reading, is_embedded_default=file is None)
    if config is None or reading.document.problems:
        raise ConfigError(str(source), reading.document.problems)
    return dataclasses.replace(config, warnings=tuple(warning.told(str(source)) for warning in reading.warnings))


def wants_no_colour(environ: Mapping[str, str] | None = None) -> bool:
    """Whoever has set this variable wants none: https://no-color.org"""
    return bool((os.environ if environ is None else environ).get("NO_COLOR")) or is_dumb_terminal(environ)


def is_dumb_terminal(environ: Mapping[str, str] | None = None) -> bool:
    """One that shows letters, and does nothing else."""
    return (os.environ if environ is None else environ).get("TERM") == "dumb"


@dataclasses.dataclass(frozen=True, slots=True)
class Checked:
    """`config` is None where something is wrong, or not known without the environment."""

    config: Config | None = dataclasses.field(repr=False)
    problems: Sequence[Problem]
    warnings: Sequence[Problem]


def check_text(text: str) -> Checked:
    """What is wrong with a routing file that somebody has pasted. It reads no environment and no file.

    Nothing is imported either: a provider from outside the package is a problem here.
    """
    reading = Pasted(parse(text, None), pathlib.Path(), {}, adapters.find_own)
    config = _config(reading, is_embedded_default=False)
    problems = sorted(reading.document.problems, key=lambda problem: problem.line or 0)
    is_whole = not problems and not reading.unknown
    return Checked(config if is_whole else None, problems, reading.warnings)


def _config(reading: Reading, *, is_embedded_default: bool) -> Config | None:
    """The configuration as far as it is sound; what is not has been added to the problems."""
    values = reading.document.values
    if not isinstance(values, dict):
        reading.problem((), "must be a mapping with `models`, and perhaps `server`, `state` and `auth`")
        return None
    sections = {name: value for name, value in values.items() if name != "models"}
    file = reading.shape(schema.FileShape, sections, ()) or schema.FileShape()
    models = _models(reading, values.get("models"))
    _check_names(reading, models)
    for model in models:
        for path, message in advice.of(model, reading.find):
            reading.warning(path, message)
    state = access_rules.state(reading, file.state)
    admin_key = access_rules.admin_key(reading, file.auth)
    config = Config(
        server=file.server,
        tracing=_tracing(reading, file.tracing),
        state=state,
        cache=access_rules.cache(reading, file.cache, state),
        keys=access_rules.keys(reading, file.auth.keys, file.teams),
        teams=access_rules.teams(reading, file.teams),
        issuers=identity_rules.issuers(reading, file.auth, file.teams),
        operators=identity_rules.operators(reading, file.auth, admin_key),
        admin_key=admin_key,
        signing_key=identity_rules.signing_key(reading, file.auth),
        models=tuple(models),
        is_embedded_default=is_embedded_default,
    )
    if config.counts_apart:
        reading.problem(("server", "workers"), UNSHARED)
    return config


def _tracing(reading: Reading, shape: schema.TracingShape) -> TracingConfig | None:
    if not shape.endpoint:
        return None
    names = ("opentelemetry", "opentelemetry.sdk")  # a part of the first one comes with other packages, too
    if not all(map(importlib.util.find_spec, names)):
        reading.problem(
            ("tracing", "endpoint"),
            'traces need the package\'s extra: `pip install ".[otel]"` in its folder installs OpenTelemetry',
        )
    headers = {name: value.get_secret_value() for name, value in shape.headers.items()}
    return TracingConfig(shape.endpoint, headers, shape.sample, shape.service)


def _models(reading: Reading, values: object) -> list[ModelConfig]:
    """Each model is checked by itself, so that a wrong shape of one does not hide what is wrong in another."""
    if not isinstance(values, dict) or not values:
        reading.problem(("models",), "name at least one model with its targets")
        return []
    catalog = model_rules.catalog()
    models = []
    for alias, value in values.items():
        path: Path = ("models", alias)
        try:
            checks.model_name(alias)
        except ValueError as error:
            reading.problem(path, str(error))
        shape = reading.shape(model_shape.ModelShape, value, path)
        model = model_rules.resolve(reading, catalog, alias, shape, path) if shape is not None else None
        if model is not None:
            models.append(model)
    return models


def _check_names(reading: Reading, models: Sequence[ModelConfig]) -> None:
    owner = {model.alias: model.alias for model in models}
    for model in models:
        for index, alias in enumerate(model.aliases):
            if alias in owner:
                reading.problem(
                    ("models", model.alias, "aliases", index), f"this name already stands for `{owner[alias]}`"
                )
            owner[alias] = model.alias
