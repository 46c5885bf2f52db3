"""From a client's bytes to an `EmbeddingsRequest`: what is no JSON, what each field may be, what is passed on."""

from __future__ import annotations

import json
import re
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, SpaceMismatch
from gateway.wire import INPUT_TYPES, OWN_FIELDS, Asked, EmbeddingsRequest, parse_request
from providers import codec

MINIMAL = {"model": "m", "input": "x"}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
EXTRA = st.dictionaries(st.text().filter(lambda name: name not in OWN_FIELDS), JSON, max_size=4)


def parsed(**fields: Any) -> EmbeddingsRequest:
    return parse_request(json.dumps({**MINIMAL, **fields}).encode())


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    return caught.value


def refusal_of(body: bytes) -> InvalidRequest | None:
    try:
        parse_request(body)
    except InvalidRequest as error:
        return error
    return None


# ── the body ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_minimal() -> None:
    """Model and input suffice."""

    assert EmbeddingsRequest("m", ["x"]) == parsed()


def test_whole() -> None:
    """Every field of OpenAI's, and of the gateway's own, arrives."""
    request = parse_request(
        json.dumps(
            {
                "model": "m",
                "input": ["a", "b"],
                "encoding_format": "base64",
                "dimensions": 256,
                "user": "u-1",
                "metadata": {"team": "search"},
                "input_type": "query",
                "extra_body": {"truncate": "END"},
                "tier": 1,
            }
        ).encode(),
        Asked(require_space="s"),
    )
    expected = EmbeddingsRequest(
        "m", ["a", "b"], "base64", 256, "u-1", {"team": "search"}, "query", {"tier": 1, "truncate": "END"}, "s"
    )

    assert expected == request


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"hello", "line 1, column 1"),
        (b"   ", "line 1, column"),
        (b'{"model": "m", "input": "x", "dimensions": NaN}', "line 1, column 44"),
        (b'{"model": "m",\n "dimensions": Infinity}', "line 2, column 16"),
        (b'{"model": "m", "input": "x", "dimensions": 1e999}', "line 1, column 44"),
        (b'{"model": "m", "input": "x"', "line 1, column 28"),
        (b'{"model": "m", "input": "x",}', "line 1, column 28"),
        (b'{"model": "m"} {"model": "m"}', "line 1, column 16"),
        (b"{'model': 'm'}", "line 1, column 2"),
        (b'{"model": "m", "input": "\\ud800"}', "line 1, column"),
        (b'{"model": "m", "input": "\\udc00\\ud800"}', "line 1, column"),
        (b'{"model": "m", "input": "a\nb"}', "line"),
        (b'{"model": "m", "input": "\xff"}', "line 1, column"),
        (b'{"model": "m", "input": "\xed\xa0\x80"}', "line 1, column"),
        (b'\xef\xbb\xbf{"model": "m"}', "line 1, column 1"),
        ('{"model": "m"}'.encode("utf-16"), "line 1, column 1"),
        (b"[" * 100_000, "line 1, column"),
        (b'{"a":' * 100_000, "line 1, column"),
        (b"\x1f\x8b\x08", "line 1, column 1"),
    ],
    ids=count(),
)
def test_no_json(body: bytes, place: str) -> None:
    """A body that is no JSON is refused, with the place where it goes wrong."""
    with pytest.raises(InvalidRequest, match=rf"^The request body is not valid JSON \({place}") as caught:
        parse_request(body)

    assert caught.value.param is None


def test_empty_body() -> None:
    """An empty body is called empty."""
    with pytest.raises(InvalidRequest, match=r"^The request body is empty; send a JSON object"):
        parse_request(b"")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "an array"),
        (b'[{"model": "m", "input": "x"}]', "an array"),
        (b'"model"', "a string"),
        (b"1", "a number"),
        (b"true", "a boolean"),
        (b"null", "null"),
    ],
)
def test_no_object(body: bytes, kind: str) -> None:
    """JSON that is no object is refused with what it is."""
    with pytest.raises(InvalidRequest, match=f"^The request body must be a JSON object; it is {kind}\\.$"):
        parse_request(body)


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    """Bytes at random are refused, and raise nothing else."""

    assert refusal_of(body) is not None


