"""Models that sentence-transformers computes, which needs torch: where that is not installed, the summary says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from providers.base import Fault, FaultKind
from providers.codec import matrix
from providers.engine import EngineError, LocalModel, Transformer
from providers.local.sentence_transformers import SENTENCE_TRANSFORMERS, load
from tests.fakes.transformer import LONGEST, NORMALIZE, POOLING, TRANSFORMER, VOCABULARY, tokenizer, write_json

pytest.importorskip("sentence_transformers", reason="the extra `sentence-transformers` (with torch) is not installed")

TEXTS = ["the cat sat on the mat", "a dog", "dogs and cats " * 6]


@pytest.fixture(scope="module")
def model() -> Any:
    """A BERT of two layers with random weights."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
    )
    return transformers.BertModel(config).eval()


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path)
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    write_json(
        tmp_path,
        "tokenizer_config",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": LONGEST, "pad_token": "[PAD]"},
    )
    write_json(tmp_path, "modules", [TRANSFORMER, POOLING, NORMALIZE])
    write_json(tmp_path, "1_Pooling/config", {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True})
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    write_json(tmp_path, "config_sentence_transformers", prompts)
    return tmp_path


@pytest.fixture
def engine(folder: Path) -> Transformer:
    return load(LocalModel(str(folder)))


def expected(model: Any, text: str) -> Any:
    """The mean of the model's vectors for one text alone, made unit length."""
    import torch

    reader = tokenizer()
    reader.no_truncation()
    reader.no_padding()
    with torch.inference_mode():
        tokens = model(torch.tensor([reader.encode(text).ids])).last_hidden_state[0].numpy()
    vector = tokens.mean(axis=0)
    return vector / np.linalg.norm(vector)


def test_vectors(engine: Transformer, model: Any) -> None:
    """The vectors are the model's own, within 1e-5, without the prompt that the folder would put before a text."""
    vectors = matrix(engine.forward(TEXTS))

    assert 0 == np.abs(vectors - [expected(model, text) for text in TEXTS]).max().round(5)


def test_facts(engine: Transformer, folder: Path) -> None:
    """How long its vectors and its texts are is the folder's word."""
    facts = (engine.dimensions, engine.input_tokens, engine.tokenizer)

    assert (16, LONGEST, str(folder / "tokenizer.json")) == facts


def test_lengths(engine: Transformer) -> None:
    """A text's length is its tokens, special ones included; one that would be cut is refused."""
    too_long = engine.lengths(["a dog", "cat " * (LONGEST - 1)])

    assert [4, LONGEST] == engine.lengths(["a dog", "cat " * (LONGEST - 2)])
    assert isinstance(too_long, Fault)
    assert (FaultKind.REJECTED, 1) == (too_long.kind, too_long.item)


def test_cut_by_another_setting(folder: Path) -> None:
    """A folder that makes the library cut texts before the model's limit is refused."""
    write_json(folder, "sentence_bert_config", {"processing_kwargs": {"text": {"max_length": 10, "truncation": True}}})

    with pytest.raises(EngineError, match="reads 10 tokens of a text that has 48"):
        load(LocalModel(str(folder)))


def test_not_a_model(tmp_path: Path) -> None:
    """A folder without a model is an error that names it."""
    with pytest.raises(EngineError, match=str(tmp_path)):
        load(LocalModel(str(tmp_path)))


def test_provider() -> None:
    """The routing file calls these engines `sentence-transformers`."""
    assert ("sentence-transformers", True) == (SENTENCE_TRANSFORMERS.name, SENTENCE_TRANSFORMERS.batches)
