import importlib.util
import json
import logging
import subprocess
import sys
import tracemalloc
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from providers.base import Embeddings, Fault, FaultKind
from providers.codec import Matrix, matrix
from providers.engine import Engine, EngineError
from providers.local.static import STATIC, load
from tests.providers.test_local_safetensors import bfloat16, write_tensors

WORDS = ["[UNK]", "cat", "dog", "sat", "mat"]
TABLE = np.array([[9, 9, 9], [1, -2, 3], [0, 4, 0.5], [-1, 0, 7], [2, 2, -2]], np.float32)

STATIC_EMBEDDING = "sentence_transformers.models.StaticEmbedding"
NORMALIZE = "sentence_transformers.models.Normalize"


def wordlevel() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([(word, -1.0) for word in WORDS], 0, False))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def write_model(
    folder: Path, tensors: dict[str, npt.NDArray[Any]], *, tokenizer: Tokenizer | None = None, **jsons: object
) -> str:
    """A model's files; `jsons` are further ones by their names without `.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", tensors)
    (tokenizer or wordlevel()).save(str(folder / "tokenizer.json"))
    for name, value in jsons.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return str(folder)


def modules(*kinds: str, path: str = "") -> list[dict[str, object]]:
    return [
        {"idx": place, "name": str(place), "path": path if place == 0 else f"{place}_Other", "type": kind}
        for place, kind in enumerate(kinds)
    ]


def vectors(engine: Engine, *texts: str) -> Matrix:
    answer = engine.embed(texts)
    assert isinstance(answer, Embeddings)
    return matrix(answer.vectors)


def unit(vector: npt.NDArray[Any]) -> npt.NDArray[Any]:
    quotient: npt.NDArray[Any] = vector / np.sqrt((vector.astype(np.float64) ** 2).sum())
    return quotient


# --- model2vec ---


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_model2vec(tmp_path: Path, dtype: str) -> None:
    """A model2vec table of any type gives the float32 means of its rows."""
    table = TABLE.astype(dtype)
    engine = load(write_model(tmp_path, {"embeddings": table}, config={"normalize": False}))

    expected = [table[1], (table[1].astype(float) + table[2] + table[1]) / 3]

    assert 3 == engine.dimensions
    np.testing.assert_allclose(vectors(engine, "cat", "cat dog cat"), expected, rtol=1e-6)


def test_model2vec_of_bfloat16(tmp_path: Path) -> None:
    """A BF16 table, whose values here are exact in it, gives the same vectors as a float32 one."""
    engine = load(write_model(tmp_path, {"embeddings": bfloat16(TABLE)}, config={}))

    np.testing.assert_array_equal(vectors(engine, "dog mat"), [(TABLE[2] + TABLE[4]) / 2])


@pytest.mark.parametrize("tokenizer", [wordlevel(), unigram()])
def test_model2vec_drops_unknown_tokens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """A model2vec mean leaves unknown tokens out, whether the tokenizer names them by text or by id."""
    engine = load(write_model(tmp_path, {"embeddings": TABLE}, tokenizer=tokenizer, config={}))
    answer = engine.embed(["cat bird dog"])

    assert isinstance(answer, Embeddings)
    assert 2 == answer.prompt_tokens
    np.testing.assert_array_equal(matrix(answer.vectors), [(TABLE[1] + TABLE[2]) / 2])


def test_only_unknown_tokens(tmp_path: Path) -> None:
    """A text of unknown words is rejected by its position."""
    answer = load(write_model(tmp_path, {"embeddings": TABLE}, config={})).embed(["cat", "bird", "dog"])

    assert isinstance(answer, Fault)
    assert (FaultKind.REJECTED, 1) == (answer.kind, answer.item)


@pytest.mark.parametrize("integer", ["int8", "int32", "int64"])
def test_model2vec_with_mapping_and_weights(tmp_path: Path, integer: str) -> None:
    """A vocabulary-quantized model multiplies the row that a token maps to by the token's weight."""
    mapping, weights = np.array([0, 1, 0, 1, 1], integer), np.array([1, 2, 3, 0.5, 0], np.float64)
    tensors = {"embeddings": TABLE[1:3], "mapping": mapping, "weights": weights}
    engine = load(write_model(tmp_path, tensors, config={}))

    np.testing.assert_allclose(
        vectors(engine, "cat", "dog sat"), [TABLE[2] * 2, (TABLE[1] * 3 + TABLE[2] * 0.5) / 2], rtol=1e-6
    )


def test_model2vec_normalises_when_its_config_says_so(tmp_path: Path) -> None:
    """`normalize` of config.json makes unit length."""
    engine = load(write_model(tmp_path, {"embeddings": TABLE}, config={"normalize": True}))

    np.testing.assert_allclose(vectors(engine, "cat dog"), [unit(TABLE[1] + TABLE[2])], rtol=1e-6)


