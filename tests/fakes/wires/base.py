"""The words that the wires share: what a sound request asks for, and how an unsound one is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.openai_replies import Vector, vector_for


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came: the path without the provider's prefix, header names in lower case, the parsed body."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer: `body` is bytes, or something to be written as JSON."""

    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that the real provider would not answer with vectors; `sent` is what it says instead."""

    def __init__(self, sent: Sent) -> None:
        super().__init__(sent.status)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sound request asks for. `role` is in the provider's own word, None where none was said."""

    model: str
    texts: Sequence[bytes] = field(repr=False)
    dimensions: int
    native: int
    role: str | None = None
    base64: bool = False

    def vectors(self) -> list[Vector]:
        """One for each text. Another role gives another vector, as it does with the real ones."""
        said = b"" if self.role is None else self.role.encode() + b"\0"
        return [vector_for(said + text, self.dimensions, self.native) for text in self.texts]

    @property
    def tokens(self) -> int:
        """What is billed: a made-up tokenizer's count, which no other counts alike."""
        return sum(1 + len(text) // 3 for text in self.texts)


@dataclass(frozen=True, slots=True)
class Wire:
    """One provider: `read` raises Refused for what the real one refuses, `answer` makes what it would say.

    `model` exists there with `native` dimensions; `max_inputs` is the most that one call may hold.
    `configured` is what a target of a routing file needs besides `base_url` and `api_key`.
    """

    name: str
    read: Callable[[Arrived, str], Asked]
    """The request and the one right key."""
    answer: Callable[[Asked, Sequence[Vector]], Sent]
    model: str
    native: int
    configured: Mapping[str, Any] = field(default_factory=dict)
    max_inputs: int | None = None
    base_path: str = ""
    """What the real base URL has after its host, as an operator would write it."""
    shortens_to: int | None = None
    """A length that `model` can be asked for; None where it has no such field."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """The gateway's input types in the provider's words."""
    default_role: str | None = None
    """What it is told when the client says nothing, where it has to be told."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """A documented further field with a sound value, to be sent through `extra_body`."""
