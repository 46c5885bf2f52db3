"""The words that the wires share: a request as it came, what it asks for, how it is refused, and the wire itself."""

from __future__ import annotations

import base64
import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tests.fakes.openai_replies import Vector, vector_for

TEXTS: Final = ("one", "two")
"""What the samples of the wires embed."""


class Reason(enum.StrEnum):
    """What is wrong with a request, as far as the real ones tell it apart."""

    ADDRESS = "address"
    METHOD = "method"
    KEY = "key"
    MODEL = "model"
    FIELD = "field"  # one that is not documented
    VALUE = "value"
    NUMBER = "number"  # more than fits into one call


class Unsound(Exception):
    """A request that the real provider would not answer with vectors. `place` is the field, like `input[0]`."""

    def __init__(self, reason: Reason, place: str, fault: str) -> None:
        super().__init__(f"`{place}` {fault}")
        self.reason = reason
        self.place = place
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came: the path as written, without the wire's name; header names in lower case; parsed JSON."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    size: int = 0
    """Bytes of the body."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer. `body` is written as JSON, arrays as lists, behind the `padding`."""

    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    padding: bytes = b""
    words: str = ""
    """What a refusal says for people."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sound request asks for. Token ids have become the bytes that they spell.

    `dimensions` is None for the model's own; `role` is in the provider's own word, None where none was said.
    """

    texts: Sequence[bytes] = field(repr=False)
    dimensions: int | None = None
    role: str | None = None
    base64: bool = False

    @property
    def tokens(self) -> int:
        """What is billed: the count of a made-up tokenizer, which no other counts alike."""
        return sum(1 + len(text) // 3 for text in self.texts)


Shape = Callable[[Any, str], None]
"""Raises Unsound for a value that is not right at this place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One service as its reference has it, with one model.

    A request passes when it comes to `path` with `query`, holds the key in `key_header` behind `key_scheme`, and has
    a body of the fields `required` and `optional` and no other. `read` then takes from it what it asks for.
    """

    name: str
    """The first segment of its address here."""
    provider: str
    """The gateway's name for it."""
    base_path: str
    """What the real base URL has after its host."""
    path: str
    model: str
    native: int
    required: Mapping[str, Shape]
    optional: Mapping[str, Shape] = field(default_factory=dict)
    read: Callable[[Mapping[str, Any]], Asked]
    answer: Callable[[Asked, Sequence[Vector]], Sent]
    refuse: Callable[[Unsound], Sent]
    sample: Mapping[str, Any]
    """A sound body that embeds `TEXTS`, or as many of them as fit, with nothing that it could do without."""
    query: Mapping[str, str] = field(default_factory=dict)
    key_header: str = "authorization"
    key_scheme: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers that a request must have."""
    max_inputs: int | None = None
    max_tokens: int | None = None
    """In one call, as `Asked.tokens` counts."""
    max_bytes: int | None = None
    """Of one body."""

    # ── what a test of the gateway needs to know ──────────────────────────────────────────────────────────────────
    configured: Mapping[str, Any] = field(default_factory=dict)
    """What a target has besides `provider`, `model`, `base_url` and `api_key`."""
    lengths: Sequence[int] = ()
    """Lengths besides the native one that its field for shorter vectors takes."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """The gateway's input types in the provider's words."""
    default_role: str | None = None
    """In whose stead it is told, or itself assumes, this one of its words."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Documented fields that change neither model nor space, with sound values."""
    token_ids: bool = False
    base64: bool = False
    reports_usage: bool = True

    # ── vectors unlike those of most ──────────────────────────────────────────────────────────────────────────────
    unit_length: bool = True
    unit_length_when_short: bool = True
    signs: bool = False
    """Whether signed bytes tell a vector, of which only the direction counts: here each value is its sign's."""

    @property
    def key(self) -> str:
        """A key of its own, so that no other's is taken for it."""
        return f"upstream-secret-of-{self.name}-4Fq7Zt1Kx9"

    def ask(self, arrived: Arrived) -> Asked:
        """What a request asks for; raises Unsound for one that the real provider would refuse."""
        self._check_address(arrived)
        self._check_headers(arrived.headers)
        if not isinstance(arrived.body, dict):
            raise Unsound(Reason.VALUE, "body", "is not a JSON object")
        if self.max_bytes is not None and arrived.size > self.max_bytes:
            raise Unsound(Reason.NUMBER, "body", f"exceeds the limit: {self.max_bytes} bytes")
        check_fields(arrived.body, self.required, self.optional)
        asked = self.read(arrived.body)
        if self.max_inputs is not None and len(asked.texts) > self.max_inputs:
            raise Unsound(Reason.NUMBER, "input", f"holds {len(asked.texts)}, and {self.max_inputs} are allowed")
        if self.max_tokens is not None and asked.tokens > self.max_tokens:
            raise Unsound(Reason.NUMBER, "input", f"has {asked.tokens} tokens, and {self.max_tokens} are allowed")
        return asked

    def _check_address(self, arrived: Arrived) -> None:
        if arrived.path != self.path or dict(arrived.query) != dict(self.query):
            raise Unsound(Reason.ADDRESS, "path", "is not served here")
        if arrived.method != "POST":
            raise Unsound(Reason.METHOD, "method", "is not allowed")

    def _check_headers(self, headers: Mapping[str, str]) -> None:
        given = headers.get(self.key_header)
        if given != self.key_scheme + self.key:
            raise Unsound(Reason.KEY, "key", "is missing" if given is None else f"is wrong: {given}")
        for name, value in {"content-type": "application/json", **self.headers}.items():
            if headers.get(name) != value:
                raise Unsound(Reason.VALUE, name, f"is not {value}")

    def vectors(self, asked: Asked) -> list[Vector]:
        """One for each text, and another for another role, length or wire."""
        length = asked.dimensions or self.native
        whole = max(length, self.native)
        kept = length if self.unit_length_when_short else whole
        seed = f"{self.name}\0{asked.role or ''}\0".encode()
        found = [vector_for(seed + text, kept, whole)[:length] for text in asked.texts]
        if self.signs:
            return [np.sign(vector) * np.float32(len(vector) ** -0.5) for vector in found]
        return found if self.unit_length else [vector * np.float32(2.5) for vector in found]

    def respond(self, asked: Asked) -> Sent:
        return self.answer(asked, self.vectors(asked))


def check_fields(value: Mapping[str, Any], required: Mapping[str, Shape], optional: Mapping[str, Shape]) -> None:
    """The fields of a body: unknown ones first, as closed schemas do."""
    shapes = {**required, **optional}
    for name in value:
        if name not in shapes:
            raise Unsound(Reason.FIELD, name, "is not a field that is known here")
    for name in required:
        if name not in value:
            raise Unsound(Reason.VALUE, name, "is required")
    for name, inner in value.items():
        shapes[name](inner, name)


def in_base64(vector: Vector) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
