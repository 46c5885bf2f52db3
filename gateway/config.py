"""The routing file as frozen values, or every problem in it at once: the only reader of files and environment.

Two steps: `schema.py` says what may stand there, this room fills in what the catalogue knows and checks what
belongs together. Nothing is constructed here.
"""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

import providers
from gateway import faults_of_shape, schema
from gateway.dimensions import Dimensions
from gateway.document import Document, Path, Problem, parse
from gateway.inputs import MAX_INPUTS
from gateway.schema import Facts, ModelShape, ServerShape, TargetShape
from gateway.wire import InputType
from providers.base import Limits, LocalProvider, Provider

EMBEDDED_DEFAULT: Final = pathlib.Path(__file__).with_name("default.yaml")
"""The routing file of a gateway that was given none."""


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem that was found."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        return [
            f"{self.file}{f':{problem.line}' if problem.line else ''}: {problem.place}: {problem.message}"
            for problem in self.problems
        ]


@dataclass(frozen=True, slots=True)
class FileKey:
    """A client key that the routing file lists."""

    name: str
    sha256: str
    models: tuple[str, ...]
    expires: datetime.datetime | None


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One backend of a route. For a local model `path` is set, for a service `base_url`."""

    name: str
    provider: str
    model: str
    path: str | None
    base_url: str | None
    api_key: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    extra_body: Mapping[str, Any] = field(repr=False)
    proxy: str | None = field(repr=False)
    ca_file: str | None
    weight: float
    priority: int
    max_concurrency: int
    timeout: float | None
    base64: bool
    token_ids: bool


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One route with everything known: nothing here is left to a default or to the catalogue."""

    alias: str
    aliases: tuple[str, ...]
    space: str
    dimensions: Dimensions
    limits: Limits
    tokenizer: str
    tokenizer_known: bool
    """False where nobody named a tokenizer: limits are then counted in cl100k_base, and usage is an estimate."""
    client_tokens: str
    prompts: Mapping[InputType, str]
    default_input_type: InputType | None
    normalize: bool
    client_extra: str | tuple[str, ...]
    targets: tuple[TargetConfig, ...]


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerShape
    state_file: pathlib.Path
    keys: tuple[FileKey, ...]
    models: tuple[ModelConfig, ...]
    is_embedded_default: bool = False