def test_model2vec_is_told_by_its_tensor(tmp_path: Path) -> None:
    """A tensor `embeddings` makes a model2vec model, whose unknown tokens are left out, beside a modules.json too."""
    listed = modules(STATIC_EMBEDDING, NORMALIZE, path=".")
    path = write_model(tmp_path, {"embeddings": TABLE}, config={"normalize": False}, modules=listed)

    np.testing.assert_array_equal(vectors(load(path), "cat bird"), [TABLE[1]])


def test_nothing_is_cut(tmp_path: Path) -> None:
    """A text beyond model2vec's 512 tokens is pooled to its end, whatever config.json and tokenizer.json say."""
    tokenizer = wordlevel()
    tokenizer.enable_truncation(512)
    engine = load(write_model(tmp_path, {"embeddings": TABLE}, tokenizer=tokenizer, config={"max_length": 512}))
    answer = engine.embed(["cat " * 600 + "dog " * 600])

    assert isinstance(answer, Embeddings)
    assert 1200 == answer.prompt_tokens
    np.testing.assert_allclose(matrix(answer.vectors), [(TABLE[1] + TABLE[2]) / 2], rtol=1e-6)


def test_model2vec_without_config(tmp_path: Path) -> None:
    """A model2vec folder needs its config.json: nothing else says whether vectors are of unit length."""
    with pytest.raises(EngineError, match=r"config.json` cannot be read"):
        load(write_model(tmp_path, {"embeddings": TABLE}))


@pytest.mark.parametrize("config", [{"normalize": 1}, {"normalize": None}, [], None])
def test_model2vec_with_a_strange_config(tmp_path: Path, config: object) -> None:
    """`normalize` is true, false or absent."""
    with pytest.raises(EngineError, match=r"config.json` must be a JSON object whose `normalize` is true or false"):
        load(write_model(tmp_path, {"embeddings": TABLE}, config=config))


def test_config_that_is_not_json(tmp_path: Path) -> None:
    """A file that is not JSON is an error that names it."""
    path = write_model(tmp_path, {"embeddings": TABLE})
    (tmp_path / "config.json").write_text("{")

    with pytest.raises(EngineError, match=r"config.json` is not JSON"):
        load(path)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (np.array([0, 1, 2, 3, 5]), "has 5 rows, but the vocabulary asks for 6"),
        (np.array([0, 1, 2, 3, -1]), "`mapping` must hold the numbers of rows"),
        (np.array([0.0, 1, 2, 3, 4]), "`mapping` must hold the numbers of rows"),
        (np.array([0, 1, 2, 3]), r"`mapping` has the shape \(4,\), but the vocabulary 5 tokens"),
        (np.array([[0, 1, 2, 3, 4]]), r"`mapping` has the shape \(1, 5\)"),
    ],
)
def test_bad_mapping(tmp_path: Path, mapping: npt.NDArray[Any], message: str) -> None:
    """A mapping names a row of the table for every token."""
    with pytest.raises(EngineError, match=message):
        load(write_model(tmp_path, {"embeddings": TABLE, "mapping": mapping}, config={}))


@pytest.mark.parametrize("weights", [np.ones(4), np.ones((5, 1)), np.array([1, 1, np.nan, 1, 1])])
def test_bad_weights(tmp_path: Path, weights: npt.NDArray[Any]) -> None:
    """Weights are a finite number for every token."""
    with pytest.raises(EngineError, match=r"model.safetensors`: `weights` h"):
        load(write_model(tmp_path, {"embeddings": TABLE, "weights": weights}, config={}))


# --- sentence-transformers ---


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("", STATIC_EMBEDDING),
        ("0_StaticEmbedding", STATIC_EMBEDDING),
        ("", "sentence_transformers.sentence_transformer.modules.static_embedding.StaticEmbedding"),
    ],
)
def test_sentence_transformers(tmp_path: Path, folder: str, kind: str) -> None:
    """A StaticEmbedding, at the root or in its own folder, keeps unknown tokens in its means."""
    write_model(tmp_path / folder, {"embedding.weight": TABLE})
    (tmp_path / "modules.json").write_text(json.dumps(modules(kind, path=folder)))
    answer = load(str(tmp_path)).embed(["cat bird dog"])

    assert isinstance(answer, Embeddings)
    assert 3 == answer.prompt_tokens
    np.testing.assert_allclose(matrix(answer.vectors), [(TABLE[1] + TABLE[0] + TABLE[2]) / 3], rtol=1e-6)


