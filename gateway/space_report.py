"""What is known of the models' spaces and of their targets' canaries, as plain values; it asks the state alone."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from gateway.canary import Reaction, Reference, Verdict
from gateway.config import ModelConfig
from gateway.recipe import mark, reference_name, run_name
from gateway.spaces import Spaces


async def report(models: Sequence[ModelConfig], spaces: Spaces) -> list[dict[str, Any]]:
    """Of each model its space, reference and targets. Raises StateUnavailable."""
    await spaces.look()
    return [_model(model, await spaces.reference(reference_name(model)), spaces) for model in models]


def _model(model: ModelConfig, reference: Reference | None, spaces: Spaces) -> dict[str, Any]:
    return {
        "model": model.alias,
        "space": model.space,
        "generation": spaces.generation(model.space),
        "canary": model.canary,
        "input_type": model.default_input_type,
        "dimensions": model.dimensions.native,
        "reference": None if reference is None else {"since": _time(reference.at), "by": reference.by},
        "targets": [
            _target(target.name, model.canary, reference, spaces.verdicts.get(run_name(model, mark(target))))
            for target in model.targets
        ],
    }


def _target(name: str, reaction: Reaction, reference: Reference | None, verdict: Verdict | None) -> dict[str, Any]:
    told = verdict if verdict is not None and reference is not None and verdict.pinned == reference.at else None
    return {
        "target": name,
        "state": _state(reaction, reference, told),
        "cosine": None if told is None else round(told.cosine, 5),
        "complaint": None if told is None else told.complaint,
        "asked": None if told is None else _time(told.at),
    }


def _state(reaction: Reaction, reference: Reference | None, verdict: Verdict | None) -> str:
    if reaction == "off":
        return "off"
    if reference is None:
        return "unpinned"
    if verdict is None:
        return "not asked"
    if verdict.drift is not None:
        return "ejected" if verdict.ejected else "drifted"
    return "suspect" if verdict.complaint is not None else "good"


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
