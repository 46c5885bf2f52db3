"""The words that a model inside this process and the gateway share: values and promises, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from providers.base import Embeddings, Fault


class Engine(Protocol):
    """A model inside this process. `embed` is synchronous, thread-safe and deterministic for each text alone."""

    dimensions: int

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault: ...


@dataclass(frozen=True, slots=True)
class Transformer:
    """A model inside this process that reads several texts in one forward pass, padded to the longest of them.

    `lengths` gives the tokens that the model sees of each text, special ones included, or the fault of the first text
    that it cannot take; it may be called from several threads. `forward` gives the vectors of such texts, or raises; it
    is called by one thread at a time. Neither ever cuts a text.
    """

    dimensions: int
    input_tokens: int
    """Most tokens of one text."""
    lengths: Callable[[Sequence[str]], list[int] | Fault]
    forward: Callable[[Sequence[str]], list[bytes]]
    forward_texts: int = 64
    """Most texts in one forward pass; 1 for a model that gives a text another vector beside other neighbours."""
    tokenizer: str | None = None
    """A tokenizer.json that counts as `lengths` does; None where there is no such file."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """Which model to load. `threads` is how many one forward pass may use; None leaves it to the model's library."""

    path: str
    name: str = ""
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class LocalProvider:
    """A kind of in-process engine: `load` reads its files once and raises `EngineError` when it cannot.

    `built_in` are the paths that are names of models and not of folders.
    """

    name: str
    load: Callable[[LocalModel], Engine | Transformer]
    built_in: frozenset[str] = frozenset()
    batches: bool = False
    """Whether its models are `Transformer`s, for whose forward passes texts wait in one queue."""
    reads_name: bool = False
    """Whether it looks at the model's name, too."""


class EngineError(Exception):
    """A local model cannot be loaded; the message says which file, and what to do."""