def load(file: pathlib.Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """Reads and checks a routing file; without one, the embedded default with its state in the current folder.

    Raises ConfigError with every problem, or OSError when the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    source = file or EMBEDDED_DEFAULT
    folder = file.resolve().parent if file else pathlib.Path.cwd()
    document = parse(source.read_text("utf-8"), environ)
    config = _Loader(document, folder, environ).config()
    if config is None or document.problems:
        raise ConfigError(str(source), document.problems)
    return dataclasses.replace(config, is_embedded_default=file is None)


_ShapeT = TypeVar("_ShapeT", bound=BaseModel)


class _Loader:
    def __init__(self, document: Document, folder: pathlib.Path, environ: Mapping[str, str]) -> None:
        self.document = document
        self._folder = folder
        self._environ = environ
        self._catalog = catalog()

    def config(self) -> Config | None:
        """The configuration as far as it is sound; what is not has been added to the document's problems."""
        values = self.document.values
        if not isinstance(values, dict):
            if not self.document.problems:
                self.document.problem((), "must be a mapping with `models`, and perhaps `server`, `state` and `auth`")
            return None
        sections = {name: value for name, value in values.items() if name != "models"}
        file = self._shape(schema.FileShape, sections, ()) or schema.FileShape()
        models = self._models(values.get("models"))
        self._check_names(models)
        return Config(
            server=file.server,
            state_file=self._path(file.state.url.removeprefix("sqlite:///")),
            keys=self._keys(file.auth.keys),
            models=tuple(models),
        )

    def _shape(self, shape: type[_ShapeT], value: object, path: Path) -> _ShapeT | None:
        try:
            return shape.model_validate(value)
        except ValidationError as error:
            known = {problem.path for problem in self.document.problems}
            for place, message in faults_of_shape.read(error, shape):
                if (*path, *place) not in known:  # an unset ${NAME} there says it already
                    self.document.problem((*path, *place), message)
            return None

    def _path(self, text: str) -> pathlib.Path:
        return self._folder / pathlib.Path(text).expanduser()

    # ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _keys(self, shapes: Sequence[schema.KeyShape]) -> tuple[FileKey, ...]:
        keys: dict[str, FileKey] = {}
        for index, shape in enumerate(shapes):
            if shape.sha256 in keys:
                self.document.problem(("auth", "keys", index, "sha256"), "this key is listed twice")
            keys[shape.sha256] = FileKey(shape.name, shape.sha256, tuple(shape.models), _moment(shape.expires))
        return tuple(keys.values())

    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _models(self, values: object) -> list[ModelConfig]:
        if not isinstance(values, dict) or not values:
            self.document.problem(("models",), "name at least one model with its targets")
            return []
        models = []
        for alias, value in values.items():
            path: Path = ("models", alias)
            # Each model is checked by itself, so that a wrong shape here does not hide what is wrong in another.
            try:
                schema.check_model_name(alias)
            except ValueError as error:
                self.document.problem(path, str(error))
            shape = self._shape(ModelShape, value, path)
            model = self._model(alias, shape, path) if shape is not None else None
            if model is not None:
                models.append(model)
        return models

    def _model(self, alias: str, shape: ModelShape, path: Path) -> ModelConfig | None:
        known = [self._facts(target, alias) for target in shape.targets]
        space = self._space(alias, shape, known, path)
        dimensions = self._dimensions(shape, known, path)
        targets = self._targets(alias, shape, known, path)
        if shape.default_input_type is not None and shape.default_input_type not in shape.prompts:
            self.document.problem((*path, "default_input_type"), "has no prompt under `prompts`")
        if dimensions is None or space is None:
            return None
        tokenizer = shape.tokenizer or next((facts.tokenizer for facts in known if facts and facts.tokenizer), None)
        return ModelConfig(
            alias=alias,
            aliases=tuple(shape.aliases),
            space=space,
            dimensions=dimensions,
            limits=Limits(
                inputs=_tightest(shape, known, "inputs") or MAX_INPUTS,
                input_tokens=_tightest(shape, known, "input_tokens"),
                request_tokens=_tightest(shape, known, "request_tokens"),
            ),
            tokenizer=self._tokenizer(tokenizer or "cl100k_base"),
            tokenizer_known=tokenizer is not None,
            client_tokens=shape.client_tokens,
            prompts=shape.prompts,
            default_input_type=shape.default_input_type,
            normalize=shape.normalize,
            client_extra=shape.client_extra if isinstance(shape.client_extra, str) else tuple(shape.client_extra),
            targets=targets,
        )

    def _facts(self, target: TargetShape, alias: str) -> Facts | None:
        return self._catalog.get((target.provider, target.path or target.model or alias))

    def _space(self, alias: str, shape: ModelShape, known: Sequence[Facts | None], path: Path) -> str | None:
        spaces = sorted({facts.space for facts in known if facts is not None and facts.space is not None})
        if len(spaces) > 1:
            self.document.problem(
                (*path, "targets"),
                f"the targets serve different vector spaces ({', '.join(spaces)}), whose vectors cannot be compared; "
                "give each space a model of its own",
            )
            return None
        if shape.space is not None:
            return shape.space
        if None in known and len(shape.targets) > 1:
            self.document.problem(
                path,
                "`space` is missing: of several targets at least one is not in the catalogue, so that only you can "
                "tell that they all serve the same vectors; name that space",
            )
            return None
        return spaces[0] if spaces else f"{shape.targets[0].provider}/{shape.targets[0].model or alias}"

    def _dimensions(self, shape: ModelShape, known: Sequence[Facts | None], path: Path) -> Dimensions | None:
        given = shape.dimensions
        facts = next((facts.dimensions for facts in known if facts is not None), schema.DimensionsShape())
        native = given.native or facts.native
        where: Path = (*path, "dimensions")
        if native is None:
            self.document.problem(
                where, "`native` is missing: the catalogue does not know this model; say how long its vectors are"
            )
            return None
        if given.native is not None and facts.native not in (None, given.native):
            self.document.problem(
                (*where, "native"), f"the catalogue says {facts.native}; a route cannot change what a model makes"
            )
        allowed = given.allowed if given.allowed is not None else facts.allowed
        for index, length in enumerate(given.allowed or ()):
            if length > native:
                self.document.problem((*where, "allowed", index), f"is more than the native {native}")
        shortest = given.min or facts.min or 1
        if shortest > native:
            self.document.problem((*where, "min"), f"is more than the native {native}")
        return Dimensions(native, shortest, given.shorten or facts.shorten or "never", allowed)

    def _tokenizer(self, name: str) -> str:
        return str(self._path(name)) if name.endswith(".json") else name

    def _check_names(self, models: Sequence[ModelConfig]) -> None:
        owner = {model.alias: model.alias for model in models}
        for model in models:
            for index, alias in enumerate(model.aliases):
                if alias in owner:
                    self.document.problem(
                        ("models", model.alias, "aliases", index), f"this name already stands for `{owner[alias]}`"
                    )
                owner[alias] = model.alias

    # ── targets ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _targets(
        self, alias: str, shape: ModelShape, known: Sequence[Facts | None], path: Path
    ) -> tuple[TargetConfig, ...]:
        targets: list[TargetConfig] = []
        for index, (target, facts) in enumerate(zip(shape.targets, known, strict=True)):
            where: Path = (*path, "targets", index)
            made = self._target(alias, target, index, facts, shape.client_tokens, where)
            if made is None:
                continue
            if made.name in {other.name for other in targets}:
                self.document.problem((*where, "name"), "another target of this route has this name")
            targets.append(made)
        return tuple(targets)

    def _target(
        self, alias: str, shape: TargetShape, index: int, facts: Facts | None, client_tokens: str, path: Path
    ) -> TargetConfig | None:
        provider = providers.PROVIDERS.get(shape.provider)
        if provider is None:
            choices = ", ".join(f"`{name}`" for name in sorted(providers.PROVIDERS))
            self.document.problem((*path, "provider"), f"no such provider; there are {choices}")
            return None
        local = isinstance(provider, LocalProvider)
        if local and shape.path is None:
            self.document.problem(path, "`path` is missing: a local model needs its folder, or `wordllama`")
        if not local and shape.path is not None:
            self.document.problem((*path, "path"), "only local models have a path")
        base_url = None if isinstance(provider, LocalProvider) else shape.base_url or provider.base_url
        if not local and base_url is None:
            self.document.problem(path, "`base_url` is missing: this provider has no public address")
        takes_ids = isinstance(provider, Provider) and provider.token_ids
        if shape.token_ids and not takes_ids:
            self.document.problem((*path, "token_ids"), "this provider takes no token ids")
        same_tokens = takes_ids and facts is not None and facts.tokenizer == client_tokens
        return TargetConfig(
            name=shape.name or f"{shape.provider}-{index}",
            provider=shape.provider,
            model=shape.model or alias,
            path=shape.path if shape.path in (None, "wordllama") else str(self._path(shape.path)),
            base_url=base_url,
            api_key=self._api_key(shape, path),
            headers={name: value.get_secret_value() for name, value in shape.headers.items()},
            extra_body=shape.extra_body,
            proxy=shape.proxy.get_secret_value() if shape.proxy else _proxy_for(base_url, self._environ),
            ca_file=self._ca_file(shape, path),
            weight=shape.weight,
            priority=shape.priority,
            max_concurrency=shape.max_concurrency,
            timeout=shape.timeout,
            base64=shape.base64 if shape.base64 is not None else base_url is not None and shape.base_url is None,
            token_ids=shape.token_ids if shape.token_ids is not None else same_tokens,
        )

    def _api_key(self, shape: TargetShape, path: Path) -> str | None:
        if shape.api_key is not None and shape.api_key_file is not None:
            self.document.problem((*path, "api_key_file"), "stands beside `api_key`; give one of them")
        key, place = None, (*path, "api_key")
        if shape.api_key is not None:
            key = shape.api_key.get_secret_value()
        elif shape.api_key_file is not None:
            place = (*path, "api_key_file")
            try:
                key = self._path(shape.api_key_file).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self.document.problem(place, f"cannot be read: {_reason(error)}")
                return None
        if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
            if not any(problem.path == place for problem in self.document.problems):
                self.document.problem(place, "is empty, or holds blanks or characters that no key has")
            return None
        return key

    def _ca_file(self, shape: TargetShape, path: Path) -> str | None:
        if shape.ca_file is None:
            return None
        file = self._path(shape.ca_file)
        if not file.is_file():
            self.document.problem((*path, "ca_file"), "there is no such file")
        return str(file)