def test_sentence_transformers_with_normalize(tmp_path: Path) -> None:
    """A Normalize after the StaticEmbedding makes unit length."""
    path = write_model(tmp_path, {"embedding.weight": TABLE}, modules=modules(STATIC_EMBEDDING, NORMALIZE))

    np.testing.assert_allclose(vectors(load(path), "cat dog"), [unit(TABLE[1] + TABLE[2])], rtol=1e-6)


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        ([STATIC_EMBEDDING, "sentence_transformers.models.Dense"], "sentence_transformers.models.Dense"),
        ([STATIC_EMBEDDING, NORMALIZE, "sentence_transformers.models.Dense"], "sentence_transformers.models.Dense"),
        (["sentence_transformers.models.Transformer", "…Pooling"], "sentence_transformers.models.Transformer"),
        ([STATIC_EMBEDDING, NORMALIZE, NORMALIZE], NORMALIZE),
        ([NORMALIZE, STATIC_EMBEDDING], NORMALIZE),
        (["my.models.StaticEmbedding"], "my.models.StaticEmbedding"),
        (["StaticEmbedding"], "StaticEmbedding"),
    ],
)
@pytest.mark.parametrize("tensor", ["embedding.weight", "embeddings"])
def test_other_modules(tmp_path: Path, kinds: list[str], named: str, tensor: str) -> None:
    """A module that would not be computed is an error that names it, never left out."""
    path = write_model(tmp_path, {tensor: TABLE}, config={}, modules=modules(*kinds))

    with pytest.raises(EngineError, match=rf"modules.json` has a module `{named}`"):
        load(path)


@pytest.mark.parametrize("listed", [{}, [], None, [1], [{}], [{"type": "a"}], [{"type": "a", "path": 1}], "ab"])
def test_strange_modules(tmp_path: Path, listed: object) -> None:
    """A modules.json of another shape is an error that names it."""
    path = write_model(tmp_path, {"embedding.weight": TABLE}, modules=listed)

    with pytest.raises(EngineError, match=r"modules.json` is no list of modules"):
        load(path)


def test_sentence_transformers_without_modules(tmp_path: Path) -> None:
    """Without a modules.json nothing says whether vectors are of unit length, so the folder is refused."""
    with pytest.raises(EngineError, match=r"modules.json` is missing"):
        load(write_model(tmp_path, {"embedding.weight": TABLE}))


# --- any folder ---


