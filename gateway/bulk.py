"""Many texts out of a file, a text a line, and the file of their vectors: a line of JSON each, in the same order.

The second tells how far the work has come. Each of its lines names its text by hash, and the model and space of its
vector, so that a run which goes on never mixes vectors, nor puts one beside another text.
"""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.answers import Result
from providers import codec


class BulkRefused(Exception):
    """The files do not go together; the message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """How many texts have their vectors already, in so many bytes of the file."""

    texts: int = 0
    size: int = 0


def read(file: pathlib.Path) -> Sequence[str]:
    """The texts of a file, one a line. Raises BulkRefused, OSError or UnicodeDecodeError."""
    lines = file.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    texts = [line.removesuffix("\r") for line in lines]
    for number, text in enumerate(texts, 1):
        if not text:
            raise BulkRefused(f"{file}:{number}: is an empty line; an empty text has no vector. Remove the line.")
    return texts


def done(file: pathlib.Path, texts: Sequence[str], model: str, space: str) -> Done:
    """What an earlier run has written; a last line that it did not finish does not count.

    Raises BulkRefused where the file holds anything else than the vectors of these texts, and OSError.
    """
    count, size = 0, 0
    if not file.exists():
        return Done()
    with file.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                break
            if count == len(texts) or _head(line) != _head_of(count, texts[count], model, space):
                raise BulkRefused(
                    f"{file}:{count + 1}: is not the vector of line {count + 1} by `{model}` in the space {space}. The "
                    "texts or the model have changed, or this is another file: name another --output, or remove it."
                )
            count, size = count + 1, size + len(line)
    return Done(count, size)


def lines(result: Result, texts: Sequence[str], first: int) -> bytes:
    """The lines of the texts from the `first` one on, which the result's vectors are of."""
    made = []
    for index, (text, vector) in enumerate(zip(texts, result.vectors, strict=True), first):
        head = codec.write_json(_head_of(index, text, result.model, result.space))
        made.append(head[:-1] + b',"embedding":' + codec.vector_to_json(vector) + b"}\n")
    return b"".join(made)


def _head_of(index: int, text: str, model: str, space: str) -> dict[str, Any]:
    return {"index": index, "sha256": hashlib.sha256(text.encode()).hexdigest(), "model": model, "space": space}


def _head(line: bytes) -> object:
    """All of a line but the vector; None for what is no such line."""
    try:
        read = codec.parse_json(line)
    except codec.JSONError:
        return None
    if not isinstance(read, dict) or not read.pop("embedding", None):
        return None
    return read
