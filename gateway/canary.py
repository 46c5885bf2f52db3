"""Whether a target still makes the vectors of its space: golden texts, what they became once, and how like it is now.

It asks nobody and keeps nothing. https://en.wikipedia.org/wiki/Cosine_similarity is blind to length, so that lengths
are compared beside it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, Self

from providers import codec

Reaction = Literal["off", "report", "eject"]
"""What happens to a target that has drifted: it is told, or taken out as well; `off` does not look."""
GOLDEN: Final = (
    "The ferry to the island leaves at noon, unless the wind turns.",
    "Welche Unterlagen brauche ich, um ein Gewerbe anzumelden?",
    "for row in reader: total += row['price'] * 1.19  # with tax",
    "機械学習で文章の意味を数値にする方法",
)
"""English prose, a German question, code, Japanese: a change of weights, tokenizer, pooling or prompt moves one.

They never change: every reference in every state is made of them.
"""
BOUND: Final = 0.99
"""Cosine below which two vectors of one text are not one model's. Half precision keeps 0.99999."""
NORM_BOUND: Final = 0.02
"""How far, as a part of the reference's, a vector's length may be away from it. Half precision keeps 0.001."""
IN_A_ROW: Final = 2
"""Runs below the bound that count as drift: one may be a server that was just being replaced."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """Of vectors to a reference, the worst of all golden texts.

    `cosine` is 0 where the lengths of the vectors differ; `norm` is how far the Euclidean length is away, as a part.
    """

    cosine: float
    norm: float
    dimensions: int
    expected: int

    @property
    def complaint(self) -> str | None:
        """What is wrong, in a few words; None where the vectors are of the reference's space."""
        if self.dimensions != self.expected:
            return f"its vectors have {self.dimensions} values where the reference's have {self.expected}"
        if self.cosine < BOUND:
            return f"cosine {self.cosine:.4f} to the reference, below {BOUND}"
        if self.norm > NORM_BOUND:
            return f"its vectors' length is {self.norm:.1%} away from the reference's"
        return None


def compare(reference: Sequence[bytes], vectors: Sequence[bytes]) -> Likeness:
    """Two answers to the golden texts, each of finite vectors of one length, none all zero."""
    expected, found = (len(one[0]) // codec.FLOAT32.itemsize for one in (reference, vectors))
    if expected != found:
        return Likeness(0.0, 0.0, found, expected)
    pairs = list(zip(reference, vectors, strict=True))
    cosine = min(codec.cosine(old, new) for old, new in pairs)
    norm = max(abs(codec.norm(new) / codec.norm(old) - 1) for old, new in pairs)
    return Likeness(cosine, norm, found, expected)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the golden texts are in a space: float32 bytes each. `at` is in seconds since the epoch."""

    vectors: Sequence[bytes] = field(repr=False)
    at: float
    by: str
    """The target, or the targets, that it was taken from."""

    def written(self) -> bytes:
        vectors = [base64.b64encode(vector).decode() for vector in self.vectors]
        return json.dumps({"at": self.at, "by": self.by, "vectors": vectors}).encode()

    @classmethod
    def read(cls, text: bytes) -> Self:
        told = json.loads(text)
        return cls([base64.b64decode(vector) for vector in told["vectors"]], told["at"], told["by"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the last run found of a target, for all replicas. Times are in seconds since the epoch."""

    at: float
    pinned: float
    """When the reference was, which it was compared to."""
    cosine: float
    complaint: str | None = None
    in_a_row: int = 0
    """How many runs up to this one complained."""
    ejected: bool = False
    """Whether it is taken out for its drift, or only reported."""

    @property
    def drift(self) -> str | None:
        return self.complaint if self.in_a_row >= IN_A_ROW else None

    def written(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, text: bytes) -> Self:
        """Without what a later version may have added."""
        told = json.loads(text)
        return cls(**{name: told[name] for name in cls.__slots__ if name in told})


def judged(
    likeness: Likeness, reference: Reference, before: Verdict | None, now: float, *, ejects: bool = False
) -> Verdict:
    """What was found of the same reference before counts on; a good run begins anew."""
    complaint = likeness.complaint
    row = before.in_a_row if before is not None and before.pinned == reference.at else 0
    row = 0 if complaint is None else row + 1
    return Verdict(now, reference.at, likeness.cosine, complaint, row, ejects and row >= IN_A_ROW)