def test_no_folder(tmp_path: Path) -> None:
    """A path to no folder is an error that says what a path may be."""
    with pytest.raises(EngineError, match=r"nowhere` is no folder; `path` is `wordllama` or the folder"):
        load(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json"])
def test_missing_file(tmp_path: Path, missing: str) -> None:
    """A missing file is an error that names it."""
    path = write_model(tmp_path, {"embeddings": TABLE}, config={})
    (tmp_path / missing).unlink()

    with pytest.raises(EngineError, match=rf"{missing}` cannot be read"):
        load(path)


def test_missing_tensor(tmp_path: Path) -> None:
    """A file without a table is an error that names what it holds."""
    with pytest.raises(EngineError, match=r"has no tensor `embedding.weight`; its tensors: `linear.weight`"):
        load(write_model(tmp_path, {"linear.weight": TABLE}, config={}))


@pytest.mark.parametrize("tensor", ["embeddings", "embedding.weight"])
def test_vocabulary_larger_than_the_table(tmp_path: Path, tensor: str) -> None:
    """A vocabulary with ids beyond the table is refused: no text shall find out."""
    path = write_model(tmp_path, {tensor: TABLE[:4]}, config={}, modules=modules(STATIC_EMBEDDING))

    with pytest.raises(EngineError, match=rf"`{tensor}` has 4 rows, but the vocabulary asks for 5"):
        load(path)


@pytest.mark.parametrize("shape", [(15,), (5, 0), (0, 3), (5, 3, 1)])
def test_no_table(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """A tensor of another shape is no table."""
    with pytest.raises(EngineError, match="which is no table of vectors"):
        load(write_model(tmp_path, {"embeddings": np.ones(shape, np.float32)}, config={}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e16, -1e300])
def test_values_that_are_not_vectors(tmp_path: Path, value: float) -> None:
    """A table from which NaN or infinity could come is refused."""
    table = TABLE.astype(np.float64)
    table[3, 1] = value

    with pytest.raises(EngineError, match="`embeddings` holds a NaN or a value beyond 1e\\+15"):
        load(write_model(tmp_path, {"embeddings": table}, config={}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_halves_that_are_not_vectors(tmp_path: Path, value: float) -> None:
    """A table of float16, which has no values too large, is refused for NaN or infinity alike."""
    table = TABLE.astype(np.float16)
    table[3, 1] = value

    with pytest.raises(EngineError, match="`embeddings` holds a NaN or a value beyond 1e\\+15"):
        load(write_model(tmp_path, {"embeddings": table}, config={}))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_files_may_go_once_loaded(tmp_path: Path, dtype: Any) -> None:
    """An engine keeps nothing of a folder's files open or mapped: they may be overwritten in place."""
    path = write_model(tmp_path, {"embeddings": TABLE.astype(dtype)}, config={})
    engine = load(path)
    write_tensors(tmp_path / "model.safetensors", {"embeddings": (TABLE + 1).astype(dtype)})

    np.testing.assert_array_equal(vectors(engine, "cat"), TABLE[1:2])


def test_table_is_in_memory_once(tmp_path: Path) -> None:
    """A table of float16 takes as much memory as its file, and that of an installed package next to none."""
    table = np.ones((50_000, 64), np.float16)
    path = write_model(tmp_path, {"embeddings": table}, config={})
    load(path)
    load("wordllama")  # what is imported or remembered the first time is not the tables'
    sizes: list[int] = []
    tracemalloc.start()
    try:
        for name in (path, "wordllama"):
            engine = load(name)
            engine.embed(["cat dog"])
            sizes.append(tracemalloc.get_traced_memory()[0] - sum(sizes))
    finally:
        tracemalloc.stop()

    assert [True, True] == [size < most for size, most in zip(sizes, (table.nbytes + 2**20, 2**20), strict=True)], sizes


# --- wordllama ---


@pytest.fixture(scope="module")
def wordllama() -> Engine:
    return load("wordllama")


def wordllama_folder() -> Path:
    spec = importlib.util.find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def test_wordllama_neighbours(wordllama: Engine) -> None:
    """Texts of like meaning are closer than others."""
    cat, kitten, tax = (
        unit(vector)
        for vector in vectors(wordllama, "a cat sat on the mat", "a kitten rests on a rug", "quarterly tax return")
    )

    assert 256 == wordllama.dimensions
    assert cat @ kitten > cat @ tax + 0.2


def test_wordllama_is_the_mean_of_its_rows(wordllama: Engine) -> None:
    """Vectors are those of a plain mean over the library's own tokens, without special tokens and not normalised."""
    folder = wordllama_folder()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
    raw = (folder / "weights/l2_supercat_256.safetensors").read_bytes()
    table = np.frombuffer(raw[-32_000 * 256 * 2 :], "<f2").reshape(32_000, 256)
    texts = ["a cat", "Zürich  😀 日本", " <s> x", "long " * 3000, "\n", " "]
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    expected = [table[text].astype(np.float64).mean(axis=0) for text in ids]
    answer = wordllama.embed(texts)

    assert isinstance(answer, Embeddings)
    assert sum(map(len, ids)) == answer.prompt_tokens
    np.testing.assert_allclose(matrix(answer.vectors), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["", "<unk>", "<unk><unk>"])
def test_wordllama_without_a_known_token(wordllama: Engine, text: str) -> None:
    """A text without a known token is rejected by its position."""
    answer = wordllama.embed(["a", "b", text])

    assert isinstance(answer, Fault)
    assert (FaultKind.REJECTED, 2) == (answer.kind, answer.item)


@given(texts=st.lists(st.text(min_size=1).filter(lambda text: "<unk>" not in text), min_size=1, max_size=8))
def test_wordllama_neighbours_change_nothing(wordllama: Engine, texts: list[str]) -> None:
    """The vector of a text is the same to the last bit, alone or among any others, in any order."""
    together, backwards = wordllama.embed(texts), wordllama.embed(texts[::-1])
    alone = [wordllama.embed([text]) for text in texts]

    assert isinstance(together, Embeddings)
    assert isinstance(backwards, Embeddings)
    assert [answer.vectors[0] for answer in alone if isinstance(answer, Embeddings)] == together.vectors
    assert list(backwards.vectors)[::-1] == together.vectors


def test_wordllama_is_never_imported() -> None:
    """Loading and embedding leave the root logger as it was, and wordllama unimported."""
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    load("wordllama").embed(["a"])

    assert before == (root.level, root.handlers)
    assert "wordllama" not in sys.modules


def test_wordllama_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says what to install, and what to use where it cannot be."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(EngineError, match=r"scripts/setup.*model2vec folder"):
        load("wordllama")


def test_wordllama_without_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name without the model files is as good as none."""
    spec = ModuleSpec("wordllama", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)

    with pytest.raises(EngineError, match=r"`weights/l2_supercat_256.safetensors`"):
        load("wordllama")


def test_importing_needs_neither_tokenizers_nor_wordllama() -> None:
    """The module can be imported where the local extra is not installed."""
    code = "import sys; sys.modules |= dict.fromkeys(['tokenizers', 'wordllama']); import providers.local.static"

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_the_provider_s_name() -> None:
    """The routing file calls these engines `static`, and one of their models `wordllama`."""
    assert ("static", frozenset({"wordllama"}), False) == (STATIC.name, STATIC.built_in, STATIC.batches)
