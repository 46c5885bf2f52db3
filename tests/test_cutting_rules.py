"""What is too long is cut only where it is known where to cut, and averaged only where a mean is sound."""

from __future__ import annotations

import pathlib

import pytest

from gateway import loading
from gateway.config import ConfigError

KNOWN = "tokenizer: cl100k_base, limits: {input_tokens: 8}"
TOKENIZER = "the model's own `tokenizer`, cl100k_base or a tokenizer.json that is there"
UNIT = "vectors of unit length (`normalize: true`)"


def problems(tmp_path: pathlib.Path, fields: str) -> list[str]:
    """What is wrong with a model of these fields."""
    (tmp_path / "tokenizer.json").write_text("{}")
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"models: {{m: {{dimensions: {{native: 4}}, {fields}, targets: [{{provider: vllm, base_url: 'http://h'}}]}}}}"
    )
    try:
        loading.load(file, {})
    except ConfigError as error:
        return [problem.message for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (f"too_long: truncate, {KNOWN}", []),
        (f"too_long: average, normalize: true, {KNOWN}", []),
        ("too_long: truncate, tokenizer: tokenizer.json, limits: {input_tokens: 8}", []),
        ("too_long: error", []),
        ("too_long: truncate, tokenizer: cl100k_base", ["`truncate` needs `limits.input_tokens`"]),
        ("too_long: truncate, limits: {input_tokens: 8}", [f"`truncate` needs {TOKENIZER}"]),
        ("too_long: truncate, tokenizer: o200k_base, limits: {input_tokens: 8}", [f"`truncate` needs {TOKENIZER}"]),
        ("too_long: truncate, tokenizer: not.json, limits: {input_tokens: 8}", [f"`truncate` needs {TOKENIZER}"]),
        (f"too_long: average, {KNOWN}", [f"`average` needs {UNIT}"]),
        ("too_long: average", [f"`average` needs `limits.input_tokens`, and {TOKENIZER}, and {UNIT}"]),
    ],
)
def test_too_long(tmp_path: pathlib.Path, fields: str, expected: list[str]) -> None:
    """Cutting needs a limit and the model's own tokenizer; averaging unit vectors as well. All is said at once."""
    assert expected == problems(tmp_path, fields)


def test_of_the_catalogue(tmp_path: pathlib.Path) -> None:
    """What the catalogue knows of a model is known."""
    file = tmp_path / "gateway.yaml"
    file.write_text("models: {text-embedding-3-small: {too_long: truncate, targets: [{provider: openai, api_key: k}]}}")
    (model,) = loading.load(file, {}).models

    assert "truncate" == model.too_long
