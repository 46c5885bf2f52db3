"""What clients ask: requests of random sizes and kinds, each with the vectors that have to come back."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final, Literal

from gateway.vocabulary import cl100k
from tests.fakes.openai_upstream import vector_for

MOST_INPUTS: Final = 64
WORDS: Final = ("storm", "calm", "reset", "vector", "harbour", "late", "sea", "lamp", "naïve", "☕", "日本語")
Wants = Literal["float", "base64", "sdk"]


@dataclass(frozen=True, slots=True)
class Ask:
    """`inputs` are the texts, or the ids of their tokens."""

    texts: list[str]
    inputs: list[str] | list[list[int]] = field(repr=False)
    wants: Wants
    """`sdk`: through OpenAI's client, which asks for base64 and decodes it."""
    dimensions: int | None = None
    seconds: float | None = None
    """The client's own deadline, which the gateway is told."""
    leaves_after: float | None = None
    """When the client hangs up, if there is no answer by then."""

    @property
    def expected(self) -> list[bytes]:
        return [vector_for(text, self.dimensions or 1536).tobytes() for text in self.texts]


@dataclass(frozen=True, slots=True)
class Habits:
    """How often clients do what. Whoever sets no deadline of its own and does not leave is `patient`."""

    most_inputs: int = MOST_INPUTS
    sdk: float = 0.2
    token_ids: float = 0.15
    whole_vectors: float = 0.1
    """Asked for without `dimensions`; the others ask for a few, which costs the machine less."""
    own_deadline: float = 0.1
    leaves: float = 0.1


PATIENT: Final = Habits(own_deadline=0.0, leaves=0.0)


def draw(chance: random.Random, habits: Habits) -> Ask:
    """Small requests are usual, large ones come, too; some texts come twice in one request."""
    size = min(habits.most_inputs, int(chance.paretovariate(0.7)))
    texts = [_text(chance) for _ in range(size)]
    if size > 2 and chance.random() < 0.3:
        texts[chance.randrange(size)] = texts[0]
    ids = chance.random() < habits.token_ids
    return Ask(
        texts=texts,
        inputs=[cl100k().encode_ordinary(text) for text in texts] if ids else texts,
        wants="sdk" if chance.random() < habits.sdk else chance.choice(("float", "base64")),
        dimensions=None if chance.random() < habits.whole_vectors else chance.choice((8, 64, 256)),
        seconds=chance.uniform(0.05, 0.8) if chance.random() < habits.own_deadline else None,
        leaves_after=chance.uniform(0.0, 0.3) if chance.random() < habits.leaves else None,
    )


def _text(chance: random.Random) -> str:
    return f"{chance.choice(WORDS)} {chance.choice(WORDS)} {chance.randrange(2_000)}"
