"""A model of the routing file and what the catalogue knows of its targets become one route's configuration."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

import providers
from gateway import cutting_rules, role_rules, target_rules
from gateway.config import ModelConfig
from gateway.dimensions import Dimensions
from gateway.document import Path, parse
from gateway.inputs import MAX_INPUTS
from gateway.model_shape import CatalogFacts, DimensionsShape, ModelShape, TargetShape
from gateway.reading import Reading
from providers import PROVIDERS
from providers.base import Limits, LocalProvider

Catalog = Mapping[tuple[str, str], CatalogFacts]
"""What is known of a model, by provider and by the provider's own name for it."""

Known = Sequence[CatalogFacts | None]
"""What the catalogue knows of each target of a model."""
ENCODINGS: Final = frozenset(
    {"cl100k_base", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base", "gpt2"}
)
"""tiktoken's names. Those that are not part of this package make counts an estimate."""

CATALOG_FILE: Final = pathlib.Path(providers.__file__).with_name("catalog.yaml")


def catalog() -> Catalog:
    document = parse(CATALOG_FILE.read_text("utf-8"), {})
    return {
        (provider, model): CatalogFacts.model_validate(facts)
        for provider, models in document.values.items()
        for model, facts in models.items()
    }


def resolve(reading: Reading, catalog: Catalog, alias: str, shape: ModelShape, path: Path) -> ModelConfig | None:
    """The route, or None; whatever is wrong is added to the reading's problems."""
    known = [catalog.get((target.provider, target.path or target.model or alias)) for target in shape.targets]
    space = _space(reading, alias, shape, known, path)
    dimensions = _dimensions(reading, shape, known, path)
    targets = target_rules.resolve(reading, alias, shape, known, path)
    input_types, default_input_type = role_rules.resolve(reading, shape, known, path)
    if dimensions is None or space is None:
        return None
    if shape.tokenizer is not None and not shape.tokenizer.endswith(".json") and shape.tokenizer not in ENCODINGS:
        reading.problem((*path, "tokenizer"), "must be cl100k_base, another encoding of tiktoken, or a tokenizer.json")
    tokenizer = shape.tokenizer or next((facts.tokenizer for facts in known if facts and facts.tokenizer), None)
    input_tokens = _tightest(shape, known, "input_tokens")
    cutting_rules.check(reading, shape, tokenizer, input_tokens, shape.normalize, path)
    return ModelConfig(
        alias=alias,
        aliases=tuple(shape.aliases),
        space=space,
        dimensions=dimensions,
        limits=Limits(
            inputs=_tightest(shape, known, "inputs") or MAX_INPUTS,
            input_tokens=input_tokens,
            request_tokens=_tightest(shape, known, "request_tokens"),
        ),
        tokenizer=_tokenizer(reading, tokenizer or "cl100k_base"),
        tokenizer_known=tokenizer is not None,
        client_tokens=shape.client_tokens,
        prompts=shape.prompts,
        input_types=input_types,
        default_input_type=default_input_type,
        normalize=shape.normalize,
        too_long=shape.too_long,
        client_extra=shape.client_extra if isinstance(shape.client_extra, str) else tuple(shape.client_extra),
        targets=targets,
    )


def _space(reading: Reading, alias: str, shape: ModelShape, known: Known, path: Path) -> str | None:
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
    if len(shape.targets) > 1 and not all(map(_is_vouched_for, shape.targets, known)):
        reading.problem(
            path,
            "`space` is missing: at least one of several targets is not in the catalogue, or not at its provider's own "
            "address, so that only you can tell that they all serve the same vectors; name that space",
        )
        return None
    space = spaces[0] if spaces else f"{shape.targets[0].provider}/{shape.targets[0].model or alias}"
    if not re.fullmatch(r"[\x21-\x7e]{1,200}", space):
        reading.problem(path, f"`space` is missing: `{space}` cannot stand in a header; name the space in plain ASCII")
        return None
    return space


def _is_vouched_for(target: TargetShape, facts: CatalogFacts | None) -> bool:
    """The catalogue speaks of models at their provider's own address; elsewhere a name may stand for anything."""
    return facts is not None and facts.space is not None and target_rules.is_at_home(target)


def _dimensions(reading: Reading, shape: ModelShape, known: Known, path: Path) -> Dimensions | None:
    given = shape.dimensions
    facts = next((facts.dimensions for facts in known if facts is not None), DimensionsShape())
    native = given.native or facts.native
    where: Path = (*path, "dimensions")
    lengths = sorted({facts.dimensions.native for facts in known if facts and facts.dimensions.native})
    if len(lengths) > 1:
        reading.problem(
            (*path, "targets"), f"the targets make vectors of different lengths ({', '.join(map(str, lengths))})"
        )
        return None
    if native is None:
        reading.problem(
            where, "`native` is missing: the catalogue does not know this model; say how long its vectors are"
        )
        return None
    at_home = all(map(_is_vouched_for, shape.targets, known))
    if at_home and given.native is not None and facts.native not in (None, given.native):
        reading.problem(
            (*where, "native"), f"the catalogue says {facts.native}; a route cannot change what a model makes"
        )
    allowed = given.allowed if given.allowed is not None else facts.allowed
    for index, length in enumerate(given.allowed or ()):
        if length > native and length not in (facts.allowed or ()):
            reading.problem((*where, "allowed", index), f"is more than the native {native}")
    shortest = given.min or facts.min or 1
    if shortest > native:
        reading.problem((*where, "min"), f"is more than the native {native}")
    shorten = given.shorten or facts.shorten or "never"
    if shorten == "never" and (given.allowed or given.min):
        name = "allowed" if given.allowed else "min"
        reading.problem((*where, name), "needs `shorten: native` or `shorten: truncate` beside it")
    unable = sorted({target.provider for target in shape.targets if not _shortens(target.provider)})
    if shorten == "native" and unable:
        reading.problem(
            (*where, "shorten"), f"{', '.join(unable)} cannot be asked to shorten; `truncate` cuts its vectors here"
        )
    if allowed is not None and shorten != "native":
        allowed = [length for length in allowed if length <= native]  # longer ones are the provider's to make
    return Dimensions(native, shortest, shorten, allowed)


def _shortens(provider: str) -> bool:
    known = PROVIDERS[provider]
    return not isinstance(known, LocalProvider) and known.shortens


def _tokenizer(reading: Reading, name: str) -> str:
    return str(reading.file(name)) if name.endswith(".json") else name


def _tightest(shape: ModelShape, known: Known, name: str) -> int | None:
    """The routing file's own limit, or the smallest of what the catalogue knows of the targets."""
    given: int | None = getattr(shape.limits, name)
    limits = [getattr(facts.limits, name) for facts in known if facts is not None]
    return given or min((limit for limit in limits if limit is not None), default=None)
