"""In which order a route's targets are asked: it decides and never acts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from gateway.routing import Target

CLEARLY: Final = 2.0
"""How many times the work ahead of it a target must have to lose its place: less is noise, and weights are a wish."""


def in_order(targets: Sequence[Target], items: int, now: float, random: Callable[[], float]) -> list[Target]:
    """Those that take calls now by priority, then those that will soon; never one that is taken out.

    Within one priority it is a weighted shuffle, so that the first place is shared by weight; of the two that come out
    first, the other goes first where the one has clearly more work before it: the power of two choices,
    https://www.eecs.harvard.edu/~michaelm/postscripts/tpds2001.pdf. `items` is how many inputs the job has.
    """
    if len(targets) == 1:
        return [target for target in targets if target.health.usable]
    ordered: list[Target] = []
    usable = sorted((target for target in targets if target.health.usable), key=lambda target: target.priority)
    waits = {id(target): _wait(target, now) for target in usable}
    willing = [target for target in usable if waits[id(target)] == 0]
    for _, group in groupby(willing, key=lambda target: target.priority):
        ordered += _shared(list(group), items, now, random)
    resting = [target for target in usable if waits[id(target)] > 0]
    return ordered + sorted(resting, key=lambda target: waits[id(target)])


def _shared(alike: Sequence[Target], items: int, now: float, random: Callable[[], float]) -> list[Target]:
    # Efraimidis and Spirakis, weighted sampling: the largest of random ** (1 / weight) comes first. The logarithm
    # keeps that order, and tells small weights apart, too.
    shuffled = sorted(alike, key=lambda target: -math.log(1 - random()) / target.weight)
    if len(shuffled) > 1:
        first, second = shuffled[:2]
        if _work(first, second, items, now) > CLEARLY * _work(second, first, items, now):
            shuffled[:2] = second, first
    return shuffled


def _work(target: Target, rival: Target, items: int, now: float) -> float:
    """The time that a further call may take, in seconds if both are known to take some.

    What is in flight counts by the weight: a target of twice the weight is as busy with twice as many.
    """
    share = 2 / (1 + rival.weight / target.weight)  # of two alike 1, near 2 if it is far the heavier one
    own, other = (each.health.latency(items).recent(now) for each in (target, rival))
    seconds = own if own is not None and other is not None else 1.0
    busy = target.health.in_flight
    return seconds * (1 + busy / share) if share else seconds if not busy else math.inf


def _wait(target: Target, now: float) -> float:
    refusal = target.health.refusal(now)
    return (refusal.retry_after or 0.0) if refusal is not None else 0.0
