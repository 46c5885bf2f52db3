"""What is right in a routing file, but should be known: `gateway check` warns of it, and nothing is refused for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.adapters import Adapter, Find
from gateway.config import ModelConfig, TargetConfig
from gateway.document import Path
from providers.base import Provider

ESTIMATED_SHARE: Final = 0.75
"""Of a limit in tokens, where an estimate by cl100k stands in for the model's tokenizer and a longer text would be cut.

A vocabulary of 32,000 makes 1.2 times as many tokens of English prose, and 1.36 times as many of Python: a third more
is covered, which is prose in any common vocabulary, though not every code or script.
"""


def most_estimated(limit: int | None, targets: Sequence[TargetConfig]) -> int | None:
    """Most tokens of one input by an estimate; None where an estimate has nothing to keep from being cut."""
    may_cut = any(target.may_cut for target in targets)
    return max(1, int(limit * ESTIMATED_SHARE)) if may_cut and limit is not None else None


def of(model: ModelConfig, find: Find) -> Iterator[tuple[Path, str]]:
    """Each warning with its place in the file; `find` says what a provider's name stands for."""
    path: Path = ("models", model.alias)
    if model.unit_length is False and not model.normalize:
        yield (
            path,
            "its vectors are not of unit length, so that their dot products are no cosines; "
            "`normalize: true` makes them so, and `unit_length: true` says that they are",
        )
    counts = model.tokenizer_known and (model.tokenizer == "cl100k_base" or model.tokenizer.endswith(".json"))
    limit = model.limits.input_tokens
    for index, target in enumerate(model.targets):
        if target.may_cut and not (counts and limit is not None):
            habit = _habit(find(target.provider))
            yield (*path, "targets", index), f"{habit}; {_consequence(limit, model.most_estimated)}"


def _habit(provider: Adapter) -> str:
    if isinstance(provider, Provider) and provider.overlong == "cuts":
        return f"{provider.name} cuts a text that is too long without a word, and cannot be told not to"
    return f"{provider.name} is not known to refuse a text that is too long, and may cut it without a word"


def _consequence(limit: int | None, most: int | None) -> str:
    if limit is None:
        return "no limit is known that could be kept here: set the model's `limits.input_tokens`"
    return (
        f"texts of more than {most} tokens by an estimate are refused here, to stay below its {limit}. "
        "`tokenizer`, the model's own tokenizer.json, makes that exact"
    )
