"""What is known of a target outlives a reload that leaves it as it was: who waits for it, its tokens, its health."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gateway.config import ModelConfig, TargetConfig
from gateway.routing import Route, Target

Made = Iterable[tuple[ModelConfig, Route]]
"""Models, and the routes that were made from them, whose targets are in the same order."""


def carried(made: Made, former: Made) -> list[Route]:
    """The routes that were made anew, their unchanged targets with backends and health of the former ones."""
    known = {
        (model.alias, model.space, config.name): (config, target)
        for model, route in former
        for config, target in zip(model.targets, route.targets, strict=True)
    }
    routes = []
    for model, route in made:
        targets = []
        for config, target in zip(model.targets, route.targets, strict=True):
            before = known.get((model.alias, model.space, config.name))
            targets.append(target if before is None else _carried(config, target, *before))
        routes.append(replace(route, targets=targets))
    return routes


def _carried(config: TargetConfig, target: Target, former_config: TargetConfig, former: Target) -> Target:
    """Weight, priority and timeout say when a target is asked, and not what it is."""
    as_said = replace(former_config, weight=config.weight, priority=config.priority, timeout=config.timeout)
    if as_said != config:
        return target
    return replace(target, backend=former.backend, told=former.told, health=former.health)
