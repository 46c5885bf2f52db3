"""What a transformer's folder says of how its vectors are made: pooling, length, longest text. It guesses nothing.

The files are those that sentence-transformers writes and most models on the Hugging Face Hub have:
https://sbert.net/docs/sentence_transformer/usage/custom_models.html

The prompts of `config_sentence_transformers.json` are left alone: the route's `prompts` say what is put around a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from providers.codec import JSONError, parse_json
from providers.engine import EngineError

Pooling = Literal["mean", "cls", "lasttoken"]

POOLINGS: Final[Mapping[str, Pooling]] = {"mean": "mean", "cls": "cls", "lasttoken": "lasttoken"}
OLD_POOLINGS: Final = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How versions before 5.3 say it: several may be true, and their vectors are joined."""

NO_LIMIT: Final = 10**6
"""A `model_max_length` beyond it stands for an unknown one: transformers then writes 1e30."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the vectors of tokens become the vector of a text; `unit` is whether that is made unit length."""

    pooling: Pooling
    unit: bool


def read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise EngineError(f"`{path}` cannot be read: {error.strerror}") from error
    except JSONError as error:
        raise EngineError(f"`{path}` is not JSON: {error}") from error


def read_modules(path: Path) -> list[tuple[str, Path]]:
    """The class and the folder of each module that a text passes; at least one."""
    listed = read_json(path)
    try:
        modules = [(str(module["type"]), path.parent / module["path"]) for module in listed]
    except (KeyError, TypeError):
        modules = []
    if not modules:
        raise EngineError(f"`{path}` is no list of modules, each with a `type` and a `path`")
    return modules


def class_name(kind: str) -> str | None:
    """A module's class; None where it is none of sentence-transformers' own, whose name may stand for anything."""
    package, _, name = kind.rpartition(".")
    return name if package.startswith("sentence_transformers.") else None


def read_recipe(folder: Path) -> Recipe:
    path = folder / "modules.json"
    if not path.exists():
        raise EngineError(
            f"`{path}` is missing, so nothing says how this model's vectors are pooled, nor whether they are of unit "
            "length. Take it and `1_Pooling/config.json` from the model's original repository, or write them as its "
            'documentation says: `modules.json` lists the types "sentence_transformers.models.Transformer" (path ""), '
            '"sentence_transformers.models.Pooling" (path "1_Pooling") and, for unit length, '
            '"sentence_transformers.models.Normalize" (path "2_Normalize"); the other holds `pooling_mode`'
        )
    modules = read_modules(path)
    for (kind, _), wanted in zip(modules, ("Transformer", "Pooling", "Normalize", None), strict=False):
        if wanted is None or class_name(kind) != wanted:
            raise EngineError(
                f"`{path}` has a module `{kind}`: only a Transformer and a Pooling, alone or with a Normalize after "
                "them, can be computed here. `provider: sentence-transformers` computes others"
            )
    if len(modules) < 2:
        raise EngineError(f"`{path}` lists no Pooling, so nothing says how this model's vectors are pooled")
    return Recipe(_pooling(modules[1][1] / "config.json"), unit=len(modules) == 3)


def _pooling(path: Path) -> Pooling:
    config = _read_object(path)
    if config.get("include_prompt", True) is not True:
        raise EngineError(
            f"`{path}`: `include_prompt: false` leaves the prompt out of the pooling, which cannot be done here"
        )
    given = config.get("pooling_mode", [mode for key, mode in OLD_POOLINGS.items() if config.get(key)])
    modes = [given] if isinstance(given, str) else list(given)
    if not modes:
        raise EngineError(f'`{path}` names no pooling. Give it a `pooling_mode`: "mean", "cls" or "lasttoken"')
    if len(modes) > 1 or modes[0] not in POOLINGS:
        raise EngineError(
            f"`{path}`: the pooling `{' + '.join(map(str, modes))}` cannot be computed here, only one of "
            f"{', '.join(f'`{mode}`' for mode in POOLINGS)}. `provider: sentence-transformers` computes others"
        )
    return POOLINGS[modes[0]]


def read_input_tokens(folder: Path) -> int:
    """Most tokens of one text, special ones included, as sentence-transformers reads it from these files."""
    bert, tokenizer, config = (
        _read_object(folder / f"{name}.json", optional=True)
        for name in ("sentence_bert_config", "tokenizer_config", "config")
    )
    if bert.get("do_lower_case"):
        raise EngineError(
            f"`{folder / 'sentence_bert_config.json'}`: `do_lower_case` cannot be done here; "
            "let the `normalizer` in tokenizer.json do it"
        )
    told = _limit(bert.get("max_seq_length")) or _limit(tokenizer.get("model_max_length"))
    if told is None:
        raise EngineError(
            f"Nothing in `{folder}` says how long a text this model reads. "
            "Give `max_seq_length` in its sentence_bert_config.json, or `model_max_length` in its tokenizer_config.json"
        )
    # The size of a table of positions: a text beyond it would fail, and some of its rows may not be for texts at all.
    return min(told, _limit(config.get("max_position_embeddings")) or told)


def read_padding_token(folder: Path) -> str | None:
    """The text of the token that fills up shorter texts."""
    token = _read_object(folder / "tokenizer_config.json", optional=True).get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    return token if isinstance(token, str) else None


def _limit(value: object) -> int | None:
    return value if type(value) is int and 0 < value <= NO_LIMIT else None


def _read_object(path: Path, *, optional: bool = False) -> dict[str, Any]:
    if optional and not path.exists():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise EngineError(f"`{path}` must be a JSON object")
    return value
