"""A model of the routing file and what the catalogue knows of its targets become one route's configuration."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Final

import providers
from gateway import target_rules
from gateway.config import ModelConfig
from gateway.dimensions import Dimensions
from gateway.document import Path, parse
from gateway.inputs import MAX_INPUTS
from gateway.reading import Reading
from gateway.schema import DimensionsShape, Facts, ModelShape
from providers import PROVIDERS
from providers.base import Limits, LocalProvider

Catalog = Mapping[tuple[str, str], Facts]
"""What is known of a model, by provider and by the provider's own name for it."""

CATALOG_FILE: Final = pathlib.Path(providers.__file__).with_name("catalog.yaml")


def catalog() -> Catalog:
    document = parse(CATALOG_FILE.read_text("utf-8"), {})
    return {
        (provider, model): Facts.model_validate(facts)
        for provider, models in document.values.items()
        for model, facts in models.items()
    }


def resolve(reading: Reading, catalog: Catalog, alias: str, shape: ModelShape, path: Path) -> ModelConfig | None:
    """The route, or None; whatever is wrong is added to the reading's problems."""
    known = [catalog.get((target.provider, target.path or target.model or alias)) for target in shape.targets]
    space = _space(reading, alias, shape, known, path)
    dimensions = _dimensions(reading, shape, known, path)
    targets = target_rules.resolve(reading, alias, shape, known, path)
    if shape.default_input_type is not None and shape.default_input_type not in shape.prompts:
        reading.problem((*path, "default_input_type"), "has no prompt under `prompts`")
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
        tokenizer=_tokenizer(reading, tokenizer or "cl100k_base"),
        tokenizer_known=tokenizer is not None,
        client_tokens=shape.client_tokens,
        prompts=shape.prompts,
        default_input_type=shape.default_input_type,
        normalize=shape.normalize,
        client_extra=shape.client_extra if isinstance(shape.client_extra, str) else tuple(shape.client_extra),
        targets=targets,
    )


def _space(reading: Reading, alias: str, shape: ModelShape, known: Sequence[Facts | None], path: Path) -> str | None:
    spaces = sorted({facts.space for facts in known if facts is not None and facts.space is not None})
    if len(spaces) > 1:
        reading.problem(
            (*path, "targets"),
            f"the targets serve different vector spaces ({', '.join(spaces)}), whose vectors cannot be compared; "
            "give each space a model of its own",
        )
        return None
    if shape.space is not None:
        return shape.space
    if None in known and len(shape.targets) > 1:
        reading.problem(
            path,
            "`space` is missing: of several targets at least one is not in the catalogue, so that only you can "
            "tell that they all serve the same vectors; name that space",
        )
        return None
    return spaces[0] if spaces else f"{shape.targets[0].provider}/{shape.targets[0].model or alias}"


def _dimensions(reading: Reading, shape: ModelShape, known: Sequence[Facts | None], path: Path) -> Dimensions | None:
    given = shape.dimensions
    facts = next((facts.dimensions for facts in known if facts is not None), DimensionsShape())
    native = given.native or facts.native
    where: Path = (*path, "dimensions")
    if native is None:
        reading.problem(
            where, "`native` is missing: the catalogue does not know this model; say how long its vectors are"
        )
        return None
    if given.native is not None and facts.native not in (None, given.native):
        reading.problem(
            (*where, "native"), f"the catalogue says {facts.native}; a route cannot change what a model makes"
        )
    allowed = given.allowed if given.allowed is not None else facts.allowed
    for index, length in enumerate(given.allowed or ()):
        if length > native:
            reading.problem((*where, "allowed", index), f"is more than the native {native}")
    shortest = given.min or facts.min or 1
    if shortest > native:
        reading.problem((*where, "min"), f"is more than the native {native}")
    shorten = given.shorten or facts.shorten or "never"
    if shorten == "native" and any(isinstance(PROVIDERS[target.provider], LocalProvider) for target in shape.targets):
        reading.problem((*where, "shorten"), "a local model does not shorten; `truncate` cuts its vectors here")
    return Dimensions(native, shortest, shorten, allowed)


def _tokenizer(reading: Reading, name: str) -> str:
    return str(reading.file(name)) if name.endswith(".json") else name


def _tightest(shape: ModelShape, known: Sequence[Facts | None], name: str) -> int | None:
    """The routing file's own limit, or the smallest of what the catalogue knows of the targets."""
    given: int | None = getattr(shape.limits, name)
    limits = [getattr(facts.limits, name) for facts in known if facts is not None]
    return given or min((limit for limit in limits if limit is not None), default=None)