def catalog() -> dict[tuple[str, str], Facts]:
    """The facts of well-known models by (provider, model)."""
    document = parse(pathlib.Path(providers.__file__).with_name("catalog.yaml").read_text("utf-8"), {})
    return {
        (provider, model): Facts.model_validate(facts)
        for provider, models in document.values.items()
        for model, facts in models.items()
    }


def _tightest(shape: ModelShape, known: Sequence[Facts | None], name: str) -> int | None:
    """The routing file's own limit, or the smallest of what the catalogue knows of the targets."""
    given: int | None = getattr(shape.limits, name)
    limits = [getattr(facts.limits, name) for facts in known if facts is not None]
    return given or min((limit for limit in limits if limit is not None), default=None)


def _moment(value: datetime.datetime | datetime.date | None) -> datetime.datetime | None:
    if value is None:
        return None
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


def _reason(error: Exception) -> str:
    return error.strerror or "unknown error" if isinstance(error, OSError) else "it is not UTF-8 text"


def _proxy_for(url: str | None, environ: Mapping[str, str]) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say about a URL; lower-case names win, as in curl."""
    if url is None:
        return None
    parts = urllib.parse.urlsplit(url)
    names = (f"{parts.scheme}_proxy", "all_proxy")
    value = next((environ[n] for name in names for n in (name, name.upper()) if environ.get(n)), None)
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if value is None or _is_exempt(parts.hostname or "", exempt):
        return None
    return value if "://" in value else f"http://{value}"


def _is_exempt(host: str, no_proxy: str) -> bool:
    """NO_PROXY lists hosts, each standing for its subdomains too; `*` is every host. Ports in it are ignored."""
    for entry in no_proxy.lower().split(","):
        name = entry.strip().partition(":")[0].lstrip(".")
        if name == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False
