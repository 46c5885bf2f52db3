"""Transformers in ONNX's form, against the same graph computed in numpy.

Vectors agree within 1e-5, of unit length or not: float32 sums of a few hundred values, added up in another order.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from providers.base import Fault, FaultKind
from providers.codec import matrix
from providers.engine import EngineError, LocalModel, Transformer
from providers.local.onnx import ONNX, load
from tests.fakes.transformer import HIDDEN, LONGEST, TinyBert, tokenizer, write_json

TOLERANCE = 1e-5
TEXTS = ["the cat sat on the mat", "a dog", "dogs and cats " * 6, "x", "1 cat"]


@pytest.fixture(scope="module")
def bert() -> TinyBert:
    return TinyBert()


@pytest.fixture(scope="module")
def folder(bert: TinyBert, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert.write(tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Transformer:
    return load(LocalModel(str(folder)))


def difference(engine: Transformer, texts: Sequence[str], expected: Sequence[Any]) -> float:
    return float(np.abs(matrix(engine.forward(texts)) - np.array(expected)).max())


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("unit", [True, False], ids=["unit length", "as they are"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_vectors(bert: TinyBert, tmp_path: Path, pooling: str, unit: bool) -> None:
    """The vectors are those of the graph and of the pooling that the folder names."""
    engine = load(LocalModel(str(bert.write(tmp_path, pooling=pooling, unit=unit))))
    expected = [bert.vector(text, pooling, unit=unit) for text in TEXTS]

    assert difference(engine, TEXTS, expected) < TOLERANCE


words = st.sampled_from(["the", "cat", "cats", "dog", "sat", "xyz", "\U0001f600", "1"])
sentences = st.lists(words, min_size=1, max_size=12).map(lambda some: " ".join(["a", *some]))


@given(st.lists(sentences, min_size=1, max_size=9))
@settings(max_examples=40)
def test_neighbours(engine: Transformer, bert: TinyBert, texts: list[str]) -> None:
    """Whatever else is in a forward pass, a text's vector is its own."""
    assert difference(engine, texts, [bert.vector(text) for text in texts]) < TOLERANCE


def test_subfolder(bert: TinyBert, tmp_path: Path) -> None:
    """The model may be in the subfolder `onnx`."""
    engine = load(LocalModel(str(bert.write(tmp_path, file="onnx/model.onnx"))))

    assert difference(engine, TEXTS, [bert.vector(text) for text in TEXTS]) < TOLERANCE


def test_threads(bert: TinyBert, folder: Path) -> None:
    """How many threads compute changes nothing."""
    engine = load(LocalModel(str(folder), threads=1))

    assert difference(engine, TEXTS, [bert.vector(text) for text in TEXTS]) < TOLERANCE


def test_vectors_of_texts(bert: TinyBert, tmp_path: Path) -> None:
    """A graph that makes the vectors of texts itself needs no list of modules; its vectors are left as they are."""
    graph = bert.graph()
    graph.graph.node.append(
        helper.make_node("ReduceMax", ["last_hidden_state"], ["sentence_embedding"], axes=[1], keepdims=0)
    )
    graph.graph.output.append(
        helper.make_tensor_value_info("sentence_embedding", onnx.TensorProto.FLOAT, ["texts", HIDDEN])
    )
    onnx.save(graph, bert.write(tmp_path, pooling=None) / "model.onnx")
    reader = tokenizer()
    reader.no_truncation()
    reader.no_padding()
    expected = [bert._tokens(reader.encode(text).ids).max(axis=0) for text in TEXTS]
    alone = [load(LocalModel(str(tmp_path))).forward([text])[0] for text in TEXTS]

    assert np.abs(matrix(alone) - np.array(expected)).max() < TOLERANCE


# ── facts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_facts(engine: Transformer, folder: Path) -> None:
    """Lengths of vectors and texts come from the model's own files, whose tokenizer is known by its path."""
    facts = (engine.dimensions, engine.input_tokens, engine.forward_texts, engine.tokenizer)

    assert (HIDDEN, LONGEST, 64, str(folder / "tokenizer.json")) == facts


def test_lengths(engine: Transformer) -> None:
    """Texts up to the limit are counted, longer ones refused."""
    fault = engine.lengths(["a", "cat " * (LONGEST - 1)])

    assert [3, LONGEST] == engine.lengths(["a", "cat " * (LONGEST - 2)])
    assert isinstance(fault, Fault)
    assert (FaultKind.REJECTED, 1) == (fault.kind, fault.item)


