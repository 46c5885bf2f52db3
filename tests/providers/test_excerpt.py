"""Cutting vectors out of an answer before it is parsed never makes another answer of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers import codec, excerpt, native_shape, openai_shape
from providers.base import Embeddings, Response
from tests.fakes.backends import vector

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
VECTORS = st.lists(st.lists(FLOATS, min_size=1, max_size=5).map(lambda numbers: vector(*numbers)), max_size=5)
LARGE = b" " * 2**15
"""Behind an answer, which is then one that is worth to be cut up."""

A, B = vector(1, -2.5), vector(0.1, 3)


def base64(raw: bytes) -> str:
    return codec.vector_to_base64(raw).decode()


def numbers(raw: bytes) -> list[float]:
    read: list[float] = json.loads(codec.vector_to_json(raw))
    return read


def whole(body: bytes) -> Any:
    """What the answer is, parsed whole."""
    return openai_shape.parse_whole(Response(200, {}, body))


def answer(embeddings: Sequence[object], **fields: object) -> dict[str, object]:
    data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(embeddings)]
    return {"object": "list", "data": data, "model": "small", "usage": {"prompt_tokens": 5}, **fields}


@given(
    VECTORS,
    st.sampled_from([base64, numbers]),
    st.sampled_from([None, 2, "\t"]),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\r\n")]),
    st.booleans(),
    st.text(max_size=5),
)
def test_parts_are_the_whole(
    vectors: list[bytes], form: Any, indent: int | str | None, separators: tuple[str, str], ordered: bool, model: str
) -> None:
    """Whichever way an answer is written, its parts are read as the whole is."""
    written = json.dumps(
        answer(list(map(form, vectors)), model=model), indent=indent, separators=separators, sort_keys=ordered
    )
    body = written.encode() + LARGE

    assert Embeddings(vectors, list(range(len(vectors))), 5) == openai_shape.parse_response(Response(200, {}, body))


@pytest.mark.parametrize("form", [base64, numbers])
def test_parts_are_used(form: Any) -> None:
    """The vectors of an ordinary answer are cut out."""
    found = excerpt.of(json.dumps(answer([form(A), form(B)])).encode() + LARGE)

    assert found is not None
    assert ([A, B], answer(found.marks)) == (found.vectors, found.payload)


@pytest.mark.parametrize("form", [base64, numbers])
@pytest.mark.parametrize(("count", "cut"), [(4096, True), (4097, False)])
def test_too_many(form: Any, count: int, cut: bool) -> None:
    """More vectors than any call asks for are not cut out, and read all the same."""
    body = json.dumps(answer([form(A)] * count)).encode()

    assert cut == (excerpt.of(body) is not None)
    assert whole(body) == openai_shape.parse_response(Response(200, {}, body))


@pytest.mark.parametrize("body", [b"[" * 10_000, b"[[" + b"[]," * 10_000 + b"[1]]]"], ids=["nested", "empty"])
def test_too_many_lists(body: bytes) -> None:
    """Among more lists than any answer has, nothing is looked for."""
    assert excerpt.of_numbers(body) is None


PIECES = st.sampled_from(
    [
        *(
            '"embedding":',
            '"embedding" :',
            '"embedding":"',
            '"AAAA"',
            '"AACAPwAAAAA="',
            "AAAA",
            "[1,2]",
            "[1",
            "]",
            "[-0]",
        ),
        *("[", "{", "}", ",", ":", '"', "\\", '\\"', "\\b", "\\b0", '"\\b0"', "\\u0008", "\\n", "0", "1", '"index":0,'),
        *('"index":1,', '"data":[{', '"embedding":"AAAA"', '"embedding":[1,2]', '"embedding":"\\b0"', "}]", '"data":'),
        *(
            '"x":',
            '"x\\"embedding":"AAAA"',
            '"\\[1,2]"',
            '"[1,2]"',
            "[1,true]",
            "[1,null]",
            "[1e99]",
            " ",
            "\n",
            "[1 2]",
        ),
        *(
            '"embeddin\\u0067":"\\b0"',
            '"embedding" :"\\b0"',
            '"embedding":"AA\\/A"',
            "[1,[2]]",
            '{"index":0,"embedding":',
        ),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join))
@example('{"data":[{"index":0,"embedding" :"\\b0"}],"x":{"embedding":"AACAPwAAAAA="}}')
@example('{"data":[{"index":0,"embeddin\\u0067":"\\b0"}],"x":{"embedding":"AACAPwAAAAA="}}')
@example('{"data":[{"index":0,"embedding" :"\\u00080"}],"x":{"embedding":"AACAPwAAAAA="}}')
@example('{"data":[{"index":0,"embedding":"\\b0"}],"x":[1,2]}')
@example('{"data":[{"index":0,"embedding":[1,2]}],"data":[{"index":0,"embedding":[3,4]}]}')
@example('{"data":[{"index":0,"embedding":[1,2],"embedding":[3,4]}]}')
@example('{"data":[{"index":0,"embedding":"AACAPwAAAAA=","embedding":"AAAAAAAAAAA="}]}')
@example('{"data":[{"index":0,"embedding":"\\[1,2]"}]}')
@example('{"data":[{"index":0,"embedding":"[1,2]"}]}')
@example('{"data":[{"index":0,[1,2]:"embedding","embedding":[1,2]}]}')
@example('{"x\\"embedding":"AACAPwAAAAA=","data":[{"index":0,"embedding":"AACAPwAAAAA="}]}')
@example('{"data":[{"index":0,"embedding":[1,2]}],"error":"[1,2]"}')
def test_whatever_comes(body: str) -> None:
    """Whatever an answer is made of, its parts are read as the whole is, or there are none."""
    raw = body.encode() + LARGE
    assert whole(raw) == openai_shape.parse_response(Response(200, {}, raw))

    found = native_shape.answer_of(Response(200, {}, raw))
    assert with_vectors(native_shape.json_of(Response(200, {}, raw))) == with_vectors(found)


def with_vectors(value: Any) -> Any:
    """Lists that hold nothing but numbers made the vectors that they are."""
    if isinstance(value, dict):
        return {key: with_vectors(each) for key, each in value.items()}
    if isinstance(value, list):
        try:
            return codec.vector_from_numbers(value) if value else value
        except ValueError:
            return [with_vectors(each) for each in value]
    return value


@given(st.data(), st.sampled_from([base64, numbers]))
def test_broken_anywhere(data: st.DataObject, form: Any) -> None:
    """An answer with a byte lost, doubled or changed is read as the whole is."""
    body = bytearray(json.dumps(answer([form(A), form(B)])).encode())
    place = data.draw(st.integers(0, len(body) - 1))
    body[place : place + 1] = data.draw(
        st.sampled_from([b"", body[place : place + 1] * 2, b'"', b"\\", b"[", b"]", b"0"])
    )
    raw = bytes(body) + LARGE

    assert whole(raw) == openai_shape.parse_response(Response(200, {}, raw))


def test_deep() -> None:
    """JSON nested deeper than Python calls is read, too."""
    raw = b'{"a":' * 900 + b"[1,2]" + b"}" * 900
    found = native_shape.answer_of(Response(200, {}, raw))
    for _ in range(900):
        assert isinstance(found, dict)
        found = found["a"]

    assert vector(1, 2) == found


@pytest.mark.parametrize("text", ["[0.1, 1, -2e-5]", "[\n  0.1,\n  1e0,\n  -0\n]"])
def test_text_is_kept(text: str) -> None:
    """A vector of numbers knows how they were written, and says them so again."""
    found = openai_shape.parse_response(Response(200, {}, b'{"data":[{"index":0,"embedding":%b}]}' % text.encode()))
    assert isinstance(found, Embeddings)

    assert [text[1:].encode()] == codec.lists_to_json(found.vectors)


def test_text_of_endless_digits() -> None:
    """Numbers that are much longer than need be are written anew."""
    (found,) = codec.lists_to_json([codec.vector_from_json(b"[0.%b]" % (b"3" * 100))])

    assert re.fullmatch(rb"0.3{6,8}[0-9]?\]", found)
