"""Which input types a model knows: those of its prompts, or those that the providers of all its targets can be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from gateway.adapters import Adapter
from gateway.document import Path
from gateway.model_shape import CatalogFacts, ModelShape
from gateway.reading import Reading
from gateway.wire import INPUT_TYPES
from providers.base import InputType
from providers.engine import LocalProvider


def resolve(
    reading: Reading, shape: ModelShape, known: Sequence[CatalogFacts | None], path: Path
) -> tuple[tuple[InputType, ...], InputType | None]:
    """The input types, and the one that inputs have when the client does not say."""
    of_targets = [(target.provider, facts) for target, facts in zip(shape.targets, known, strict=True)]
    if shape.prompts:
        input_types = tuple(role for role in INPUT_TYPES if role in shape.prompts)
    else:
        each = [told(provider, facts) for provider, facts in of_targets]
        input_types = tuple(role for role in INPUT_TYPES if all(role in roles for roles in each))
    default = shape.default_input_type
    if default is not None and default not in input_types:
        reading.problem((*path, "default_input_type"), "is none of this model's input types; give it a prompt")
    needing = [(provider, facts) for provider, facts in of_targets if needs(provider, facts)]
    for provider, facts in needing:
        for role in shape.prompts:
            if role not in told(provider, facts):
                where: Path = (*path, "prompts", role)
                reading.problem(where, f"{provider.name} has to be told the input type, and does not know this one")
    if default is None and needing:
        default = _document(reading, needing[0][0].name, input_types, path)
    elif default is None and shape.prompts:
        default = _prompted(reading, input_types, path)
    return input_types, default


def _prompted(reading: Reading, input_types: Collection[InputType], path: Path) -> InputType | None:
    """With prompts no input goes out bare, which would be another recipe: it is a document unless told otherwise."""
    if "document" in input_types:
        return "document"
    reading.problem(path, "`default_input_type` is missing: which of the prompts is it, if the client names none?")
    return None


def _document(reading: Reading, provider: str, input_types: Collection[InputType], path: Path) -> InputType | None:
    if "document" in input_types:
        return "document"
    if input_types:
        message = f"is missing: {provider} has to be told one, and this model has no `document`"
        reading.problem((*path, "default_input_type"), message)
    else:
        reading.problem(
            (*path, "targets"),
            f"{provider} has to be told the input type, and another target cannot be; give each a model of its own",
        )
    return None


def told(provider: Adapter, facts: CatalogFacts | None) -> Collection[InputType]:
    """The input types that a target can be told."""
    if facts is not None and facts.input_types is not None:
        return facts.input_types
    return frozenset() if isinstance(provider, LocalProvider) else provider.roles


def needs(provider: Adapter, facts: CatalogFacts | None) -> bool:
    """Whether a target refuses a call that names no input type; not for a model that knows none."""
    return not isinstance(provider, LocalProvider) and provider.needs_role and bool(told(provider, facts))
