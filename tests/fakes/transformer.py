"""A BERT of two layers with random weights, small enough to be made by a test, and computed a second time in numpy.

`TinyBert.write` makes a folder as sentence-transformers has it: model.onnx, tokenizer.json and what says how vectors
are made. `TinyBert.vector` computes the vector of one text alone, unpadded, by other means than ONNX.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

Floats = npt.NDArray[np.float32]

HIDDEN, HEADS, INNER, LAYERS, POSITIONS = 16, 2, 24, 2, 64
LONGEST = 48
"""Tokens of one text, special ones included."""

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
WORDS = ["cat", "dog", "sat", "mat", "the", "on", "##s", *string.ascii_lowercase]
VOCABULARY = [*SPECIAL, *WORDS, *(f"##{letter}" for letter in string.ascii_lowercase if letter != "s")]

TRANSFORMER, POOLING, NORMALIZE = (
    {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
    for place, (kind, path) in enumerate([("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")])
)


def tokenizer() -> Tokenizer:
    made = Tokenizer(models.WordPiece({token: place for place, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(SPECIAL)
    made.enable_truncation(8)  # as many files on the hub say, and no engine may obey
    made.enable_padding(pad_id=0, pad_token="[PAD]", length=LONGEST)
    return made


class TinyBert:
    """The weights of one seed."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)

        def weights(*shape: int) -> Floats:
            return random.normal(0, 0.5, shape).astype(np.float32)

        self.weights: dict[str, Floats] = {
            "words": weights(len(VOCABULARY), HIDDEN),
            "positions": weights(POSITIONS, HIDDEN),
            "types": weights(2, HIDDEN),
        }
        for layer in range(LAYERS):
            for name in ("query", "key", "value", "output"):
                self.weights[f"{name}{layer}"] = weights(HIDDEN, HIDDEN)
            self.weights[f"widen{layer}"] = weights(HIDDEN, INNER)
            self.weights[f"narrow{layer}"] = weights(INNER, HIDDEN)

    # ── the folder ────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, folder: Path, *, pooling: str | None = "mean", unit: bool = True, file: str = "model.onnx") -> Path:
        """`pooling` is one of sentence-transformers' words; None leaves out whatever says it."""
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        onnx.save(self.graph(), folder / file)
        tokenizer().save(str(folder / "tokenizer.json"))
        jsons: dict[str, Any] = {
            "tokenizer_config": {"model_max_length": 512, "pad_token": "[PAD]", "tokenizer_class": "BertTokenizer"},
            "sentence_bert_config": {"max_seq_length": LONGEST, "do_lower_case": False},
            "config": {"model_type": "bert", "max_position_embeddings": POSITIONS, "pad_token_id": 0},
        }
        if pooling is not None:
            jsons["modules"] = [TRANSFORMER, POOLING, NORMALIZE] if unit else [TRANSFORMER, POOLING]
            jsons["1_Pooling/config"] = {"embedding_dimension": HIDDEN, "pooling_mode": pooling}
        for name, value in jsons.items():
            write_json(folder, name, value)
        return folder

    def graph(self, output: str = "last_hidden_state") -> onnx.ModelProto:
        """Reads ids, mask and types, each of shape (texts, longest); writes (texts, longest, HIDDEN)."""
        nodes = _Nodes()
        add, matmul = nodes.binary("Add"), nodes.binary("MatMul")
        length = nodes("Gather", nodes("Shape", "input_ids"), nodes.constant(1, np.int64))
        places = nodes("Range", nodes.constant(0, np.int64), length, nodes.constant(1, np.int64))
        embedded = add(nodes("Gather", "words", "input_ids"), nodes("Gather", "types", "token_type_ids"))
        state = nodes.normalised(add(embedded, nodes("Gather", "positions", places)))
        mask = nodes(
            "Cast", nodes("Unsqueeze", "attention_mask", nodes.constant([1, 2], np.int64)), to=TensorProto.FLOAT
        )
        hidden = nodes("Mul", nodes("Sub", nodes.constant(1, np.float32), mask), nodes.constant(-1e9, np.float32))
        heads = nodes.constant([0, 0, HEADS, HIDDEN // HEADS], np.int64)
        for layer in range(LAYERS):
            query, key, value = (
                nodes("Transpose", nodes("Reshape", matmul(state, f"{name}{layer}"), heads), perm=order)
                for name, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
            )
            scores = nodes("Div", matmul(query, key), nodes.constant((HIDDEN // HEADS) ** 0.5, np.float32))
            read = matmul(nodes("Softmax", add(scores, hidden), axis=-1), value)
            joined = nodes(
                "Reshape", nodes("Transpose", read, perm=[0, 2, 1, 3]), nodes.constant([0, 0, HIDDEN], np.int64)
            )
            state = nodes.normalised(add(state, matmul(joined, f"output{layer}")))
            widened = nodes("Tanh", matmul(state, f"widen{layer}"))
            state = nodes.normalised(add(state, matmul(widened, f"narrow{layer}")))
        nodes.all.append(helper.make_node("Identity", [state], [output]))
        shape = ["texts", "longest"]
        graph = helper.make_graph(
            nodes.all,
            "tiny-bert",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, shape)
                for name in ("input_ids", "attention_mask", "token_type_ids")
            ],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [*shape, HIDDEN])],
            [*(numpy_helper.from_array(array, name) for name, array in self.weights.items()), *nodes.constants],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)

    # ── the same by numpy ─────────────────────────────────────────────────────────────────────────────────────────

    def vector(self, text: str, pooling: str = "mean", *, unit: bool = True) -> Floats:
        reader = tokenizer()
        reader.no_truncation()
        reader.no_padding()
        tokens = self._tokens(reader.encode(text).ids)
        vector: Floats = {"mean": tokens.mean(axis=0), "cls": tokens[0], "lasttoken": tokens[-1]}[pooling]
        return vector / np.float32(np.linalg.norm(vector)) if unit else vector

    def _tokens(self, ids: list[int]) -> Floats:
        """(tokens, HIDDEN)"""
        given = self.weights
        state = _normalised(given["words"][ids] + given["types"][0] + given["positions"][: len(ids)])
        for layer in range(LAYERS):
            read: list[Floats] = []
            for head in range(HEADS):
                part = slice(head * HIDDEN // HEADS, (head + 1) * HIDDEN // HEADS)
                query, key, value = ((state @ given[f"{name}{layer}"])[:, part] for name in ("query", "key", "value"))
                scores: Floats = np.exp(query @ key.T / np.float32(np.sqrt(HIDDEN // HEADS)))
                read.append(scores / scores.sum(axis=1, keepdims=True) @ value)
            state = _normalised(state + np.concatenate(read, axis=1) @ given[f"output{layer}"])
            state = _normalised(state + np.tanh(state @ given[f"widen{layer}"]) @ given[f"narrow{layer}"])
        return state.astype(np.float32)


def write_json(folder: Path, name: str, value: object) -> None:
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _normalised(state: Floats) -> Floats:
    centred = state - state.mean(axis=1, keepdims=True)
    scaled: Floats = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
    return scaled


class _Nodes:
    """A graph in the making: each call adds an operation, and gives the name of what it makes."""

    def __init__(self) -> None:
        self.all: list[onnx.NodeProto] = []
        self.constants = [
            numpy_helper.from_array(np.ones(HIDDEN, np.float32), "ones"),
            numpy_helper.from_array(np.zeros(HIDDEN, np.float32), "zeros"),
        ]

    def __call__(self, operation: str, *inputs: str, **attributes: Any) -> str:
        made = f"made{len(self.all)}"
        self.all.append(helper.make_node(operation, list(inputs), [made], **attributes))
        return made

    def binary(self, operation: str) -> Any:
        return lambda left, right: self(operation, left, right)

    def normalised(self, state: str) -> str:
        return self("LayerNormalization", state, "ones", "zeros", axis=-1, epsilon=1e-5)

    def constant(self, value: Any, dtype: Any) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name
