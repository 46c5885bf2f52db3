"""A model of the routing file and what the catalogue knows of its targets become one route's configuration."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Final

import providers
from gateway import access_rules, advice, cutting_rules, role_rules, space_rules, target_rules
from gateway.adapters import Adapter
from gateway.config import ModelConfig
from gateway.dimensions import Dimensions
from gateway.document import Path, parse
from gateway.inputs import MAX_INPUTS
from gateway.model_shape import CatalogFacts, DimensionsShape, ModelShape, TargetShape
from gateway.reading import Reading
from providers.base import Limits, Provider
from providers.engine import LocalProvider

Catalog = Mapping[tuple[str, str], CatalogFacts]
"""What is known of a model, by provider and by the provider's own name for it."""

Known = Sequence[CatalogFacts | None]
"""What the catalogue knows of each target of a model."""
ENCODINGS: Final = frozenset(
    {"cl100k_base", "o200k_base", "o200k_harmony", "p50k_base", "p50k_edit", "r50k_base", "gpt2"}
)
"""tiktoken's names. Those that are not part of this package make counts an estimate."""

CATALOG_FILE: Final = pathlib.Path(providers.__file__).with_name("catalog.yaml")


@functools.cache
def catalog() -> Catalog:
    """Read once: it comes with the package, and does not change."""
    document = parse(CATALOG_FILE.read_text("utf-8"), {})
    return {
        (provider, model): CatalogFacts.model_validate(facts)
        for provider, models in document.values.items()
        for model, facts in models.items()
    }


def resolve(reading: Reading, catalog: Catalog, alias: str, shape: ModelShape, path: Path) -> ModelConfig | None:
    """The route, or None; whatever is wrong is added to the reading's problems."""
    known = [_facts(catalog, target, alias) for target in shape.targets]
    unit_length = _unit_length(shape, known)
    space = space_rules.resolve(reading, alias, shape, known, unit_length, path)
    dimensions = _dimensions(reading, shape, known, path)
    targets = target_rules.resolve(reading, alias, shape, known, path)
    input_types, default_input_type = role_rules.resolve(reading, shape, known, path)
    if dimensions is None or space is None:
        return None
    if shape.tokenizer is not None and not shape.tokenizer.endswith(".json") and shape.tokenizer not in ENCODINGS:
        reading.problem((*path, "tokenizer"), "must be cl100k_base, another encoding of tiktoken, or a tokenizer.json")
    tokenizer = shape.tokenizer or next((facts.tokenizer for facts in known if facts and facts.tokenizer), None)
    limits = Limits(
        inputs=_tightest(shape, known, "inputs") or MAX_INPUTS,
        input_tokens=_tightest(shape, known, "input_tokens"),
        input_chars=_fewest_chars(shape, known),
        request_tokens=_tightest(shape, known, "request_tokens"),
    )
    cutting_rules.check(reading, shape, tokenizer, limits.input_tokens, bool(shape.normalize or unit_length), path)
    return ModelConfig(
        alias=alias,
        aliases=tuple(shape.aliases),
        space=space,
        dimensions=dimensions,
        limits=limits,
        tokenizer=_tokenizer(reading, tokenizer or "cl100k_base"),
        tokenizer_known=tokenizer is not None,
        most_estimated=advice.most_estimated(limits.input_tokens, targets),
        client_tokens=shape.client_tokens,
        prompts=shape.prompts,
        input_types=input_types,
        default_input_type=default_input_type,
        unit_length=unit_length,
        normalize=shape.normalize,
        too_long=shape.too_long,
        price=_price(shape, known),
        client_extra=shape.client_extra if isinstance(shape.client_extra, str) else tuple(shape.client_extra),
        rates=access_rules.rates(shape.limits),
        cache=shape.cache,
        space_vouched=shape.space is not None or all(map(space_rules.is_vouched_for, shape.targets, known)),
        canary=shape.canary,
        hedge=shape.hedge,
        coalesce=shape.coalesce,
        targets=targets,
    )


def _facts(catalog: Catalog, target: TargetShape, alias: str) -> CatalogFacts | None:
    """A name that ends in a role has the facts of the name without, but no roles to choose from.

    It has no space either: a query's vector must not stand in for a passage's because the catalogue knows both.
    """
    name = target.path or target.model or alias
    provider = target.provider
    endings = provider.role_endings if isinstance(provider, Provider) else ()
    ending = next((ending for ending in endings if name.endswith(ending)), None)
    if ending is None or (provider.name, name) in catalog:
        return catalog.get((provider.name, name))
    base = catalog.get((provider.name, name.removesuffix(ending)), CatalogFacts())
    return base.model_copy(update={"input_types": [], "space": None})


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
    at_home = all(map(space_rules.is_vouched_for, shape.targets, known))
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
    unable = sorted({target.provider.name for target in shape.targets if not _shortens(target.provider)})
    if shorten == "native" and unable:
        reading.problem(
            (*where, "shorten"), f"{', '.join(unable)} cannot be asked to shorten; `truncate` cuts its vectors here"
        )
    if allowed is not None and shorten != "native":
        allowed = [length for length in allowed if length <= native]  # longer ones are the provider's to make
    return Dimensions(native, shortest, shorten, allowed)


def _unit_length(shape: ModelShape, known: Known) -> bool | None:
    """What the routing file says, else what holds for every target: one whose vectors differ makes them all differ."""
    if shape.unit_length is not None:
        return shape.unit_length
    each = {target_rules.unit_length(target, facts) for target, facts in zip(shape.targets, known, strict=True)}
    return False if False in each else None if None in each else True


def _price(shape: ModelShape, known: Known) -> float | None:
    """Of several targets the dearest known: a budget must not be overdrawn because a cheaper one did not answer."""
    given = [shape.price] if shape.price else [facts.price for facts in known if facts is not None]
    return max((price.input for price in given if price is not None), default=None)


def _shortens(provider: Adapter) -> bool:
    return not isinstance(provider, LocalProvider) and provider.shortens


def _tokenizer(reading: Reading, name: str) -> str:
    return str(reading.file(name)) if name.endswith(".json") else name


def _fewest_chars(shape: ModelShape, known: Known) -> int | None:
    """Providers limit characters for all their models alike, or the catalogue knows better."""
    own = [target.provider for target in shape.targets]
    limits = [_tightest(shape, known, "input_chars")]
    if shape.limits.input_chars is None:
        limits += [provider.limits.input_chars for provider in own if isinstance(provider, Provider)]
    return min(filter(None, limits), default=None)


def _tightest(shape: ModelShape, known: Known, name: str) -> int | None:
    """The routing file's own limit, or the smallest of what the catalogue knows of the targets."""
    given: int | None = getattr(shape.limits, name)
    limits = [getattr(facts.limits, name) for facts in known if facts is not None]
    return given or min((limit for limit in limits if limit is not None), default=None)
