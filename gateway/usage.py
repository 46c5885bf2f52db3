"""The tokens that an answer tells its client: of every input of the request, those that were sent only once included.

Upstreams report what was sent. Where the request holds each of that equally often, the whole is a multiple of it, and
as good as reported. Where some inputs are repeated and others are not, the report is shared out by counts: the sum is
called counted if these are the model's own tokenizer's, and else an estimate, as it is where nothing was reported.
The cache keeps the tokens of each input, shared out in the same way.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Final

from gateway import admission
from gateway.answers import UsageSource
from gateway.planning import Plan
from gateway.routing import Route
from gateway.tokens import Counter

_WORSE: Final[tuple[UsageSource, ...]] = ("reported", "counted", "estimated")


async def total(
    reported: int | None, plan: Plan, route: Route, counter: Counter, *, shared: bool = False
) -> tuple[int, UsageSource]:
    """`reported` is the upstreams' sum for `plan.inputs`, None if one of them did not say.

    It is `shared` where some of it is a share, by counts, of what was reported for several requests together.
    """
    if reported is not None and plan.plain:
        return reported, of_counts(route, counter) if shared else "reported"
    repeats = plan.repeats
    if reported is not None and len(set(repeats)) <= 1:
        return reported * sum(repeats[:1]), of_counts(route, counter) if shared else "reported"
    counts = await admission.count(plan.inputs, counter)
    tokens = sum(map(operator.mul, repeats, counts))
    if reported is not None:
        share = tokens / sum(counts) if tokens else sum(repeats) / len(repeats)  # nothing but blanks counts nothing
        tokens = round(reported * share)
    return tokens, of_counts(route, counter)


def of_counts(route: Route, counter: Counter) -> UsageSource:
    """What a number is that was counted here."""
    return "counted" if route.tokenizer_known and counter.exact else "estimated"


def worst(sources: Iterable[UsageSource]) -> UsageSource:
    """What a sum of such numbers is."""
    return max(sources, key=_WORSE.index, default="reported")
