"""Services that speak OpenAI's endpoint but for some names: each is a call of `wire`, which is given the differences.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tests.fakes.openai_replies import Vector
from tests.fakes.wires import shapes
from tests.fakes.wires.base import TEXTS, Asked, Sent, Shape, Unsound, Wire, in_base64
from tests.fakes.wires.refusals import Refuse, openai_like, refusing

ENCODING: Final = shapes.one_of("float", "base64")
FLOAT: Final = shapes.one_of("float")
DTYPES: Final = FLOAT
"""Of float, int8, uint8, binary, and ubinary the only one that a gateway can decode."""

Usage = Callable[[int], Mapping[str, Any] | None]


def prompt_and_total(tokens: int) -> Mapping[str, Any]:
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def total_only(tokens: int) -> Mapping[str, Any]:
    return {"total_tokens": tokens}


def no_usage(tokens: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around the vectors of an answer."""

    model: str
    usage: Usage = prompt_and_total
    top: Mapping[str, Any] = field(default_factory=lambda: {"object": "list"})
    item: Mapping[str, Any] = field(default_factory=lambda: {"object": "embedding"})
    nested: bool = False
    """Whether each vector is the only one of a list."""
    padding: bytes = b""
    signed_bytes: bool = False
    """Whether base64 holds a byte for each value, asked for or not."""

    def around(self, asked: Asked, vectors: Sequence[Vector]) -> Sent:
        """The items come last first: where there is an index, it says what belongs to what."""
        items = [
            {**self.item, "embedding": self._embedding(vector, asked), "index": index}
            for index, vector in enumerate(vectors)
        ]
        body = {**self.top, "data": items[::-1], "model": self.model}
        usage = self.usage(asked.tokens)
        return Sent(200, body if usage is None else {**body, "usage": usage}, padding=self.padding)

    def _embedding(self, vector: Vector, asked: Asked) -> Any:
        if self.signed_bytes:
            return base64.b64encode((np.sign(vector) * 127).astype(np.int8).tobytes()).decode()
        if asked.base64:
            return in_base64(vector)
        return [vector] if self.nested else vector


def wire(
    name: str,
    base_path: str,
    model: str,
    native: int,
    *,
    provider: str | None = None,
    path: str = "/embeddings",
    inputs: str = "input",
    names_model: bool = True,
    always: Mapping[str, tuple[Shape, Any]] | None = None,
    dimensions: tuple[str, Shape] | None = None,
    encodings: tuple[str, Shape] | None = None,
    role: tuple[str, Shape] | None = None,
    others: Mapping[str, Shape] | None = None,
    text: Shape = shapes.text,
    token_ids: bool = False,
    refuse: Refuse | None = None,
    envelope: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Wire:
    """`always` are fields that every call must have, each with a sound value; `others` those that nothing else names.

    `dimensions`, `encodings` and `role` name the fields for these and what they take, where there are such;
    `path` comes after `base_path`; `envelope` are the fields of `Envelope`, `facts` those of `Wire`.
    """
    named = [pair for pair in (dimensions, encodings) if pair is not None]
    spoken = always or {}
    if role is not None and role[0] not in spoken:
        named.append(role)
    around = Envelope(**{"model": model, **(envelope or {})})

    def read(body: Mapping[str, Any]) -> Asked:
        given = body[inputs]
        return Asked(
            texts=shapes.spelled(given),
            dimensions=body.get(dimensions[0]) if dimensions else None,
            role=body.get(role[0]) if role else None,
            base64=encodings is not None and body.get(encodings[0]) == "base64",
        )

    return Wire(
        name=name,
        provider=provider or name,
        base_path=base_path,
        path=base_path + path,
        model=model,
        native=native,
        required={
            **({"model": shapes.model(model)} if names_model else {}),
            inputs: shapes.list_of(shapes.text_or_ids if token_ids else text),
            **{key: shape for key, (shape, _) in spoken.items()},
        },
        optional={**dict(named), **(others or {})},
        read=read,
        answer=around.around,
        refuse=refuse or refusing(openai_like),
        sample={
            **({"model": model} if names_model else {}),
            inputs: list(TEXTS),
            **{key: value for key, (_, value) in spoken.items()},
        },
        token_ids=token_ids,
        base64=encodings is not None and _takes(encodings[1], "base64"),
        reports_usage=facts.pop("reports_usage", around.usage is not no_usage),
        **facts,
    )


def _takes(shape: Shape, value: Any) -> bool:
    try:
        shape(value, "")
    except Unsound:
        return False
    return True


OPENAI_FACTS: Final[Mapping[str, Any]] = {
    "model": "text-embedding-3-small",
    "native": 1536,
    "dimensions": ("dimensions", shapes.whole(1, 1536)),
    "encodings": ("encoding_format", ENCODING),
    "others": {"user": shapes.text},
    "token_ids": True,
    "max_inputs": 2048,
    "max_tokens": 300_000,
    "lengths": (1, 256),
    "extra": {"user": "user-1"},
}
"""OpenAI's own, at home and at Azure."""
