"""fastembed over folders that are there already: it has no network, and needs none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from providers.base import Fault, FaultKind
from providers.codec import matrix
from providers.engine import EngineError, LocalModel, Transformer
from providers.local.fastembed import FASTEMBED, load
from tests.fakes.transformer import HIDDEN, LONGEST, TinyBert, write_json

TOLERANCE = 1e-5
TEXTS = ["the cat sat on the mat", "a dog", "dogs and cats " * 6]


@pytest.fixture(scope="module")
def bert() -> TinyBert:
    return TinyBert()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def difference(engine: Transformer, bert: TinyBert, pooling: str = "mean", *, unit: bool = True) -> float:
    expected = [bert.vector(text, pooling, unit=unit) for text in TEXTS]
    return float(np.abs(matrix(engine.forward(TEXTS)) - np.array(expected)).max())


@pytest.mark.parametrize("unit", [True, False], ids=["unit length", "as they are"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_vectors(bert: TinyBert, tmp_path: Path, pooling: str, unit: bool) -> None:
    """A model that fastembed does not know is pooled as its folder says."""
    engine = load(LocalModel(str(bert.write(tmp_path, pooling=pooling, unit=unit)), "mine"))

    assert difference(engine, bert, pooling, unit=unit) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "file", "pooling", "unit"),
    [
        ("BAAI/bge-large-en-v1.5", "model.onnx", "cls", True),
        ("thenlper/GTE-base", "onnx/model.onnx", "mean", True),
        ("nomic-ai/nomic-embed-text-v1.5", "onnx/model.onnx", "mean", False),
    ],
)
def test_known_name(bert: TinyBert, tmp_path: Path, name: str, file: str, pooling: str, unit: bool) -> None:
    """A model that fastembed knows by its name is pooled as fastembed says, whose folder need not say it."""
    engine = load(LocalModel(str(bert.write(tmp_path, pooling=None, file=file)), name))

    assert difference(engine, bert, pooling, unit=unit) < TOLERANCE
    assert 512 == engine.input_tokens


def test_twice(bert: TinyBert, tmp_path: Path) -> None:
    """A folder can be loaded again after it changed."""
    load(LocalModel(str(bert.write(tmp_path, pooling="mean"))))
    engine = load(LocalModel(str(bert.write(tmp_path, pooling="cls"))))

    assert difference(engine, bert, "cls") < TOLERANCE


def test_facts(bert: TinyBert, tmp_path: Path) -> None:
    """Its facts are those of its files, and nothing is put among them."""
    bert.write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    engine = load(LocalModel(str(tmp_path)))

    assert (HIDDEN, LONGEST, 64) == (engine.dimensions, engine.input_tokens, engine.forward_texts)
    assert (str(tmp_path / "tokenizer.json"), before) == (engine.tokenizer, sorted(tmp_path.rglob("*")))


def test_longest(bert: TinyBert, tmp_path: Path) -> None:
    """The longest text that is not refused is embedded whole, whatever tokenizer.json would cut; longer ones are."""
    engine = load(LocalModel(str(bert.write(tmp_path))))
    text = "cat " * (LONGEST - 3) + "dog"
    fault = engine.lengths([text, text + " dog"])

    assert np.abs(matrix(engine.forward([text])) - bert.vector(text)).max() < TOLERANCE
    assert isinstance(fault, Fault)
    assert (FaultKind.REJECTED, 1) == (fault.kind, fault.item)


def test_unknown_pooling(bert: TinyBert, tmp_path: Path) -> None:
    """A model whose pooling neither fastembed nor its folder knows is refused."""
    with pytest.raises(EngineError, match=r"modules.json` is missing"):
        load(LocalModel(str(bert.write(tmp_path, pooling=None)), "mine"))


def test_no_folder(tmp_path: Path) -> None:
    """A path that is no folder is an error, and no reason to download anything."""
    with pytest.raises(EngineError, match="is no folder"):
        load(LocalModel(str(tmp_path / "nothing"), "BAAI/bge-small-en-v1.5"))


def test_no_model(bert: TinyBert, tmp_path: Path) -> None:
    """A folder without what fastembed needs is an error that names it, with fastembed's reason."""
    bert.write(tmp_path)
    write_json(tmp_path, "tokenizer_config", {"pad_token": "[PAD]"})

    with pytest.raises(EngineError, match=r"fastembed` can load: Could not determine the maximum context length"):
        load(LocalModel(str(tmp_path)))


def test_other_kind(bert: TinyBert, tmp_path: Path) -> None:
    """A kind of fastembed's models that chooses a task on its own is refused."""
    with pytest.raises(EngineError, match="of the kind `JinaEmbeddingV3` cannot be used here"):
        load(LocalModel(str(bert.write(tmp_path, file="onnx/model.onnx")), "jinaai/jina-embeddings-v3"))


def test_other_first_output(bert: TinyBert, tmp_path: Path) -> None:
    """A graph whose first output is not the vectors of tokens is refused: fastembed would take it for them."""
    graph = bert.graph()
    graph.graph.node.append(helper.make_node("Identity", ["last_hidden_state"], ["logits"]))
    value = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["texts", "longest", HIDDEN])
    graph.graph.output.insert(0, value)
    onnx.save(graph, bert.write(tmp_path) / "model.onnx")

    with pytest.raises(EngineError, match=r"The first output of the model in .* is `logits`"):
        load(LocalModel(str(tmp_path)))


def test_provider() -> None:
    """The routing file calls these engines `fastembed`, and their names matter."""
    assert ("fastembed", True, True) == (FASTEMBED.name, FASTEMBED.batches, FASTEMBED.reads_name)