@given(st.dictionaries(st.sampled_from(sorted(OWN_FIELDS)), JSON, max_size=3), EXTRA)
def test_any_fields(own: dict[str, Any], extra: dict[str, Any]) -> None:
    """Whatever values the fields have, the body is parsed, or refused in the name of a field."""
    error = refusal_of(json.dumps({**MINIMAL, **extra, **own}).encode())

    assert error is None or error.param is not None


@pytest.mark.parametrize("body", [b'{"model": "a", "model": "m", "input": "x"}', b' \r\n\t{"input":"x","model":"m"}\n'])
def test_json_as_people_write_it(body: bytes) -> None:
    """White space around a body is no fault, and of a key that comes twice the last one counts."""

    assert EmbeddingsRequest("m", ["x"]) == parse_request(body)


# ── nulls ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", [*sorted(OWN_FIELDS - {"model", "input"}), "unknown"])
def test_null(name: str) -> None:
    """An explicit null in an optional field is as good as no field."""

    assert parsed() == parsed(**{name: None})


@pytest.mark.parametrize("name", ["model", "input"])
def test_null_in_a_required_field(name: str) -> None:
    """A null in a required field is a missing field."""
    error = refused(**{name: None})

    assert (name, True) == (error.param, error.message.startswith(f"`{name}` is missing; it must be a string"))


def test_null_within_extra_body() -> None:
    """A null in `extra_body` is as good as no key."""

    assert {"b": 1} == parsed(extra_body={"a": None, "b": 1}).extra


# ── the fields ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["m", "team/model:query", "a b", "名前", "`"])
def test_model(name: str) -> None:
    """Any text may name a model: whether it does is not decided here."""

    assert name == parsed(model=name).model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("", "`model` must name a model; it is an empty string."),
        (3, "`model` must be a string; it is a number."),
        (["m"], "`model` must be a string; it is an array."),
        (False, "`model` must be a string; it is a boolean."),
    ],
)
def test_bad_model(model: Any, message: str) -> None:
    """A model is a string with at least one character."""
    error = refused(model=model)

    assert ("model", message) == (error.param, error.message)


@pytest.mark.parametrize(
    "body", [{"model": "other", "input": "x"}, {"input": "x"}, {"model": 7, "input": "x"}, {"model": "", "input": "x"}]
)
def test_path_model(body: dict[str, Any]) -> None:
    """The model that the URL names wins, whatever the body says."""
    request = parse_request(json.dumps(body).encode(), Asked(path_model="deployment"))

    assert "deployment" == request.model


def test_empty_path_model() -> None:
    """A URL that names no model is refused."""
    with pytest.raises(InvalidRequest, match="`model` must name a model"):
        parse_request(json.dumps(MINIMAL).encode(), Asked(path_model=""))


def test_input_is_parsed() -> None:
    """A wrong `input` is refused as `inputs` words it."""

    assert (
        "`input[1]` is an empty string; every input needs at least one character." == refused(input=["a", ""]).message
    )


def test_texts_only() -> None:
    """Where only texts go, token ids are refused."""
    with pytest.raises(InvalidRequest, match="must be a string or an array of strings"):
        parse_request(json.dumps({"model": "m", "input": [1]}).encode(), Asked(texts_only=True))


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_encoding_format(encoding: str) -> None:
    """Both of OpenAI's encodings can be had."""

    assert encoding == parsed(encoding_format=encoding).encoding_format


@pytest.mark.parametrize(
    ("encoding", "given_kind"),
    [
        ("md5", "`md5`"),
        ("", "``"),
        ("FLOAT", "`FLOAT`"),
        ("a`b\n", "`a?b?`"),
        (1, "a number"),
        (True, "a boolean"),
        (["float"], "an array"),
        ({}, "an object"),
    ],
)
def test_bad_encoding_format(encoding: Any, given_kind: str) -> None:
    """No other encoding can be had."""
    error = refused(encoding_format=encoding)
    message = f"`encoding_format` must be one of `float`, `base64`; it is {given_kind}."

    assert ("encoding_format", message) == (error.param, error.message)


