"""Embeds with sentence-transformers, for models that `onnx` cannot compute; needs torch. Nothing is ever downloaded.

https://sbert.net/docs/package_reference/sentence_transformer/model.html

Code in the model's folder is not run (`trust_remote_code`), and the folder's default prompt is not put before texts:
the route's `prompts` decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from providers.codec import FLOAT32, rows
from providers.engine import EngineError, LocalModel, LocalProvider, Transformer
from providers.local.extras import missing
from providers.local.folder import NO_LIMIT
from providers.local.sequences import Sequences


def load(model: LocalModel) -> Transformer:
    try:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging
    except ImportError:
        raise missing("sentence-transformers", "sentence-transformers") from None
    folder = Path(model.path)
    if not folder.is_dir():
        raise EngineError(f"`{folder}` is no folder; `path` is the folder of a model")
    logging.disable_progress_bar()  # which goes to stderr, among the lines of the log
    if model.threads is not None:
        torch.set_num_threads(model.threads)
    try:
        library = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)
        library.default_prompt_name = None
        return _transformer(library, folder)
    except EngineError:
        raise
    except Exception as error:  # the library raises whatever its own parts raise
        raise EngineError(
            f"`{folder}` is no model that the installed `sentence-transformers` can load: {error}"
        ) from error


SENTENCE_TRANSFORMERS: Final = LocalProvider("sentence-transformers", load, batches=True)


def _transformer(library: Any, folder: Path) -> Transformer:
    longest = library.max_seq_length
    if type(longest) is not int or not 0 < longest <= NO_LIMIT:
        raise EngineError(
            f"Nothing in `{folder}` says how long a text this model reads. "
            "Give `max_seq_length` in its sentence_bert_config.json, or `model_max_length` in its tokenizer_config.json"
        )
    sequences = Sequences.like(library.tokenizer.backend_tokenizer, folder / "tokenizer.json", longest)
    _check_lengths(library, sequences, longest)

    def forward(texts: Sequence[str]) -> list[bytes]:
        made = library.encode(list(texts), prompt="", batch_size=len(texts), show_progress_bar=False)
        return rows(np.asarray(made, np.float32))

    file = folder / "tokenizer.json"
    return Transformer(
        dimensions=len(forward(["a"])[0]) // FLOAT32.itemsize,
        input_tokens=longest,
        lengths=sequences.lengths,
        forward=forward,
        tokenizer=str(file) if file.is_file() else None,
    )


def _check_lengths(library: Any, sequences: Sequences, longest: int) -> None:
    """Texts up to `longest` reach the model whole, and as they are: some settings of the library prevent it."""
    for text in ("a", "a " * longest):
        seen = int(library.preprocess([text], prompt="")["attention_mask"].sum())
        counted = min(len(sequences.encode(text)), longest)
        if seen != counted:
            raise EngineError(
                f"sentence-transformers reads {seen} tokens of a text that has {counted}: look for a `max_length`, a "
                "chat template or a prompt in the folder's sentence_bert_config.json and tokenizer_config.json"
            )
