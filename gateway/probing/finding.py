"""The words of a probe: a target's replies, what they show, and what follows for the routing file."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.policy import cleaned
from providers import codec
from providers.base import Fault, FaultKind


class Mark(enum.StrEnum):
    AGREES = "agrees"
    CONTRADICTS = "contradicts"  # the configuration claims what the target does not do
    NOTE = "note"  # worth knowing: the configuration claims less than the target does, or nothing about it
    UNKNOWN = "unknown"  # the target did not say
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the routing file and the value that follows from what was found; `configured` is what holds now.

    The key is a model's, or a target's where it begins with `targets.`.
    """

    key: str
    value: Any
    configured: Any


@dataclass(frozen=True, slots=True)
class Finding:
    """`found` is a word or two for a table; `message` a sentence where that is not enough."""

    check: str
    mark: Mark
    found: str
    message: str = ""
    setting: Setting | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Vectors of one length in the order of the inputs. `body` is what was parsed, None for a local model."""

    vectors: Sequence[bytes] = field(repr=False)
    tokens: int | None = None
    body: bytes | None = field(default=None, repr=False)

    @property
    def dimensions(self) -> int:
        return len(self.vectors[0]) // codec.FLOAT32.itemsize


Reply = Answer | Fault


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found about one target. `first` are the vectors that every target of a model is asked for."""

    model: str
    target: str
    provider: str
    findings: Sequence[Finding]
    calls: int = 0
    tokens: int = 0
    first: Answer | None = field(default=None, repr=False)

    @property
    def contradictions(self) -> int:
        return sum(finding.mark is Mark.CONTRADICTS for finding in self.findings)


_WORDS: Final[Mapping[FaultKind, str]] = {
    FaultKind.REJECTED: "it refuses",
    FaultKind.MISCONFIGURED: "it refuses the credentials, the model or the address",
    FaultKind.THROTTLED: "it takes no more requests at the moment",
    FaultKind.OVERLOADED: "it has no capacity or cannot be reached",
    FaultKind.NO_SLOT: "no slot became free here in time",
    FaultKind.TIMEOUT: "it does not answer in time",
    FaultKind.BROKEN: "it fails inside",
    FaultKind.MALFORMED: "its answer is wrong",
    FaultKind.EXHAUSTED: "its quota or our credit there is used up",
}
_PASSING: Final = frozenset(
    {FaultKind.THROTTLED, FaultKind.OVERLOADED, FaultKind.NO_SLOT, FaultKind.TIMEOUT, FaultKind.EXHAUSTED}
)
"""They say nothing about the question: at another time the same one may be answered."""


def said(fault: Fault) -> str:
    """A fault on one line, without credentials and addresses."""
    status = f" ({fault.status})" if fault.status is not None else ""
    words = cleaned(fault.message)
    return f"{_WORDS[fault.kind]}{status}{f': {words}' if words else ''}"


def is_passing(reply: Reply) -> bool:
    return isinstance(reply, Fault) and reply.kind in _PASSING


def unknown(check: str, fault: Fault) -> Finding:
    return Finding(check, Mark.UNKNOWN, "no answer", said(fault))


def not_asked(check: str) -> Finding:
    return Finding(check, Mark.NOT_ASKED, "–")
