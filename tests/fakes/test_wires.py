"""The wires refuse what the real ones refuse: a fake that accepts everything proves nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.fakes.wires import WIRES
from tests.fakes.wires.base import TEXTS, Arrived, Unsound, Wire

EVERY = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)


def sound(wire: Wire, **body: Any) -> Arrived:
    return Arrived(
        method="POST",
        path=wire.path,
        query=wire.query,
        headers={
            "content-type": "application/json",
            wire.key_header: wire.key_scheme + wire.key,
            **wire.headers,
        },
        body={**copy.deepcopy(dict(wire.sample)), **body},
    )


def accepted(wire: Wire, arrived: Arrived) -> bool:
    try:
        wire.ask(arrived)
    except Unsound:
        return False
    return True


@EVERY
def test_sound(wire: Wire) -> None:
    """The sample is sound, asks for its texts, and is answered with JSON; so it is with what may be added."""
    many = len(TEXTS) if wire.max_inputs is None else min(len(TEXTS), wire.max_inputs)
    asked = [wire.ask(sound(wire)), wire.ask(sound(wire, **wire.extra))]

    assert [[text.encode() for text in TEXTS[:many]]] * 2 == [one.texts for one in asked]
    assert 200 == wire.respond(asked[0]).status
    assert orjson.dumps(wire.respond(asked[0]).body, option=orjson.OPT_SERIALIZE_NUMPY)


# ── around the body ───────────────────────────────────────────────────────────────────────────────────────────────


def around(wire: Wire) -> Iterator[tuple[str, Arrived]]:
    """The sample under another address or with other headers."""
    right = sound(wire)
    named = wire.key_header
    other = "api-key" if named == "authorization" else "authorization"
    yield "GET", replace(right, method="GET")
    yield "another path", replace(right, path=f"{wire.path}s")
    yield "no path", replace(right, path="/")
    yield "another query", replace(right, query={"api-version": "2023-05-15"})
    for name in right.headers:
        yield f"without {name}", replace(right, headers={k: v for k, v in right.headers.items() if k != name})
    for what, value in {
        "another key": f"{wire.key_scheme}{wire.key}0",
        "another scheme": f"Basic {wire.key}",
        "an empty key": wire.key_scheme,
    }.items():
        yield what, replace(right, headers={**right.headers, named: value})
    moved = {k: v for k, v in right.headers.items() if k != named}
    yield "the key elsewhere", replace(right, headers={**moved, other: right.headers[named]})
    yield "a form", replace(right, headers={**right.headers, "content-type": "application/x-www-form-urlencoded"})
    bodies: tuple[Any, ...] = (None, [], "one", {})
    for body in bodies:
        yield f"the body {body!r}", replace(right, body=body)


@EVERY
def test_around_the_body(wire: Wire) -> None:
    """Another address, another key, or a key in another place, is refused."""
    assert [] == [what for what, arrived in around(wire) if accepted(wire, arrived)]


# ── within the body ───────────────────────────────────────────────────────────────────────────────────────────────

JUNK = [{"junk": None}]
"""Right nowhere."""


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value within a body, with its place."""
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key), item
        yield from places(item, (*path, key))


def changed(body: Any, path: tuple[str | int, ...], *new: Any) -> Any:
    """The body with another value at this place, or without it where none is given."""
    made = copy.deepcopy(body)
    at = made
    for key in path[:-1]:
        at = at[key]
    if new:
        at[path[-1]] = new[0]
    else:
        del at[path[-1]]
    return made


def worse(wire: Wire, value: Any) -> Iterator[Any]:
    """What may not stand in this value's stead."""
    yield from (None, 7, 7.5, JUNK, {"junk": 1})
    match value:
        case bool():
            yield from (not value, "false", 0)
        case str():
            yield from ("", [], [[]], ["one", None], ["one", "two"])
            if value not in TEXTS:
                yield f"{value}-2"
            if not wire.token_ids:
                yield [9906, 1917]
        case list():
            yield from ([], "one", [*value, None], [*value, ""], [*value, 7])
            if wire.max_inputs is not None:
                yield value * (wire.max_inputs + 1)
        case dict():
            yield from ({}, [], "one", {**value, "no_such_field": 1}, {**value, "no_such_field": None})