def test_longest(engine: Transformer, bert: TinyBert) -> None:
    """The longest text that is not refused is embedded whole."""
    text = "cat " * (LONGEST - 3) + "dog"

    assert difference(engine, [text], [bert.vector(text)]) < TOLERANCE


def test_quantised_while_it_runs(bert: TinyBert, tmp_path: Path) -> None:
    """A model whose vectors depend on what else is in the pass reads one text at a time."""
    graph = bert.graph()
    graph.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["words"], ["a", "b", "c"]))
    onnx.save(graph, bert.write(tmp_path) / "model.onnx")

    assert 1 == load(LocalModel(str(tmp_path))).forward_texts


def test_provider() -> None:
    """The routing file calls these engines `onnx`."""
    assert ("onnx", True, frozenset()) == (ONNX.name, ONNX.batches, ONNX.built_in)


# ── what cannot be loaded ─────────────────────────────────────────────────────────────────────────────────────────


def refused(folder: Path, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        load(LocalModel(str(folder)))


def test_no_folder(tmp_path: Path) -> None:
    """A path that is no model's folder is an error that says what was looked for."""
    refused(tmp_path / "nothing", r"nothing` has neither `model.onnx` nor `onnx/model.onnx`")


def test_no_model(bert: TinyBert, tmp_path: Path) -> None:
    """A file that is no model is an error that names it."""
    (bert.write(tmp_path) / "model.onnx").write_bytes(b"no model")

    refused(tmp_path, r"model.onnx` is no model that the installed `onnxruntime` can load")


@pytest.mark.parametrize("name", ["tokenizer.json", "modules.json", "1_Pooling/config.json"])
def test_missing_file(bert: TinyBert, tmp_path: Path, name: str) -> None:
    """A missing file is an error that names it."""
    (bert.write(tmp_path) / name).unlink()

    refused(tmp_path, name)


def test_no_padding_token(bert: TinyBert, tmp_path: Path) -> None:
    """A model whose padding nobody names is refused: some count positions by it."""
    bert.write(tmp_path)
    reader = tokenizer()
    reader.no_padding()
    reader.save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path, "tokenizer_config", {})

    refused(tmp_path, "names no `pad_token`")


def test_padding_token(bert: TinyBert, tmp_path: Path) -> None:
    """Where tokenizer.json does not pad, tokenizer_config.json names the token for it."""
    bert.write(tmp_path)
    reader = tokenizer()
    reader.no_padding()
    reader.save(str(tmp_path / "tokenizer.json"))

    assert difference(load(LocalModel(str(tmp_path))), TEXTS, [bert.vector(text) for text in TEXTS]) < TOLERANCE


def test_unknown_output(bert: TinyBert, tmp_path: Path) -> None:
    """A graph whose outputs have other names is refused: nothing says which are its vectors."""
    onnx.save(bert.graph(output="logits"), bert.write(tmp_path) / "model.onnx")

    refused(tmp_path, "has the outputs `logits`, and none of `sentence_embedding`, `last_hidden_state`")


@pytest.mark.parametrize("strange", ["past_key_values", "task_id"])
def test_unknown_input(bert: TinyBert, tmp_path: Path, strange: str) -> None:
    """A graph that reads anything else is refused."""
    graph = bert.graph()
    graph.graph.input.append(helper.make_tensor_value_info(strange, onnx.TensorProto.INT64, [1]))
    onnx.save(graph, bert.write(tmp_path) / "model.onnx")

    refused(tmp_path, f"reads `{strange}`; only models that read `input_ids`")


@pytest.mark.parametrize(
    ("module", "package"),
    [("onnx", "onnxruntime"), ("fastembed", "fastembed"), ("sentence_transformers", "sentence_transformers")],
)
def test_without_the_extra(folder: Path, module: str, package: str) -> None:
    """Without its library an engine can be imported; loading a model says which extra to install."""
    code = f"""
import sys
sys.modules["{package}"] = None
from providers.engine import EngineError, LocalModel
from providers.local import {module}
try:
    {module}.load(LocalModel({str(folder)!r}))
except EngineError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout

    assert f'pip install -e ".[{module.replace("_", "-")}]"' in said
