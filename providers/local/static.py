"""Embeds texts by a table of token vectors, in microseconds, with numpy; refuses models that are more than a table.

A text's vector is the mean of its tokens' vectors. Three kinds of files are read, none of their libraries imported:

- `wordllama`, the files inside the installed wheel: https://github.com/dleemiller/WordLlama
- a folder as model2vec writes it: https://github.com/MinishLab/model2vec
- a folder of sentence-transformers with a StaticEmbedding:
  https://sbert.net/docs/package_reference/sentence_transformer/models.html

A text is pooled whole, however long it is; model2vec itself would cut at 512 tokens. The route's `limits` decide.
Prompts are the route's as well, also where a sentence-transformers folder names a default one.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from providers.base import Embeddings, EngineError, Fault, FaultKind, LocalProvider
from providers.codec import JSONError, Matrix, parse_json, rows, unit_length
from providers.local.safetensors import Array, TensorFile, open_tensors
from providers.local.vocabulary import Vocabulary, read_vocabulary

CHUNK: Final = 2_048
"""Tokens whose vectors are gathered at a time: a megabyte of text has up to a million."""

LARGEST: Final = 1e15
"""Beyond it a sum of weighted values could overflow float32. Real values are around 1."""

WORDLLAMA_WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
WORDLLAMA_TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"


class StaticEngine:
    """A table of token vectors and the vocabulary that indexes it.

    The vector of token t is `table[mapping[t]] * weights[t]`.
    Each text is pooled by itself, by the same operations in the same order: its neighbours cannot change a bit of it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        table: Matrix,
        *,
        mapping: npt.NDArray[np.intp] | None = None,
        weights: npt.NDArray[np.float32] | None = None,
        keep_unknown: bool,
        unit: bool,
    ) -> None:
        self.dimensions: int = table.shape[1]
        self._encode = vocabulary.encode
        self._unknown = -1 if vocabulary.unknown is None else vocabulary.unknown  # no token has the id -1
        self._keep_unknown = keep_unknown
        self._table = table
        self._mapping = mapping
        self._weights = weights
        self._unit = unit
        self._zero = bytes(4 * self.dimensions)

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
        sums: Matrix = np.empty((len(texts), self.dimensions), np.float32)
        counts: list[int] = []
        for position, text in enumerate(texts):
            try:
                ids = self._encode(text)
            except ValueError:
                return _rejected(position, "the model's tokenizer cannot take it")
            unknown = ids.count(self._unknown)
            if unknown == len(ids):
                return _rejected(position, "it has no token that the model knows")
            if unknown and not self._keep_unknown:
                ids = [token for token in ids if token != self._unknown]
            self._add_up(np.array(ids, np.intp), sums[position])
            counts.append(len(ids))
        means: Matrix = sums / np.array(counts, np.float32)[:, np.newaxis]
        vectors = rows(unit_length(means) if self._unit else means)
        if self._zero in vectors:
            return _rejected(vectors.index(self._zero), "the vectors of its tokens add up to zero")
        return Embeddings(vectors, prompt_tokens=sum(counts))

    def _add_up(self, ids: npt.NDArray[np.intp], into: Array) -> None:
        if len(ids) <= CHUNK:
            np.add.reduce(self._vectors(ids), axis=0, out=into, initial=0.0)  # from 0.0, so that no sum is -0.0
            return
        # Chunks are added in float64: a float32 sum loses digits with every thousand rows.
        total = np.zeros(self.dimensions)
        for start in range(0, len(ids), CHUNK):
            total += np.add.reduce(self._vectors(ids[start : start + CHUNK]), axis=0)
        into[:] = total

    def _vectors(self, ids: npt.NDArray[np.intp]) -> Matrix:
        vectors = self._table.take(ids if self._mapping is None else self._mapping.take(ids), axis=0)
        if self._weights is not None:
            vectors *= self._weights.take(ids)[:, np.newaxis]
        return vectors


def _rejected(position: int, reason: str) -> Fault:
    message = f"Input {position} has no vector in this model: {reason}. Leave it out, or change it."
    return Fault(FaultKind.REJECTED, message, item=position)


def load(path: str) -> StaticEngine:
    return _load_wordllama() if path == "wordllama" else _load_folder(Path(path))


