"""Which vector space a model serves: model, revision, prompts and the length of its vectors make it what it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from gateway import target_rules
from gateway.document import Path
from gateway.model_shape import CatalogFacts, ModelShape, TargetShape
from gateway.reading import Reading


def resolve(
    reading: Reading,
    alias: str,
    shape: ModelShape,
    known: Sequence[CatalogFacts | None],
    unit_length: bool | None,
    path: Path,
) -> str | None:
    """The routing file's name for it, else one made of what the catalogue says and of what the route adds to that."""
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
    if len(shape.targets) > 1 and not all(map(is_vouched_for, shape.targets, known)):
        reading.problem(
            path,
            "`space` is missing: at least one of several targets is not in the catalogue, or not at its provider's own "
            "address, so that only you can tell that they all serve the same vectors; name that space",
        )
        return None
    space = spaces[0] if spaces else f"{shape.targets[0].provider.name}/{shape.targets[0].model or alias}"
    space += _recipe(shape, unit_length)
    if not re.fullmatch(r"[\x21-\x7e]{1,200}", space):
        reading.problem(path, f"`space` is missing: `{space}` cannot stand in a header; name the space in plain ASCII")
        return None
    return space


def is_vouched_for(target: TargetShape, facts: CatalogFacts | None) -> bool:
    """The catalogue speaks of models at their provider's own address; elsewhere a name may stand for anything."""
    return facts is not None and facts.space is not None and target_rules.is_at_home(target)


def _recipe(shape: ModelShape, unit_length: bool | None) -> str:
    """What this route does beside the model. Vectors that came with unit length are not changed by `normalize`."""
    unit = "+unit" if shape.normalize and not unit_length else ""
    if not shape.prompts:
        return unit
    prompts = json.dumps(shape.prompts, sort_keys=True).encode()
    return f"{unit}+prompts-{hashlib.sha256(prompts).hexdigest()[:8]}"
