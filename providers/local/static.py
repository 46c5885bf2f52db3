"""Loads models that are a table of token vectors; refuses a model that computes anything beyond their mean.

Three kinds of files are read, and none of their libraries imported:

- `wordllama`, the files inside the installed wheel: https://github.com/dleemiller/WordLlama
- a folder as model2vec writes it: https://github.com/MinishLab/model2vec
- a folder of sentence-transformers with a StaticEmbedding:
  https://sbert.net/docs/package_reference/sentence_transformer/models.html

A text is pooled whole, however long it is; model2vec itself would cut at 512 tokens. The route's `limits` decide.
Prompts are the route's as well, also where a sentence-transformers folder names a default one.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from providers.engine import EngineError, LocalProvider
from providers.local.folder import class_name, read_json, read_modules
from providers.local.pooling import StaticEngine
from providers.local.safetensors import Array, TensorFile, open_tensors
from providers.local.table import Table
from providers.local.vocabulary import Vocabulary, read_vocabulary

LARGEST: Final = 1e15
"""Beyond it a sum of weighted values could overflow float32. Real values are around 1."""

WORDLLAMA_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
WORDLLAMA_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"


def load(path: str) -> StaticEngine:
    return _load_wordllama() if path == "wordllama" else _load_folder(Path(path))


STATIC: Final = LocalProvider("static", lambda model: load(model.path), built_in=frozenset({"wordllama"}))


def _load_wordllama() -> StaticEngine:
    # Found, never imported: importing wordllama reconfigures the root logger.
    spec = importlib.util.find_spec("wordllama")
    for place in (spec and spec.submodule_search_locations) or ():
        weights, tokenizer = Path(place, WORDLLAMA_WEIGHTS), Path(place, WORDLLAMA_TOKENIZER)
        if weights.is_file() and tokenizer.is_file():
            vocabulary = read_vocabulary(tokenizer)
            table = _table(open_tensors(weights), "embedding.weight", vocabulary.size, installed=True)
            return StaticEngine(vocabulary, table, keep_unknown=True, unit=False)
    raise EngineError(
        f"The model files of `wordllama` are not here (`{WORDLLAMA_WEIGHTS}`, `{WORDLLAMA_TOKENIZER}`). "
        'Install them by `scripts/setup`, or `pip install ".[local]"` in its folder; where this platform has no '
        "ready-made wheel, give the path of a model2vec folder instead, or use another provider"
    )


def _load_folder(folder: Path) -> StaticEngine:
    if not folder.is_dir():
        raise EngineError(f"`{folder}` is no folder; `path` is `wordllama` or the folder of a static model")
    modules = folder / "modules.json"
    home, unit = _static_module(modules) if modules.exists() else (folder, None)
    file = open_tensors(home / "model.safetensors")
    vocabulary = read_vocabulary(home / "tokenizer.json")
    # Both libraries write a modules.json with a StaticEmbedding, and treat unknown tokens differently.
    # Only the tensor's name tells which of them made the table.
    if "embeddings" in file.tensors:
        return _model2vec(file, vocabulary, home / "config.json")
    table = _table(file, "embedding.weight", vocabulary.size)
    if unit is None:
        raise EngineError(f"`{modules}` is missing, so nothing says whether this model's vectors are of unit length")
    return StaticEngine(vocabulary, table, keep_unknown=True, unit=unit)


def _model2vec(file: TensorFile, vocabulary: Vocabulary, config: Path) -> StaticEngine:
    settings = read_json(config)
    unit = settings.get("normalize", False) if isinstance(settings, dict) else None
    if not isinstance(unit, bool):
        raise EngineError(f"`{config}` must be a JSON object whose `normalize` is true or false")
    mapping = weights = None
    if "mapping" in file.tensors:
        numbers = _per_token(file, "mapping", vocabulary.size)
        if numbers.dtype.kind not in "iu" or numbers.min() < 0:
            raise EngineError(f"`{file.path}`: `mapping` must hold the numbers of rows, and holds others")
        mapping = numbers.astype(np.intp)
    if "weights" in file.tensors:
        weights = _float32(file.path, "weights", _per_token(file, "weights", vocabulary.size))
    table = _table(file, "embeddings", vocabulary.size if mapping is None else int(numbers.max()) + 1)
    return StaticEngine(vocabulary, table, mapping=mapping, weights=weights, keep_unknown=False, unit=unit)


def _static_module(path: Path) -> tuple[Path, bool]:
    """The folder of the StaticEmbedding, and whether a Normalize follows it. Nothing else may: it would be left out."""
    modules = read_modules(path)
    for (kind, _), wanted in zip(modules, ("StaticEmbedding", "Normalize", None), strict=False):
        if wanted is None or class_name(kind) != wanted:
            raise EngineError(
                f"`{path}` has a module `{kind}`: "
                "only a StaticEmbedding, alone or with a Normalize after it, can be computed here"
            )
    return modules[0][1], len(modules) == 2


def _table(file: TensorFile, name: str, rows_needed: int, *, installed: bool = False) -> Table:
    """The file of a package that is `installed` is replaced and never written to, so that it may stay mapped, as the
    package's libraries are: all processes share its memory, and what no text uses takes none."""
    table = file.read(name)
    if table.ndim != 2 or not table.size:
        raise EngineError(f"`{file.path}`: `{name}` has the shape {table.shape}, which is no table of vectors")
    if len(table) < rows_needed:
        raise EngineError(f"`{file.path}`: `{name}` has {len(table)} rows, but the vocabulary asks for {rows_needed}")
    if table.dtype != np.float16:
        return Table(_float32(file.path, name, table))
    if not np.isfinite(table).all():
        raise _not_finite(file.path, name)
    return Table(file.read(name) if installed else np.array(table))  # a new window: nothing of it is in memory yet


def _per_token(file: TensorFile, name: str, tokens: int) -> Array:
    values = file.read(name)
    if values.ndim != 1 or not 0 < tokens <= len(values):
        raise EngineError(f"`{file.path}`: `{name}` has the shape {values.shape}, but the vocabulary {tokens} tokens")
    return values


def _float32(path: Path, name: str, array: Array) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        values = np.array(array, np.float32)  # a copy in memory, also of float32
    if not max(values.max(), -values.min()) < LARGEST:  # a NaN is not less than anything
        raise _not_finite(path, name)
    return values


def _not_finite(path: Path, name: str) -> EngineError:
    return EngineError(f"`{path}`: `{name}` holds a NaN or a value beyond {LARGEST:g}")
