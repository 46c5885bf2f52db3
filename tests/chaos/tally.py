"""What came of many requests, and what is wrong with any answer: vectors that are not their texts', odd errors."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from tests.chaos.asks import Ask

ERRORS: Final[Mapping[int, set[str]]] = {
    408: {"request_timeout"},
    429: {"rate_limit_exceeded", "insufficient_quota"},
    502: {"upstream_error"},
    503: {"upstream_unavailable", "overloaded"},
    504: {"upstream_timeout"},
}
"""All that a sound request may get instead of vectors, and the codes that say why."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)
    vectors: list[bytes] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:
            return cls(status, headers, {"error": {"message": "no JSON"}})
        vectors = [_vector(item["embedding"]) for item in body["data"]] if status == 200 else []
        return cls(status, headers, body, vectors)


@dataclass(slots=True)
class Tally:
    """What came of the requests."""

    asked: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    hung_up: int = 0
    asked_again: int = 0
    """Requests that a balancer sent to another replica, because the first one had died."""
    wrong: list[str] = field(default_factory=list)
    """Vectors that are not those of their texts."""
    lost: list[str] = field(default_factory=list)
    """Requests without an answer, or with one past the deadline."""
    odd: list[str] = field(default_factory=list)
    """Answers that no client should see."""
    errors: Counter[str] = field(default_factory=Counter)
    """Messages, with how many requests got each."""
    seconds: list[float] = field(default_factory=list)
    """Of those with vectors."""
    targets: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> list[str]:
        return [*self.wrong, *self.lost, *self.odd]

    def percentile(self, percent: float) -> float:
        """Seconds; 0 when there are none."""
        return float(np.percentile(self.seconds, percent)) if self.seconds else 0.0

    def add(self, ask: Ask, answer: Answer, targets: Set[str]) -> None:
        """Looks at one answer; `targets` are the names that it may tell."""
        self.statuses[answer.status] += 1
        if answer.status != 200:
            self._judge_error(answer)
            return
        told = answer.headers.get("x-embedding-target", "").split(", ")
        self.targets.update(told)
        if not told or not set(told) <= targets:
            self.odd.append(f"x-embedding-target: {told}")
        if [item.get("index") for item in answer.body["data"]] != list(range(len(ask.texts))):
            self.odd.append("the answer's indexes are not those of the inputs")
        if answer.vectors != ask.expected:
            self.wrong.append(f"{len(ask.texts)} inputs, {ask.wants}, dimensions {ask.dimensions}, by {told}")

    def _judge_error(self, answer: Answer) -> None:
        error = answer.body.get("error", {})
        self.errors[f"{answer.status} {error.get('message')}"] += 1
        sound = set(error) == {"message", "type", "param", "code"} and error["code"] in ERRORS.get(answer.status, ())
        if not sound or "x-request-id" not in answer.headers:
            self.odd.append(f"{answer.status} {answer.body}")


def _vector(embedding: str | list[float]) -> bytes:
    return base64.b64decode(embedding) if isinstance(embedding, str) else np.array(embedding, "<f4").tobytes()
