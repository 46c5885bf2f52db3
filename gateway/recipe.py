"""What is embedded alike, and so has one reference and one run: names of a space, a recipe and a deployment."""

from __future__ import annotations

import hashlib
import json

from gateway.config import ModelConfig, TargetConfig
from gateway.routing import Route


def reference_name(model: Route | ModelConfig) -> str:
    """One reference serves all aliases of a space that embed alike: the same length, and as the same input type.

    A prompt has no part in it: one that changes without a new name of the space is a drift like any other.
    """
    return f"{model.space} {model.default_input_type or '-'} {model.dimensions.native}"


def run_name(model: Route | ModelConfig, mark: str) -> str:
    """One run tells of a deployment wherever it is asked alike, under whatever alias."""
    prompt = model.prompts.get(model.default_input_type) if model.default_input_type else None
    recipe = json.dumps([mark, prompt, model.normalize]).encode()
    return f"{reference_name(model)} {hashlib.sha256(recipe).hexdigest()[:16]}"


def mark(target: TargetConfig) -> str:
    """Tells a deployment from every other one: what it is and where, not whose key it is asked with."""
    place = [target.provider, target.path, target.base_url, target.region, target.project, target.space_id]
    what = [*place, target.model, target.api_version, target.extra_body]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
