"""What the upstream says: the same vectors of 1536 dimensions in each form that upstreams have.

`b` is base64 as OpenAI answers it, `f` floats without blanks, `p` floats pretty-printed as OpenAI's real answers are.
"""

from __future__ import annotations

import base64
import json
import pathlib
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import orjson

Form = Literal["b", "f", "p"]
Vectors = npt.NDArray[np.float32]

DIMENSIONS: Final = 1536
NAMES: Final = ("b1", "f1", "p1", "b50", "b100", "f100", "p100")


def _vectors() -> Vectors:
    drawn = np.random.default_rng(7).standard_normal((100, DIMENSIONS))
    vectors: Vectors = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype("<f4")
    return vectors


VECTORS: Final = _vectors()
TOKENS: Final = 11
"""Of each text that the loads send, as OpenAI counts: an estimate that turns out to be right costs less."""


def answer(name: str) -> bytes:
    """The body of `b100`, say."""
    form, count = name[0], int(name[1:])
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.tobytes()).decode() if form == "b" else _floats(vector),
        }
        for index, vector in enumerate(VECTORS[:count])
    ]
    whole = {
        "object": "list",
        "data": data,
        "model": "text-embedding-3-small",
        "usage": {"prompt_tokens": TOKENS * count, "total_tokens": TOKENS * count},
    }
    if form == "p":
        return json.dumps(whole, indent=2).encode()
    return json.dumps(whole, separators=(",", ":")).encode()


def _floats(vector: Vectors) -> list[float]:
    """The shortest that read as the same float32."""
    found: list[float] = orjson.loads(orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY))
    return found


def write(folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.json").write_bytes(answer(name))


def read(body: bytes) -> Vectors:
    """The vectors of an answer, in the order of their indexes, each index there once."""
    data = sorted(orjson.loads(body)["data"], key=lambda item: item["index"])
    if [item["index"] for item in data] != list(range(len(data))):
        raise ValueError("the indexes of the answer are wrong")
    rows = [item["embedding"] for item in data]
    return np.array(
        [np.frombuffer(base64.b64decode(row), "<f4") if isinstance(row, str) else np.array(row, "<f4") for row in rows]
    )
