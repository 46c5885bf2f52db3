"""Embeds with fastembed: a folder of one of the models that it knows, or of any other that says how it is pooled.

`model` is fastembed's own name, like `BAAI/bge-small-en-v1.5`; by it fastembed knows the pooling of folders that do not
say. For other names the folder has to say it, as for `onnx`. Nothing is ever downloaded: `path` is required.
https://qdrant.github.io/fastembed/Getting%20Started/
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from providers.codec import FLOAT32, rows
from providers.engine import EngineError, LocalModel, LocalProvider, Transformer
from providers.local.extras import missing
from providers.local.folder import read_input_tokens, read_recipe
from providers.local.onnx import TOKEN_VECTORS, forward_texts, model_file
from providers.local.sequences import Sequences


def load(model: LocalModel) -> Transformer:
    try:
        from fastembed import TextEmbedding
    except ImportError:
        raise missing("fastembed", "fastembed") from None
    folder = Path(model.path)
    if not folder.is_dir():
        raise EngineError(f"`{folder}` is no folder; `path` is the folder of a model")
    known = {entry["model"].lower() for entry in TextEmbedding.list_supported_models()}
    name = model.name if model.name.lower() in known else _register(folder)
    try:
        library = TextEmbedding(
            name,
            cache_dir=str(folder),  # it makes this folder, wherever it is, and puts nothing in it
            threads=model.threads,
            providers=["CPUExecutionProvider"],
            specific_model_path=str(folder),
            local_files_only=True,
        )
    except Exception as error:  # the libraries' own errors are bare `Exception`s, too
        raise EngineError(f"`{folder}` is no model that the installed `fastembed` can load: {error}") from error
    return _transformer(library.model, folder)


FASTEMBED: Final = LocalProvider("fastembed", load, batches=True, reads_name=True)

KINDS: Final = frozenset(
    {
        *("OnnxTextEmbedding", "PooledEmbedding", "PooledNormalizedEmbedding", "LastTokenNormalizedEmbedding"),
        *("BuiltinSentenceEmbedding", "CustomTextEmbedding"),
    }
)
"""fastembed's classes that read a text and nothing beside it. Others take images, or choose a task on their own."""


def _register(folder: Path) -> str:
    """A name by which fastembed knows the folder's model from now on, and how the folder says that it is pooled."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    recipe = read_recipe(folder)
    poolings = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "lasttoken": PoolingType.LAST_TOKEN}
    name = f"gateway/{uuid.uuid4().hex}"  # its register is never emptied, and takes no name twice
    TextEmbedding.add_custom_model(
        model=name,
        pooling=poolings[recipe.pooling],
        normalization=recipe.unit,
        sources=ModelSource(hf=name),  # where it would be downloaded from, without `specific_model_path`
        dim=1,  # which only other callers would ask for
        model_file=str(model_file(folder).relative_to(folder)),
    )
    return name


def _transformer(library: Any, folder: Path) -> Transformer:
    """`library` is fastembed's own object for the model, whose class depends on the model."""
    kind = type(library).__name__
    if kind not in KINDS:
        raise EngineError(f"fastembed's models of the kind `{kind}` cannot be used here, only those that read a text")
    output = library.model.get_outputs()[0].name
    if kind == "CustomTextEmbedding" and output not in TOKEN_VECTORS:
        raise EngineError(
            f"The first output of the model in `{folder}` is `{output}`, and fastembed takes the first for the vectors "
            f"of tokens, which are called {' or '.join(f'`{name}`' for name in TOKEN_VECTORS)}. `provider: onnx` looks "
            "for them by their name"
        )
    longest: int = library.tokenizer.truncation["max_length"]
    if kind == "CustomTextEmbedding":
        longest = read_input_tokens(folder)
    sequences = Sequences.like(library.tokenizer, folder / "tokenizer.json", longest)
    library.tokenizer.no_truncation()

    def forward(texts: Sequence[str]) -> list[bytes]:
        made = list(library.embed(list(texts), batch_size=len(texts)))
        return rows(np.array(made, np.float32))

    try:
        dimensions = len(forward(["a"])[0]) // FLOAT32.itemsize
    except Exception as error:  # the libraries' own errors are bare `Exception`s, too
        raise EngineError(f"The model in `{folder}` does not run: {error}") from error
    return Transformer(
        dimensions=dimensions,
        input_tokens=longest,
        lengths=sequences.lengths,
        forward=forward,
        forward_texts=forward_texts(folder / library.model_description.model_file),
        tokenizer=str(folder / "tokenizer.json"),
    )