@pytest.mark.parametrize("dimensions", [1, 256, 2**64 - 1])
def test_dimensions(dimensions: int) -> None:
    """Any whole number from 1 may be asked for: whether the model gives it is not decided here."""

    assert dimensions == parsed(dimensions=dimensions).dimensions


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        (0, "`dimensions` must be at least 1; it is 0."),
        (-1, "`dimensions` must be at least 1; it is -1."),
        (-(2**63), "`dimensions` must be at least 1; it is -9223372036854775808."),
        (1.5, "`dimensions` must be a whole number; it is 1.5."),
        (256.0, "`dimensions` must be a whole number; it is 256.0."),
        (2**64, "`dimensions` must be a whole number; it is 1.8446744073709552e+19."),
        (True, "`dimensions` must be a whole number; it is a boolean."),
        ("256", "`dimensions` must be a whole number; it is a string."),
        ([256], "`dimensions` must be a whole number; it is an array."),
        ({}, "`dimensions` must be a whole number; it is an object."),
    ],
)
def test_bad_dimensions(dimensions: Any, message: str) -> None:
    """Dimensions are a whole number from 1, which a boolean is not."""
    error = refused(dimensions=dimensions)

    assert ("dimensions", message) == (error.param, error.message)


@pytest.mark.parametrize("user", ["", "u-1", "名前", "x" * 10_000])
def test_user(user: str) -> None:
    """Any text may stand for a user."""

    assert user == parsed(user=user).user


@pytest.mark.parametrize(("user", "kind"), [(7, "a number"), (["u"], "an array"), (False, "a boolean")])
def test_bad_user(user: Any, kind: str) -> None:
    """A user is a string."""
    error = refused(user=user)

    assert ("user", f"`user` must be a string; it is {kind}.") == (error.param, error.message)


@pytest.mark.parametrize("input_type", INPUT_TYPES)
def test_input_type(input_type: str) -> None:
    """Each of the five input types can be named."""

    assert input_type == parsed(input_type=input_type).input_type


@pytest.mark.parametrize(("input_type", "kind"), [("poem", "`poem`"), ("Query", "`Query`"), (0, "a number")])
def test_bad_input_type(input_type: Any, kind: str) -> None:
    """No other input type can be named."""
    error = refused(input_type=input_type)
    message = (
        f"`input_type` must be one of `query`, `document`, `classification`, `clustering`, `similarity`; it is {kind}."
    )

    assert ("input_type", message) == (error.param, error.message)


@pytest.mark.parametrize(
    "metadata",
    [{}, {"a": ""}, {"": "a"}, {"k" * 64: "v" * 512}, {str(number): "v" for number in range(16)}],
    ids=["none", "empty value", "empty key", "longest", "most"],
)
def test_metadata(metadata: dict[str, str]) -> None:
    """Sixteen short pairs of strings fit."""

    assert metadata == parsed(metadata=metadata).metadata


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([], "`metadata` must be an object of strings; it is an array."),
        ("a=b", "`metadata` must be an object of strings; it is a string."),
        ({str(n): "v" for n in range(17)}, "`metadata` holds 17 pairs; at most 16 are kept."),
        ({"k" * 65: "v"}, "`metadata` has a key of 65 characters; at most 64 are kept."),
        ({"a": "v" * 513}, "`metadata` value of `a` has 513 characters; at most 512 are kept."),
        ({"a": 1}, "`metadata` values must be strings; `a` is a number."),
        ({"a": None}, "`metadata` values must be strings; `a` is null."),
        ({"a": {"b": "c"}}, "`metadata` values must be strings; `a` is an object."),
        ({"`\n": ["x"]}, "`metadata` values must be strings; `??` is an array."),
    ],
    ids=count(),
)
def test_bad_metadata(metadata: Any, message: str) -> None:
    """Anything but sixteen short pairs of strings is refused with what is too much or too long."""
    error = refused(metadata=metadata)

    assert ("metadata", message) == (error.param, error.message)


# ── what is passed on ─────────────────────────────────────────────────────────────────────────────────────────────


@given(EXTRA)
def test_extra_body(extra: dict[str, Any]) -> None:
    """Unknown fields at the top level and the same fields in `extra_body` are one request."""

    assert parsed(extra_body=extra) == parsed(**extra)


