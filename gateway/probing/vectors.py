"""What a target's vectors show: their length, their order, whether they are steady, and whose they are.

`claimed` is always what the configuration says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from gateway.dimensions import Dimensions
from gateway.probing.finding import Answer, Finding, Mark, Reply, Setting, is_passing, not_asked, said, unknown
from providers import codec
from providers.base import Fault

SAME: Final = 0.999
"""Cosine from which two vectors are one text's: batches on a GPU differ by less, other texts by far more."""
ONE_SPACE: Final = 0.99
"""Cosine from which two targets serve one model: their precision may differ a little."""
UNIT: Final = 0.01
"""How far from 1 the length of a unit vector may be: half precision rounds."""


def answers(reply: Reply) -> Finding:
    """Whether the target works at all."""
    if isinstance(reply, Fault):
        return Finding("answers", Mark.CONTRADICTS, "no", said(reply))
    return Finding("answers", Mark.AGREES, "yes")


def dimensions(answer: Answer, claimed: Dimensions) -> Finding:
    """Whether its vectors are as long as the configuration says."""
    found = answer.dimensions
    setting = Setting("dimensions.native", found, claimed.native)
    if found == claimed.native:
        return Finding("dimensions", Mark.AGREES, str(found), setting=setting)
    message = f"its vectors have {found} values, and the configuration says {claimed.native}"
    return Finding("dimensions", Mark.CONTRADICTS, str(found), message, setting)


def shortens(replies: Mapping[int, Reply], claimed: Dimensions) -> Finding:
    """Whether it gives the lengths that it was asked for; `replies` are by length."""
    check = "shortens"
    if not replies:
        return not_asked(check)
    for reply in replies.values():
        if isinstance(reply, Fault) and is_passing(reply):
            return unknown(check, reply)
    given = [size for size, reply in replies.items() if isinstance(reply, Answer) and reply.dimensions == size]
    refused = [size for size in replies if size not in given]
    if claimed.shorten != "native":
        value = "native" if given else claimed.shorten
        setting = Setting("dimensions.shorten", value, claimed.shorten)
        if not given:
            return Finding(check, Mark.AGREES, "no", setting=setting)
        return Finding(check, Mark.NOTE, "yes", f"asked for {_listed(given)} values it gives those", setting)
    if not refused:
        return Finding(check, Mark.AGREES, _listed(given), setting=Setting("dimensions.shorten", "native", "native"))
    fault = next((reply for reply in replies.values() if isinstance(reply, Fault)), None)
    message = f"asked for {_listed(refused)} values, {said(fault) if fault else 'it gives vectors of another length'}"
    setting = (
        Setting("dimensions.allowed", given, None if claimed.allowed is None else list(claimed.allowed))
        if given
        else Setting("dimensions.shorten", "never", "native")
    )
    return Finding(check, Mark.CONTRADICTS, f"not to {_listed(refused)}", message, setting)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def steady(first: Answer, again: Reply) -> tuple[Finding, Finding]:
    """Whether the same texts give the same vectors, and in their order; `again` was asked for in another order."""
    if isinstance(again, Fault) and is_passing(again):
        return unknown("same twice", again), unknown("order", again)
    if isinstance(again, Fault) or again.dimensions != first.dimensions:
        message = said(again) if isinstance(again, Fault) else "the second time its vectors have another length"
        return Finding("same twice", Mark.CONTRADICTS, "no", message), Finding("order", Mark.UNKNOWN, "?")
    if any(codec.cosine(one, other) >= SAME for one, other in combinations(first.vectors, 2)):
        message = "different texts in one call get the same vector"
        return Finding("same twice", Mark.UNKNOWN, "?"), Finding("order", Mark.CONTRADICTS, "one for all", message)
    cosines = [[codec.cosine(one, other) for other in again.vectors] for one in first.vectors]
    own = min(row[place] for place, row in enumerate(cosines))
    if any(max(row) < SAME for row in cosines):
        message = f"the same text gives another vector the second time (cosine {own:.3f})"
        return Finding("same twice", Mark.CONTRADICTS, "no", message), Finding("order", Mark.UNKNOWN, "?")
    twice = Finding("same twice", Mark.AGREES, "yes")
    if len(cosines) == 1:
        return twice, not_asked("order")
    if own < SAME:
        message = "the vectors of one call belong to other inputs than it says"
        return twice, Finding("order", Mark.CONTRADICTS, "wrong", message)
    return twice, Finding("order", Mark.AGREES, "yes")


def unit_length(answer: Answer, claimed: bool | None, normalizes: bool) -> Finding:
    """Whether its vectors come with unit length; `normalizes` is whether the route makes them so."""
    check = "unit length"
    norms = [codec.norm(vector) for vector in answer.vectors]
    if all(abs(norm - 1) <= UNIT for norm in norms):
        return Finding(check, Mark.AGREES, "yes", setting=Setting("unit_length", True, claimed))
    found = f"{min(norms):.3g}" if max(norms) - min(norms) < UNIT else f"{min(norms):.3g} to {max(norms):.3g}"
    if claimed:
        message = "its vectors are not of unit length, and the configuration says that they are"
        return Finding(check, Mark.CONTRADICTS, found, message, Setting("unit_length", False, True))
    setting = Setting("normalize", True, normalizes)
    if normalizes:
        return Finding(check, Mark.AGREES, found, setting=setting)
    message = "a dot product of its vectors is no cosine; `normalize: true` mends that, and needs a new index"
    return Finding(check, Mark.NOTE, found, message, setting)


def one_space(first: Answer, other: Answer, name: str) -> Finding:
    """Whether two targets of a model give the same vectors; `name` is the other target's."""
    check = "one space"
    if first.dimensions != other.dimensions:
        message = f"its vectors have another length than those of `{name}`: they cannot be compared"
        return Finding(check, Mark.CONTRADICTS, "no", message)
    cosine = codec.cosine(first.vectors[0], other.vectors[0])
    if cosine >= ONE_SPACE:
        return Finding(check, Mark.AGREES, "yes")
    message = f"its vectors are not those of `{name}` (cosine {cosine:.3f}): give each a model of its own"
    return Finding(check, Mark.CONTRADICTS, "no", message)