STATIC: Final = LocalProvider(name="static", load=load)


def _load_wordllama() -> StaticEngine:
    # Found, never imported: importing wordllama reconfigures the root logger.
    spec = importlib.util.find_spec("wordllama")
    for place in (spec and spec.submodule_search_locations) or ():
        weights, tokenizer = Path(place, WORDLLAMA_WEIGHTS), Path(place, WORDLLAMA_TOKENIZER)
        if weights.is_file() and tokenizer.is_file():
            vocabulary = read_vocabulary(tokenizer)
            table = _table(open_tensors(weights), "embedding.weight", vocabulary.size)
            return StaticEngine(vocabulary, table, keep_unknown=True, unit=False)
    raise EngineError(
        f"The model files of `wordllama` are not here (`{WORDLLAMA_WEIGHTS}`, `{WORDLLAMA_TOKENIZER}`). "
        'Install them by `pip install "embedding-gateway[local]"`; where no ready-made wheel exists for this platform, '
        "give the path of a model2vec folder instead, or use another provider"
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
    settings = _read_json(config)
    unit = settings.get("normalize", False) if isinstance(settings, dict) else None
    if not isinstance(unit, bool):
        raise EngineError(f"`{config}` must be a JSON object whose `normalize` is true or false")
    mapping = weights = None
    if "mapping" in file.tensors:
        numbers = _per_token(file, "mapping", vocabulary.size)
        mapping = numbers.astype(np.intp)
        if numbers.dtype.kind not in "iu" or mapping.min() < 0:
            raise EngineError(f"`{file.path}`: `mapping` must hold row numbers")
    if "weights" in file.tensors:
        weights = _float32(file.path, "weights", _per_token(file, "weights", vocabulary.size))
    table = _table(file, "embeddings", vocabulary.size if mapping is None else int(mapping.max()) + 1)
    return StaticEngine(vocabulary, table, mapping=mapping, weights=weights, keep_unknown=False, unit=unit)


def _static_module(modules: Path) -> tuple[Path, bool]:
    """The folder of the StaticEmbedding, and whether a Normalize follows it. Nothing else may: it would be left out."""
    listed = _read_json(modules)
    try:
        kinds = [module["type"] for module in listed]
        home = modules.parent / listed[0]["path"]
    except (KeyError, IndexError, TypeError):
        raise EngineError(f"`{modules}` is no list of modules, each with a `type` and a `path`") from None
    for kind, wanted in zip(kinds, ("StaticEmbedding", "Normalize", None), strict=False):
        package, _, name = str(kind).rpartition(".")
        if not package.startswith("sentence_transformers.") or name != wanted:
            raise EngineError(
                f"`{modules}` has a module `{kind}`: "
                "only a StaticEmbedding, alone or with a Normalize after it, can be computed here"
            )
    return home, len(kinds) == 2


def _read_json(path: Path) -> Any:
    try:
        return parse_json(path.read_bytes())
    except OSError as error:
        raise EngineError(f"`{path}` cannot be read: {error.strerror}") from error
    except JSONError as error:
        raise EngineError(f"`{path}` is not JSON: {error}") from error


def _table(file: TensorFile, name: str, rows_needed: int) -> Matrix:
    table = file.read(name)
    if table.ndim != 2 or not table.size:
        raise EngineError(f"`{file.path}`: `{name}` has the shape {table.shape}, which is no table of vectors")
    if len(table) < rows_needed:
        raise EngineError(f"`{file.path}`: `{name}` has {len(table)} rows, but the vocabulary asks for {rows_needed}")
    return _float32(file.path, name, table)


def _per_token(file: TensorFile, name: str, tokens: int) -> Array:
    values = file.read(name)
    if values.ndim != 1 or not 0 < tokens <= len(values):
        raise EngineError(f"`{file.path}`: `{name}` has the shape {values.shape}, but the vocabulary {tokens} tokens")
    return values


def _float32(path: Path, name: str, array: Array) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        values = np.array(array, np.float32)  # a copy in memory, also of float32
    if not max(values.max(), -values.min()) < LARGEST:  # a NaN is not less than anything
        raise EngineError(f"`{path}`: `{name}` holds a NaN or a value beyond {LARGEST:g}")
    return values