@given(EXTRA, st.data())
def test_extra_in_both_places(extra: dict[str, Any], data: st.DataObject) -> None:
    """Extra fields may be split over both places, and some may stand in both."""
    loose = {name: value for name, value in extra.items() if data.draw(st.booleans())}
    body = {name: value for name, value in extra.items() if name not in loose or data.draw(st.booleans())}

    assert parsed(**extra).extra == parsed(extra_body=body, **loose).extra


@given(EXTRA)
def test_extra_is_all_that_is_unknown(extra: dict[str, Any]) -> None:
    """An unknown field arrives unchanged, unless it is null."""

    assert {name: value for name, value in extra.items() if value is not None} == parsed(**extra).extra


@given(st.text().filter(lambda name: name not in OWN_FIELDS), st.tuples(JSON, JSON))
def test_conflict(name: str, values: tuple[Any, Any]) -> None:
    """A field that stands in both places with two values is refused; a null is no value."""
    conflicting = None not in values and values[0] != values[1]
    body = json.dumps({**MINIMAL, name: values[0], "extra_body": {name: values[1]}}).encode()

    assert conflicting == (refusal_of(body) is not None)


def test_conflict_names_the_field() -> None:
    """The refusal of a conflict names the field."""
    error = refused(tier=1, extra_body={"tier": 2})
    message = "`tier` stands at the top level and in `extra_body`, with different values. Send it once."

    assert ("tier", message) == (error.param, error.message)


@pytest.mark.parametrize(("extra", "kind"), [([], "an array"), ("a", "a string"), (1, "a number"), (True, "a boolean")])
def test_bad_extra_body(extra: Any, kind: str) -> None:
    """`extra_body` is an object."""
    error = refused(extra_body=extra)

    assert ("extra_body", f"`extra_body` must be an object; it is {kind}.") == (error.param, error.message)


def test_own_fields_within_extra_body() -> None:
    """A field within `extra_body` is the upstream's, even under a name that means something here."""
    request = parsed(extra_body={"dimensions": 3, "input_type": "search"})
    expected = {"dimensions": 3, "input_type": "search"}

    assert (None, None, expected) == (request.dimensions, request.input_type, request.extra)


@pytest.mark.parametrize(
    "form", ['"deep": {deep}', '"extra_body": {{"deep": {deep}}}', '"deep": {deep}, "extra_body": {{"deep": {deep}}}']
)
def test_deep_extra(form: str) -> None:
    """A field that is nested too deeply to be written again is refused by its name."""
    body = f'{{"model": "m", "input": "x", {form.format(deep="[" * 1000 + "]" * 1000)}}}'
    with pytest.raises(InvalidRequest, match=r"^`deep` is nested too deeply to be passed on\.$") as caught:
        parse_request(body.encode())

    assert "deep" == caught.value.param


@pytest.mark.parametrize("depth", range(245, 260))
def test_extra_can_be_written(depth: int) -> None:
    """What is not refused can be written within an upstream's body."""
    body = f'{{"model": "m", "input": "x", "deep": {"[" * depth}{"]" * depth}}}'.encode()

    assert refusal_of(body) is not None or codec.write_json({"input": ["x"], **parse_request(body).extra})


# ── the finished value ────────────────────────────────────────────────────────────────────────────────────────────


def test_repr() -> None:
    """A request that is printed shows nothing of what its client wrote but the model and the settings."""
    request = parsed(input=["s3cret"], user="s3cret", metadata={"s3cret": "s3cret"}, extra_body={"s3cret": "s3cret"})

    assert "s3cret" not in repr(request)


@pytest.mark.parametrize("required", [None, "openai/small"])
def test_space(required: str | None) -> None:
    """A route of the required space is used, as is any route where none is required."""
    EmbeddingsRequest("m", ["x"], require_space=required).check_space("openai/small")


@pytest.mark.parametrize("required", ["openai/large", "", "OpenAI/small", "a`\nb"])
def test_other_space(required: str) -> None:
    """A route of another space than the required one is refused, with both."""
    shown = re.escape(required.replace("`\n", "??"))
    with pytest.raises(SpaceMismatch, match=f"serves the vector space `openai/small`, .* requires `{shown}`"):
        EmbeddingsRequest("m", ["x"], require_space=required).check_space("openai/small")
