import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from providers.engine import EngineError
from providers.local.safetensors import open_tensors

NAMES = {
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int32": "I32",
    "int64": "I64",
    "uint16": "BF16",  # the upper halves of float32 values
}


def write_tensors(path: Path, tensors: dict[str, npt.NDArray[Any]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    body = b""
    for name, tensor in tensors.items():
        raw = tensor.tobytes()
        offsets = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": NAMES[tensor.dtype.name], "shape": tensor.shape, "data_offsets": offsets}
        body += raw
    write_raw(path, header, body)


def write_raw(path: Path, header: object, body: bytes) -> None:
    text = json.dumps(header).encode() + b"  "  # the format allows spaces after the object
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    return (values.view(np.uint32) >> 16).astype(np.uint16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def entry(**changes: object) -> dict[str, object]:
    return {"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int32", "int64"])
def test_reads_a_tensor(path: Path, dtype: str) -> None:
    """A tensor comes back in its own type and shape, whatever lies before it."""
    tensor = np.array([[1, -2, 3], [4, 5, 100]], dtype)
    write_tensors(path, {"odd": np.zeros(3, np.int8), "t": tensor})

    actual = open_tensors(path).read("t")

    assert tensor.dtype == actual.dtype
    np.testing.assert_array_equal(tensor, actual)


def test_reads_bfloat16(path: Path) -> None:
    """A BF16 tensor comes back as float32 with the same values."""
    values = np.array([1.0, -2.5, 0.15625, 3e38], np.float32)
    write_tensors(path, {"t": bfloat16(values)})

    actual = open_tensors(path).read("t")

    np.testing.assert_array_equal((values.view(np.uint32) >> 16 << 16).view(np.float32), actual)


def test_reads_an_empty_tensor(path: Path) -> None:
    """A tensor without elements is read as such."""
    write_tensors(path, {"t": np.zeros((0, 3), np.float32)})

    assert (0, 3) == open_tensors(path).read("t").shape


def test_missing_tensor(path: Path) -> None:
    """A tensor that is not there is an error that names those that are."""
    write_tensors(path, {"b": np.zeros(1, np.int8), "a": np.zeros(1, np.int8)})

    with pytest.raises(EngineError, match=r"model.safetensors` has no tensor `t`; its tensors: `a`, `b`"):
        open_tensors(path).read("t")


def test_missing_file(path: Path) -> None:
    """A missing file is an error that names it."""
    with pytest.raises(EngineError, match=r"model.safetensors` cannot be read: No such file"):
        open_tensors(path)


def test_every_truncation_is_an_error(path: Path) -> None:
    """A file that lost its last bytes is refused, wherever the cut is."""
    write_tensors(path, {"a": np.ones(3, np.float32), "b": np.ones(2, np.int8)})
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(EngineError, match=r"model.safetensors` is (cut short|no safetensors file)"):
            open_tensors(path)


def test_bytes_after_the_last_tensor(path: Path) -> None:
    """Bytes that belong to no tensor are refused."""
    write_raw(path, entry(), bytes(9))

    with pytest.raises(EngineError, match="its tensors end at 8 of the 9 bytes"):
        open_tensors(path)


@pytest.mark.parametrize("length", [0, 1, 30, 10_000, 2**63, 2**64 - 1])
def test_wrong_header_length(path: Path, length: int) -> None:
    """A header length other than the header's is refused, without reserving memory for it."""
    write_raw(path, entry(), bytes(8))
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])

    with pytest.raises(EngineError, match="no safetensors file"):
        open_tensors(path)


@pytest.mark.parametrize("header", [b"[]", b"null", b'"t"', b" {}", b"{", b'{"t": NaN}', b"\xff"])
def test_header_that_is_no_object(path: Path, header: bytes) -> None:
    """A header that is not a JSON object from its first byte is refused."""
    path.write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(EngineError, match="its header is not a JSON object"):
        open_tensors(path)


def test_unknown_dtype(path: Path) -> None:
    """A dtype that cannot be read is an error that lists the readable ones."""
    write_raw(path, entry(dtype="F8_E4M3"), bytes(8))

    with pytest.raises(EngineError, match=r"tensor `t` has the dtype `F8_E4M3`; readable are .*BF16.*"):
        open_tensors(path)


@pytest.mark.parametrize(
    "change",
    [
        {"data_offsets": [0]},
        {"data_offsets": [0, 8, 8]},
        {"data_offsets": [0, 8.0]},
        {"data_offsets": [-8, 0]},
        {"data_offsets": None},
        {"shape": [-2]},
        {"shape": [True, 2]},
        {"shape": "22"},
        {"shape": None},
    ],
)
def test_malformed_entry(path: Path, change: dict[str, object]) -> None:
    """A tensor is described by whole numbers, none of them negative."""
    write_raw(path, entry(**change), bytes(8))

    with pytest.raises(EngineError, match="tensor `t` lacks a dtype, a shape or two data_offsets of whole numbers"):
        open_tensors(path)


@pytest.mark.parametrize("described", [[], "F32", 1, {}, {"dtype": "F32"}])
def test_entry_of_another_kind(path: Path, described: object) -> None:
    """A tensor's description is an object with all its fields."""
    write_raw(path, {"t": described}, b"")

    with pytest.raises(EngineError, match="tensor `t` lacks"):
        open_tensors(path)


@pytest.mark.parametrize("dtype", [None, 1, ["F32"], {}])
def test_dtype_of_another_kind(path: Path, dtype: object) -> None:
    """A dtype is a text."""
    write_raw(path, entry(dtype=dtype), bytes(8))

    with pytest.raises(EngineError, match="tensor `t` lacks"):
        open_tensors(path)


@pytest.mark.parametrize(
    "change", [{"shape": [3]}, {"shape": [2**40, 2**40]}, {"dtype": "F64"}, {"data_offsets": [8, 0]}]
)
def test_shape_and_offsets_disagree(path: Path, change: dict[str, object]) -> None:
    """A shape that needs other than the announced bytes is refused."""
    write_raw(path, entry(**change), bytes(8))

    with pytest.raises(EngineError, match=r"tensor `t` needs \d+ bytes for its shape"):
        open_tensors(path)


def test_offset_outside_the_file(path: Path) -> None:
    """A tensor that ends after the file does is refused."""
    write_raw(path, entry(shape=[100], data_offsets=[0, 400]), bytes(8))

    with pytest.raises(EngineError, match="tensor `t` ends at 400 of the 8 bytes"):
        open_tensors(path)


@pytest.mark.parametrize("start", [0, 4, 12])
def test_gap_and_overlap(path: Path, start: int) -> None:
    """Tensors lie side by side: bytes between them, or shared by them, are refused."""
    second = {"dtype": "F32", "shape": [2], "data_offsets": [start, start + 8]}
    write_raw(path, entry() | {"u": second}, bytes(20))

    with pytest.raises(EngineError, match=rf"begins at {start}, but the one before it ends at 8"):
        open_tensors(path)
