"""What a transformer's folder says of how its vectors are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from providers.engine import EngineError
from providers.local.folder import Recipe, read_input_tokens, read_padding_token, read_recipe
from tests.fakes.transformer import NORMALIZE, POOLING, TRANSFORMER, write_json

NEW = "sentence_transformers.sentence_transformer.modules"


def written(folder: Path, modules: object = None, pooling: object = None, **jsons: object) -> Path:
    write_json(folder, "modules", [TRANSFORMER, POOLING] if modules is None else modules)
    write_json(folder, "1_Pooling/config", {"pooling_mode": "mean"} if pooling is None else pooling)
    for name, value in jsons.items():
        write_json(folder, name, value)
    return folder


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "lasttoken", "embedding_dimension": 8, "include_prompt": True}, "lasttoken"),
        ({"pooling_mode": ["cls"]}, "cls"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"word_embedding_dimension": 384, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
    ],
    ids=str,
)
def test_pooling(tmp_path: Path, config: object, expected: Any) -> None:
    """The pooling is what the folder of the second module says, in the new words or the old ones."""
    assert Recipe(expected, unit=False) == read_recipe(written(tmp_path, pooling=config))


@pytest.mark.parametrize(
    "normalize", [NORMALIZE, {**NORMALIZE, "type": f"{NEW}.normalize.Normalize"}], ids=["old name", "new name"]
)
def test_unit_length(tmp_path: Path, normalize: object) -> None:
    """Vectors are of unit length where a third module makes them so."""
    assert Recipe("mean", unit=True) == read_recipe(written(tmp_path, [TRANSFORMER, POOLING, normalize]))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "names no pooling. Give it a `pooling_mode`"),
        ({"pooling_mode_mean_tokens": False}, "names no pooling"),
        ({"pooling_mode": []}, "names no pooling"),
        ({"pooling_mode": "max"}, "the pooling `max` cannot be computed here"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, "the pooling `cls . mean` cannot be"),
        ({"pooling_mode": "mean", "include_prompt": False}, "`include_prompt: false` leaves the prompt"),
        ([], "must be a JSON object"),
    ],
    ids=str,
)
def test_other_pooling(tmp_path: Path, config: object, said: str) -> None:
    """A pooling that nobody tells, or that cannot be computed, is an error that names the file, and never guessed."""
    with pytest.raises(EngineError, match=rf"1_Pooling/config.json`:? {said}"):
        read_recipe(written(tmp_path, pooling=config))


DENSE = {**NORMALIZE, "type": "sentence_transformers.models.Dense"}


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        ([TRANSFORMER, POOLING, DENSE], "Dense"),
        ([TRANSFORMER, POOLING, NORMALIZE, DENSE], "Dense"),
        ([POOLING], "Pooling"),
        ([TRANSFORMER, NORMALIZE], "Normalize"),
        ([TRANSFORMER, {**POOLING, "type": "mine.Pooling"}], "mine.Pooling"),
    ],
    ids=str,
)
def test_other_modules(tmp_path: Path, modules: object, named: str) -> None:
    """A module that would not be computed is an error that names it, never left out."""
    with pytest.raises(EngineError, match=rf"modules.json` has a module `[a-z_.]*{named}`"):
        read_recipe(written(tmp_path, modules))


def test_no_modules(tmp_path: Path) -> None:
    """A folder without a list of modules is refused, and the error says what to write."""
    with pytest.raises(EngineError, match=r"modules.json` is missing, .* `pooling_mode`"):
        read_recipe(tmp_path)


def test_no_pooling(tmp_path: Path) -> None:
    """A model whose modules do not pool is refused."""
    with pytest.raises(EngineError, match="lists no Pooling"):
        read_recipe(written(tmp_path, [TRANSFORMER]))


@pytest.mark.parametrize(
    ("bert", "tokenizer", "config", "expected"),
    [
        ({"max_seq_length": 256}, {"model_max_length": 512}, {}, 256),
        ({"max_seq_length": 8192}, {"model_max_length": 512}, {}, 8192),
        ({"max_seq_length": None}, {"model_max_length": 512}, {}, 512),
        (None, {"model_max_length": 512}, None, 512),
        ({}, {"model_max_length": 512}, {"max_position_embeddings": 514}, 512),
        ({"max_seq_length": 512}, {}, {"max_position_embeddings": 128}, 128),
        ({"max_seq_length": 512}, {}, {"max_position_embeddings": -1}, 512),
        ({"max_seq_length": 512}, {"model_max_length": int(1e18)}, {}, 512),
    ],
    ids=str,
)
def test_input_tokens(tmp_path: Path, bert: object, tokenizer: object, config: object, expected: int) -> None:
    """The longest text is what the model's own file says, else its tokenizer's, and never beyond its positions."""
    files = {"sentence_bert_config": bert, "tokenizer_config": tokenizer, "config": config}
    written(tmp_path, **{name: value for name, value in files.items() if value is not None})

    assert expected == read_input_tokens(tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer_config": {"model_max_length": 10**30 // 10**12}},
        {"sentence_bert_config": {"max_seq_length": 0}},
        {"sentence_bert_config": {"max_seq_length": True}},
        {"config": {"max_position_embeddings": 514}},
    ],
    ids=str,
)
def test_unknown_input_tokens(tmp_path: Path, files: dict[str, object]) -> None:
    """Where nothing says how long a text may be, the error says where to say it."""
    with pytest.raises(EngineError, match=r"Give `max_seq_length` in its sentence_bert_config.json"):
        read_input_tokens(written(tmp_path, **files))


def test_lower_case(tmp_path: Path) -> None:
    """A model that wants its texts in lower case before the tokenizer sees them is refused."""
    with pytest.raises(EngineError, match="do_lower_case"):
        read_input_tokens(written(tmp_path, sentence_bert_config={"max_seq_length": 8, "do_lower_case": True}))


@pytest.mark.parametrize(
    ("config", "expected"),
    [({"pad_token": "<pad>"}, "<pad>"), ({"pad_token": {"content": "<pad>"}}, "<pad>"), ({"pad_token": None}, None)],
    ids=str,
)
def test_padding_token(tmp_path: Path, config: object, expected: str | None) -> None:
    """The token for padding is the tokenizer's, in either form."""
    assert expected == read_padding_token(written(tmp_path, tokenizer_config=config))
