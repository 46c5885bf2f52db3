"""Embeds with a transformer in ONNX's form: a folder with model.onnx, or onnx/model.onnx, and a tokenizer.json.

How its vectors are pooled, how long they are and how long a text may be is read from the folder's other files.
https://onnxruntime.ai/docs/api/python/api_summary.html
https://huggingface.co/docs/optimum-onnx/onnx/usage_guides/export_a_model

Vectors differ in the last digits with a text's neighbours: padded, it is added up in another order. Where a model
quantises its activations while it runs, neighbours would change more than that, so such a model reads one text at a
time.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from providers.codec import Matrix, rows, unit_length
from providers.engine import EngineError, LocalModel, LocalProvider, Transformer
from providers.local.extras import missing
from providers.local.folder import Pooling, Recipe, read_input_tokens, read_padding_token, read_recipe
from providers.local.sequences import Sequences
from providers.local.vocabulary import TokenizerFile, read_tokenizer

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding

FILES: Final = ("model.onnx", "onnx/model.onnx")
TOKEN_VECTORS: Final = ("last_hidden_state", "token_embeddings")
TEXT_VECTORS: Final = "sentence_embedding"
"""What exporters call the vectors of tokens, and those of texts, which need no pooling any more."""

INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
DTYPES: Final = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
FORWARD_TEXTS: Final = 64


def load(model: LocalModel) -> Transformer:
    folder = Path(model.path)
    path = model_file(folder)
    session = _session(path, model.threads)
    longest = read_input_tokens(folder)
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    output, recipe = _output(session, path), None
    if output != TEXT_VECTORS:
        recipe = read_recipe(folder)
    graph = Graph(Sequences(tokenizer, longest), session, output, recipe, _padding(tokenizer, folder))
    return Transformer(
        dimensions=graph.dimensions(),
        input_tokens=longest,
        lengths=graph.sequences.lengths,
        forward=graph.forward,
        forward_texts=forward_texts(path),
        tokenizer=str(folder / "tokenizer.json"),
    )


ONNX: Final = LocalProvider("onnx", load, batches=True)


def model_file(folder: Path) -> Path:
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    raise EngineError(f"`{folder}` has neither `{FILES[0]}` nor `{FILES[1]}`; `path` is the folder of a model")


def forward_texts(path: Path) -> int:
    """1 where the graph quantises by what is in the batch: ONNX's DynamicQuantizeLinear and what it is fused into."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return FORWARD_TEXTS if content.find(b"DynamicQuantize") < 0 else 1


@dataclass(frozen=True, slots=True)
class Graph:
    """A session and what is around it. Without a `recipe` the graph itself makes the vectors of texts."""

    sequences: Sequences
    session: InferenceSession
    output: str
    recipe: Recipe | None
    padding: int

    def dimensions(self) -> int:
        """As a first text shows, which also shows that the model works at all. Raises EngineError."""
        try:
            vectors = self._vectors(["a"])
        except Exception as error:  # the library's own errors are bare `Exception`s, too
            raise EngineError(f"The model does not run: {error}") from error
        if vectors.ndim != 2:
            raise EngineError(f"The model's output `{self.output}` has {vectors.ndim} dimensions, which are no vectors")
        return int(vectors.shape[1])

    def forward(self, texts: Sequence[str]) -> list[bytes]:
        return rows(self._vectors(texts))

    def _vectors(self, texts: Sequence[str]) -> Matrix:
        encodings = [self.sequences.encode(text) for text in texts]
        feed, mask = self._padded(encodings)
        values: Matrix = self.session.run([self.output], feed)[0].astype(np.float32, copy=False)
        if self.recipe is None:
            return values
        vectors = pooled(values, mask, self.recipe.pooling)
        return unit_length(vectors) if self.recipe.unit else vectors

    def _padded(self, encodings: Sequence[Encoding]) -> tuple[dict[str, Any], npt.NDArray[np.int64]]:
        """What the graph reads, each of shape (texts, longest), and the mask of true tokens. Padding is at the end."""
        shape = (len(encodings), max(map(len, encodings)))
        ids, types, mask = np.full(shape, self.padding, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            types[row, : len(encoding)] = encoding.type_ids
            mask[row, : len(encoding)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        feed = {given.name: known[given.name].astype(DTYPES[given.type]) for given in self.session.get_inputs()}
        return feed, mask


def pooled(values: Matrix, mask: npt.NDArray[np.int64], pooling: Pooling) -> Matrix:
    """Vectors of tokens, (texts, longest, dimensions), as those of texts. Padding is at the end of each text."""
    lengths = mask.sum(axis=1)
    if pooling == "cls":
        vectors: Matrix = values[:, 0]
    elif pooling == "lasttoken":
        vectors = values[np.arange(len(values)), lengths - 1]
    else:
        sums: Matrix = values.sum(axis=1, where=mask[:, :, np.newaxis].astype(bool))
        vectors = sums / lengths[:, np.newaxis].astype(np.float32)
    return vectors


def _session(path: Path, threads: int | None) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise missing("onnxruntime", "onnx") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: its warnings go past every log to stderr
    # Waiting threads sleep: spinning ones would take the cores from the event loop between two forward passes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = threads or 0  # 0: one for each physical core
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own errors are bare `Exception`s
        raise EngineError(f"`{path}` is no model that the installed `onnxruntime` can load: {error}") from error
    strange = [given.name for given in session.get_inputs() if given.type not in DTYPES or given.name not in INPUTS]
    if strange or "input_ids" not in {given.name for given in session.get_inputs()}:
        raise EngineError(
            f"`{path}` reads {', '.join(f'`{name}`' for name in strange) or 'no `input_ids`'}; only models that read "
            f"{', '.join(f'`{name}`' for name in INPUTS)}, as whole numbers, can be used"
        )
    return session


def _output(session: InferenceSession, path: Path) -> str:
    names = [output.name for output in session.get_outputs()]
    for name in (TEXT_VECTORS, *TOKEN_VECTORS):
        if name in names:
            return name
    raise EngineError(
        f"`{path}` has the outputs {', '.join(f'`{name}`' for name in names)}, and none of "
        f"{', '.join(f'`{name}`' for name in (TEXT_VECTORS, *TOKEN_VECTORS))}, so nothing says which are its vectors"
    )


def _padding(file: TokenizerFile, folder: Path) -> int:
    """The id that fills up shorter texts. Masked as it is, some models still count positions by it."""
    padding = file.description.get("padding")
    if padding is not None:
        return int(padding["pad_id"])
    token = read_padding_token(folder)
    id_ = None if token is None else file.tokenizer.token_to_id(token)
    if id_ is None:
        raise EngineError(f"`{folder / 'tokenizer_config.json'}` names no `pad_token` that tokenizer.json knows")
    return id_
