"""What is right in a routing file, but should be known."""

from __future__ import annotations

import pathlib

import pytest

from gateway.config import Config
from gateway.loading import load

CUTS = "models.m.targets[0]: infinity cuts a text that is too long without a word, and cannot be told not to; "
PERHAPS = "models.m.targets[0]: openai is not known to refuse a text that is too long, and may cut it without a word; "
NO_LIMIT = "no limit is known that could be kept here: set the model's `limits.input_tokens`"
ESTIMATED = (
    "texts of more than 6144 tokens by an estimate are refused here, to stay below its 8192. "
    "`tokenizer`, the model's own tokenizer.json, makes that exact"
)
NO_UNIT = (
    "models.m: its vectors are not of unit length, so that their dot products are no cosines; "
    "`normalize: true` makes them so, and `unit_length: true` says that they are"
)
INFINITY = "dimensions: {native: 8}, targets: [{provider: infinity, base_url: 'http://h', model: bge}]"
OPENAI = "dimensions: {native: 8}, targets: [{provider: openai, base_url: 'http://h', model: bge}]"
LIMIT = "limits: {input_tokens: 8192}"


def loaded(folder: pathlib.Path, model: str) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(f"models: {{m: {{{model}}}}}\n")
    return load(file, {})


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (INFINITY, [CUTS + NO_LIMIT]),
        (f"{INFINITY}, {LIMIT}", [CUTS + ESTIMATED]),
        (f"{INFINITY}, {LIMIT}, tokenizer: o200k_base", [CUTS + ESTIMATED]),
        (f"{INFINITY}, {LIMIT}, tokenizer: cl100k_base", []),
        (f"{INFINITY}, {LIMIT}, tokenizer: bge/tokenizer.json", []),
        (f"{INFINITY}, tokenizer: bge/tokenizer.json", [CUTS + NO_LIMIT]),
        (OPENAI, [PERHAPS + NO_LIMIT]),
        (f"{OPENAI}, {LIMIT}", [PERHAPS + ESTIMATED]),
        ("targets: [{provider: openai, model: text-embedding-3-small}]", []),
        ("targets: [{provider: openrouter, model: openai/text-embedding-3-small}]", []),
        ("targets: [{provider: cohere, model: embed-v4.0}]", []),
        ("targets: [{provider: static, path: wordllama}]", [NO_UNIT]),
        ("targets: [{provider: static, path: wordllama}], normalize: true", []),
        ("targets: [{provider: static, path: wordllama}], unit_length: true", []),
    ],
)
def test_warnings(tmp_path: pathlib.Path, model: str, expected: list[str]) -> None:
    """A text that could be cut without a word is warned of, unless exact counts refuse it, and so are odd lengths."""
    file = tmp_path / "gateway.yaml"

    assert [f"{file}:1: {warning}" for warning in expected] == list(loaded(tmp_path, model).warnings)


def test_every_target(tmp_path: pathlib.Path) -> None:
    """Each target that could cut is warned of by itself."""
    targets = "[{provider: ollama, model: a}, {provider: nomic, model: b}, {provider: gemini, model: c}]"
    found = loaded(tmp_path, f"space: s, dimensions: {{native: 8}}, targets: {targets}").warnings

    assert ["targets[1]", "targets[2]"] == [warning.partition("models.m.")[2].partition(":")[0] for warning in found]
