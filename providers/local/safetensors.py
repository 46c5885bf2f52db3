"""Reads tensors from safetensors files with numpy alone; refuses a file that is not exactly what its header says.

The format: 8 bytes of little-endian header length, that many bytes of JSON, then the tensors' bytes without gaps.
https://huggingface.co/docs/safetensors/index#format
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from providers.codec import JSONError, parse_json
from providers.engine import EngineError

Array = npt.NDArray[Any]

LARGEST_HEADER: Final = 100_000_000  # the reference implementation's own bound

DTYPES: Final = {
    "BOOL": np.dtype("?"),
    "I8": np.dtype("<i1"),
    "U8": np.dtype("<u1"),
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),  # numpy has no bfloat16: `read` widens its bits to float32
    "I32": np.dtype("<i4"),
    "U32": np.dtype("<u4"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "U64": np.dtype("<u8"),
    "F64": np.dtype("<f8"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies in its file; `start` and `stop` count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A file whose header has been checked as a whole. Tensors are read one by one, when asked for."""

    path: Path
    tensors: Mapping[str, Tensor]
    beginning: int

    def read(self, name: str) -> Array:
        """A tensor in its own type, BF16 as float32 (every bfloat16 is one): a window on the file, to be copied."""
        tensor = self.tensors.get(name)
        if tensor is None:
            held = ", ".join(f"`{other}`" for other in sorted(self.tensors)) or "none"
            raise EngineError(f"`{self.path}` has no tensor `{name}`; its tensors: {held}")
        dtype, begin = DTYPES[tensor.dtype], self.beginning + tensor.start
        if tensor.start == tensor.stop:
            return np.empty(tensor.shape, dtype)  # there is no window of no width
        try:
            array: Array = np.memmap(self.path, dtype, "r", begin, tensor.shape)
        except (OSError, ValueError) as error:
            raise EngineError(f"`{self.path}` cannot be read: {error}") from error
        return (array.astype(np.uint32) << 16).view(np.float32) if tensor.dtype == "BF16" else array


def open_tensors(path: Path) -> TensorFile:
    """The file's header, read and checked; raises `EngineError` naming the file and what is wrong with it."""
    try:
        with path.open("rb") as file:
            available = path.stat().st_size - 8
            length = int.from_bytes(file.read(8), "little")
            if available < 0:
                raise EngineError(f"`{path}` is no safetensors file: it is shorter than the 8 bytes of a header length")
            if length > min(available, LARGEST_HEADER):
                raise EngineError(
                    f"`{path}` is cut short or no safetensors file: "
                    f"it announces a header of {length} bytes and holds {available}"
                )
            raw = file.read(length)
    except OSError as error:
        raise EngineError(f"`{path}` cannot be read: {error.strerror}") from error
    try:
        header = parse_json(raw) if raw.startswith(b"{") else None
    except JSONError:
        header = None
    if not isinstance(header, dict):
        raise EngineError(f"`{path}` is no safetensors file: its header is not a JSON object")
    header.pop("__metadata__", None)
    tensors = {name: _tensor(path, name, entry) for name, entry in header.items()}
    _check_cover(path, tensors, available - length)
    return TensorFile(path, tensors, 8 + length)


def _tensor(path: Path, name: str, entry: Any) -> Tensor:
    try:
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = (*shape, start, stop)
        whole = isinstance(dtype, str) and all(type(number) is int and number >= 0 for number in numbers)
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise EngineError(f"`{path}`: tensor `{name}` lacks a dtype, a shape or two data_offsets of whole numbers")
    if dtype not in DTYPES:
        raise EngineError(f"`{path}`: tensor `{name}` has the dtype `{dtype}`; readable are {', '.join(DTYPES)}")
    size = math.prod(shape) * DTYPES[dtype].itemsize
    if stop - start != size:
        raise EngineError(
            f"`{path}`: tensor `{name}` needs {size} bytes for its shape {shape} of {dtype}, "
            f"and its data_offsets are [{start}, {stop}]"
        )
    return Tensor(dtype, tuple(shape), start, stop)


def _check_cover(path: Path, tensors: Mapping[str, Tensor], size: int) -> None:
    """The format's own rule: the tensors fill what follows the header, without gap or overlap."""
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        if tensor.start != end:
            raise EngineError(
                f"`{path}`: tensor `{name}` begins at {tensor.start}, but the one before it ends at {end}"
            )
        end = tensor.stop
        if end > size:
            raise EngineError(
                f"`{path}` is cut short: tensor `{name}` ends at {end} of the {size} bytes after the header"
            )
    if end != size:
        raise EngineError(f"`{path}`: its tensors end at {end} of the {size} bytes after the header")