def within(wire: Wire) -> Iterator[Arrived]:
    right = sound(wire)
    for path, value in places(right.body):
        for other in worse(wire, value):
            yield replace(right, body=changed(right.body, path, other))
        if isinstance(path[-1], str):
            yield replace(right, body=changed(right.body, path))
    for name in wire.optional:
        yield from (sound(wire, **{name: value}) for value in (None, JUNK, 7.5, [None]))
    for name in {"dimensions", "encoding_format", "input_type", "truncate", "user", "no_such_field"}:
        if name not in {*wire.required, *wire.optional}:
            yield from (sound(wire, **{name: value}) for value in (256, "float", "query", None, False))


@EVERY
def test_within_the_body(wire: Wire) -> None:
    """Every value of a sound body is needed and nothing else can stand there; a null, or an unknown field, never."""
    assert [] == [arrived.body for arrived in within(wire) if accepted(wire, arrived)]


# What each reference says of its own fields, beside what holds for all.
REFUSED: Mapping[str, list[dict[str, Any]]] = {
    "openai": [{"dimensions": 0}, {"dimensions": 1537}, {"encoding_format": "hex"}, {"input": [[100257 + 20]]}],
    "azure": [{"dimensions": 1537}, {"model": "text-embedding-3-small"}],
    "azure-v1": [{"encoding_format": "hex"}],
    "dashscope": [{"dimensions": 100}, {"encoding_format": "base64"}, {"text_type": "query"}],
    "deepinfra": [{"encoding_format": "base64"}, {"dimensions": 0}],
    "fireworks": [{"encoding_format": "float"}, {"normalize": True}, {"user": "u"}],
    "jina": [{"truncate": True}, {"encoding_format": "float"}, {"embedding_type": "binary"}, {"task": "query"}],
    "mistral": [{"dimensions": 256}, {"user": "u"}, {"output_dtype": "int8"}, {"encoding_format": "hex"}],
    "mixedbread": [{"encoding_format": "int8"}, {"encoding_format": ["float"]}, {"normalized": False}],
    "nebius": [{"dimensions": 4097}, {"encoding_format": "base64"}],
    "nugen": [{"encoding_format": "float"}, {"user": "u"}],
    "nvidia": [{"truncate": "END"}, {"input_type": "document"}, {"embedding_type": "int8"}, {"dimensions": 256}],
    "qianfan": [{"input": "one"}, {"encoding_format": "base64"}, {"dimensions": 256}, {"input": ["x" * 1001]}],
    "siliconflow": [{"dimensions": 1025}, {"encoding_format": "hex"}],
    "together": [{"dimensions": 256}, {"user": "u"}],
    "perplexity": [{"encoding_format": "float"}, {"encoding_format": "base64"}, {"dimensions": 64}],
    "upstage": [{"dimensions": 256}, {"input_type": "query"}],
    "volcengine": [{"encoding_format": "hex"}, {"dimensions": 0}],
    "voyage": [{"truncation": True}, {"encoding_format": "float"}, {"dimensions": 256}, {"output_dtype": "int8"}],
    "zhipu": [{"encoding_format": "float"}, {"dimensions": 300}],
    "cloudflare": [{"pooling": "cls"}, {"dimensions": 256}, {"encoding_format": "float"}],
    "databricks": [{"dimensions": 256}, {"encoding_format": "float"}, {"instruction": "x"}],
    "snowflake": [{"input": ["one"]}, {"dimensions": 256}],
    "aihubmix": [{"input": [[9906]]}, {"dimensions": 1537}],
    "github": [{"input": [[9906]]}, {"input_type": "passage"}],
    "oneapi": [{"input": [[9906]]}, {"dimensions": 0}],
    "openrouter": [{"models": ["x"]}, {"provider": {}}, {"input_type": "query"}],
    "infinity": [{"modality": "image"}, {"dimensions": 385}, {"input": ["x" * 122_881]}, {"input": [[9906]]}],
    "llamacpp": [{"dimensions": 256}, {"encoding_format": "hex"}],
    "lmstudio": [{"encoding_format": "base64"}, {"dimensions": 256}, {"input": [[9906]]}],
    "tei": [{"dimensions": 769}, {"truncate": False}, {"encoding_format": "hex"}],
    "vllm": [{"truncate_prompt_tokens": -1}, {"normalize": False}, {"encoding_format": "bytes"}, {"messages": []}],
    "ollama": [{"truncate": True}, {"encoding_format": "float"}, {"input": [[9906]]}],
    "tei-embed": [{"truncate": True}, {"normalize": False}, {"model": "x"}, {"dimensions": 769}],
    "huggingface": [{"truncate": True}, {"normalize": False}, {"model": "x"}, {"dimensions": 256}],
    "nomic": [{"dimensionality": 63}, {"task_type": "query"}, {"long_text_mode": "mean"}, {"input": ["one"]}],
    "watsonx": [{"parameters": {"truncate_input_tokens": 512}}, {"space_id": "x"}, {"project_id": "other"}],
    "gemini": [{"model": "models/gemini-embedding-001"}, {"taskType": "RETRIEVAL_QUERY"}],
    "gemini-2": [
        {
            "requests": [
                {
                    "model": "models/gemini-embedding-2",
                    "content": {"parts": [{"text": "one"}]},
                    "taskType": "RETRIEVAL_QUERY",  # it passes over this
                }
            ]
        },
        {
            "requests": [  # which it would fuse into one vector
                {"model": "models/gemini-embedding-2", "content": {"parts": [{"text": "one"}, {"text": "two"}]}}
            ]
        },
        {"requests": [{"model": "gemini-embedding-2", "content": {"parts": [{"text": "one"}]}}]},
    ],
    "vertex": [
        {"parameters": {"autoTruncate": True}},
        {"parameters": {}},
        {"parameters": {"autoTruncate": False, "outputDimensionality": 769}},
        {"instances": [{"content": "one", "taskType": "RETRIEVAL_QUERY"}]},
    ],
    "vertex-gemini": [{"instances": [{"content": "one"}, {"content": "two"}]}],
    "vertex-embed-content": [
        {"embedContentConfig": {"autoTruncate": False, "taskType": "RETRIEVAL_QUERY"}},
        {"embedContentConfig": {"autoTruncate": True}},
    ],
    "cohere": [
        *({"truncate": "END"}, {"input_type": "query"}, {"output_dimension": 300}, {"embedding_types": ["int8"]}),
        *({"priority": 1000}, {"images": []}, {"max_tokens": 8}, {"dimensions": 256}),
    ],
    "cohere-v1": [{"truncate": "START"}, {"output_dimension": 256}, {"input_type": "image"}],
    "bedrock-titan-v1": [{"dimensions": 256}, {"normalize": True}, {"inputText": ["one"]}],
    "bedrock-titan": [{"dimensions": 300}, {"normalize": False}, {"embeddingTypes": ["binary"]}],
    "bedrock-cohere": [
        *({"output_dimension": 256}, {"truncate": "END"}, {"texts": ["x" * 2049]}, {"model": "x"}, {"max_tokens": 8})
    ],
    "bedrock-cohere-v4": [{"output_dimension": 300}, {"truncate": "RIGHT"}, {"embedding_types": ["int8"]}],
    "bedrock-nova": [
        {"taskType": "SEGMENTED_EMBEDDING"},
        {
            "singleEmbeddingParams": {
                "embeddingPurpose": "GENERIC_INDEX",
                "text": {"value": "one", "truncationMode": "END"},
            }
        },
        {
            "singleEmbeddingParams": {
                "embeddingPurpose": "GENERIC_INDEX",
                "embeddingDimension": 512,
                "text": {"value": "one", "truncationMode": "NONE"},
            }
        },
    ],
}


def test_every_wire_has_refusals_of_its_own() -> None:
    """The table below names every wire."""
    assert set(REFUSED) == set(WIRES)


@EVERY
def test_own_refusals(wire: Wire) -> None:
    """What the reference of a service says that it refuses is refused."""
    assert [] == [fields for fields in REFUSED[wire.name] if accepted(wire, sound(wire, **fields))]


@EVERY
def test_vectors_tell_all_apart(wire: Wire) -> None:
    """Another text, role, or length gives another vector; the same gives the same."""
    asked = wire.ask(sound(wire))
    lengths = [{"dimensions": length} for length in wire.lengths]
    others: list[dict[str, Any]] = [{}, {"texts": [b"three"]}, {"role": "another"}, *lengths]
    vectors = [wire.vectors(replace(asked, **fields))[0].tobytes() for fields in others]

    assert len(others) == len(set(vectors))
    assert vectors[0] == wire.vectors(asked)[0].tobytes()
