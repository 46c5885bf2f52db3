"""Where a space's reference comes from: targets that agree, or an operator's word. Never the first that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from gateway import golden
from gateway.canary import Reference, compare
from gateway.golden import Answer
from gateway.recipe import reference_name
from gateway.routing import Route, Target
from gateway.spaces import Spaces
from gateway.together import together
from gateway.tokens import Counter
from providers.base import Fault


@dataclass(frozen=True, slots=True)
class Asked:
    target: Target
    outcome: Answer | Fault


class NotPinned(Exception):
    """Why there is no new reference; the message says what to do."""


async def ask(route: Route, targets: Sequence[Target], counter: Counter) -> list[Asked]:
    """All at once; those of lower priority come last."""
    in_order = sorted(targets, key=lambda target: target.priority)
    outcomes = await together(golden.ask(route, target, counter) for target in in_order)
    return [Asked(target, outcome) for target, outcome in zip(in_order, outcomes, strict=True)]


def agreed(asked: Sequence[Asked], now: float) -> Reference | None:
    """Of the first two deployments that agree; the same one twice would agree with itself."""
    for one, other in combinations(asked, 2):
        if one.target.mark == other.target.mark:
            continue
        if not isinstance(one.outcome, Answer) or not isinstance(other.outcome, Answer):
            continue
        if compare(one.outcome.vectors, other.outcome.vectors).complaint is None:
            return Reference(one.outcome.vectors, now, f"{one.target.name}, {other.target.name}")
    return None


async def accept(
    route: Route, name: str | None, counter: Counter, spaces: Spaces, clock: Callable[[], float]
) -> Reference:
    """Makes what a target answers now the reference, in place of any other; of several, if all that answer agree.

    Raises NotPinned, and StateUnavailable. `clock` is in seconds since the epoch.
    """
    targets = [target for target in route.targets if name in (None, target.name)]
    if not targets:
        known = ", ".join(f"`{target.name}`" for target in route.targets)
        raise NotPinned(f"`{route.alias}` has no target `{name}`; it has {known}.")
    asked = await ask(route, targets, counter)
    answers = [(one.target, one.outcome) for one in asked if isinstance(one.outcome, Answer)]
    if not answers:
        faults = ", ".join(
            f"`{one.target.name}` ({one.outcome.kind})" for one in asked if isinstance(one.outcome, Fault)
        )
        raise NotPinned(f"No target of `{route.alias}` answered: {faults}. `gateway probe {route.alias}` tells more.")
    first, answer = answers[0]
    for target, other in answers[1:]:
        complaint = compare(answer.vectors, other.vectors).complaint
        if complaint is not None:
            raise NotPinned(
                f"`{target.name}` does not agree with `{first.name}`: {complaint}. "
                "Name the one whose vectors are right: --target NAME."
            )
    if answer.dimensions != route.dimensions.native:
        raise NotPinned(
            f"`{first.name}` makes vectors of {answer.dimensions} values, and the routing file says "
            f"{route.dimensions.native}."
        )
    reference = Reference(answer.vectors, clock(), ", ".join(target.name for target, _ in answers))
    await spaces.pin(reference_name(route), reference)
    await spaces.bump(route.space)
    return reference
