"""A client's bytes become an `EmbeddingsRequest`; this room knows OpenAI's fields, and nothing of routes or backends.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Literal, get_args

from gateway.allowances import Priority
from gateway.cache_control import EVERYTHING, CacheControl
from gateway.errors import InvalidRequest, SpaceMismatch
from gateway.inputs import kind, parse_input, quoted
from providers import codec
from providers.base import Input, InputType
from providers.values import frozen

EncodingFormat = Literal["float", "base64"]

ENCODINGS: Final[tuple[EncodingFormat, ...]] = get_args(EncodingFormat)
INPUT_TYPES: Final[tuple[InputType, ...]] = get_args(InputType)
MAX_METADATA_PAIRS: Final = 16
MAX_METADATA_KEY: Final = 64
MAX_METADATA_VALUE: Final = 512

OWN_FIELDS: Final = frozenset(
    {"model", "input", "encoding_format", "dimensions", "user", "metadata", "input_type", "extra_body"}
)
_USUAL: Final = frozenset({"model", "input", "encoding_format"})
"""The fields of most requests."""


@frozen
class EmbeddingsRequest:
    """What a client asks for. `inputs` are all texts or all token ids, at least one, none of them empty."""

    model: str
    inputs: Sequence[Input] = field(repr=False)
    encoding_format: EncodingFormat = "float"
    dimensions: int | None = None
    user: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    input_type: InputType | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    require_space: str | None = None
    cache_control: CacheControl = EVERYTHING
    priority: Priority | None = None
    """The lane that it wishes for."""

    def check_space(self, space: str) -> None:
        """Refuses a route of another space than the client insists on."""
        if self.require_space is not None and self.require_space != space:
            raise SpaceMismatch(
                f"The model `{quoted(self.model)}` serves the vector space `{space}`, and this request requires "
                f"`{quoted(self.require_space)}`. Use a model of that space, or drop `x-embedding-require-space`."
            )


@frozen
class Asked:
    """What a request says outside its body. `path_model` is the model that the URL names; it wins over the body's."""

    path_model: str | None = None
    require_space: str | None = None
    cache_control: CacheControl = EVERYTHING
    priority: Priority | None = None
    texts_only: bool = False


_NOTHING: Final = Asked()


def parse_request(body: bytes, asked: Asked = _NOTHING) -> EmbeddingsRequest:
    """Reads a body. Raises InvalidRequest naming the field, the item and the limit."""
    payload = parse_object(body, "`model` and `input`")
    model = asked.path_model if asked.path_model is not None else _text(payload, "model", required=True)
    if not model:
        raise InvalidRequest("`model` must name a model; it is an empty string.", param="model")
    inputs = parse_input(payload.get("input"), texts_only=asked.texts_only)
    encoding: EncodingFormat = _choice(payload, "encoding_format", ENCODINGS) or "float"
    said = (asked.require_space, asked.cache_control, asked.priority)
    if payload.keys() <= _USUAL:
        return EmbeddingsRequest(model, inputs, encoding, None, None, {}, None, {}, *said)
    return EmbeddingsRequest(
        model,
        inputs,
        encoding,
        _dimensions(payload),
        _text(payload, "user"),
        _metadata(payload),
        _choice(payload, "input_type", INPUT_TYPES),
        _extra(payload),
        *said,
    )


def parse_object(body: bytes, fields: str) -> dict[str, Any]:
    """A body's JSON object; `fields` is what a client that sent none is told to send."""
    if not body:
        raise InvalidRequest(f"The request body is empty; send a JSON object with {fields}.")
    try:
        payload = codec.parse_json(body)
    except codec.JSONError as error:
        raise InvalidRequest(
            f"The request body is not valid JSON ({_json_fault(error)}). "
            f"Send a JSON object in UTF-8 with {fields}; NaN and Infinity are not JSON."
        ) from None
    if not isinstance(payload, dict):
        raise InvalidRequest(f"The request body must be a JSON object; it is {kind(payload)}.")
    return payload


def _json_fault(error: codec.JSONError) -> str:
    return f"line {error.lineno}, column {error.colno}"


def _text(payload: Mapping[str, Any], name: str, *, required: bool = False) -> Any:
    value = payload.get(name)
    if value is None:
        if required:
            raise InvalidRequest(f"`{name}` is missing; it must be a string.", param=name)
        return None
    if not isinstance(value, str):
        raise InvalidRequest(f"`{name}` must be a string; it is {kind(value)}.", param=name)
    return value


def _choice(payload: Mapping[str, Any], name: str, choices: Sequence[str]) -> Any:
    value = payload.get(name)
    if value is None or value in choices:
        return value
    listed = ", ".join(f"`{choice}`" for choice in choices)
    given = f"`{quoted(value)}`" if isinstance(value, str) else kind(value)
    raise InvalidRequest(f"`{name}` must be one of {listed}; it is {given}.", param=name)


def _dimensions(payload: Mapping[str, Any]) -> int | None:
    value = payload.get("dimensions")
    if value is None:
        return None
    if type(value) is not int:  # a JSON true is an int to isinstance
        raise InvalidRequest(
            f"`dimensions` must be a whole number; it is {_describe_number(value)}.", param="dimensions"
        )
    if value < 1:
        raise InvalidRequest(f"`dimensions` must be at least 1; it is {value}.", param="dimensions")
    return value


def _describe_number(value: object) -> str:
    return str(value) if type(value) is float else kind(value)


def _metadata(payload: Mapping[str, Any]) -> Mapping[str, str]:
    value = payload.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"`metadata` must be an object of strings; it is {kind(value)}.", param="metadata")
    if len(value) > MAX_METADATA_PAIRS:
        raise InvalidRequest(
            f"`metadata` holds {len(value)} pairs; at most {MAX_METADATA_PAIRS} are kept.", param="metadata"
        )
    for key, item in value.items():
        if len(key) > MAX_METADATA_KEY:
            raise InvalidRequest(
                f"`metadata` has a key of {len(key)} characters; at most {MAX_METADATA_KEY} are kept.",
                param="metadata",
            )
        if not isinstance(item, str):
            raise InvalidRequest(
                f"`metadata` values must be strings; `{quoted(key)}` is {kind(item)}.", param="metadata"
            )
        if len(item) > MAX_METADATA_VALUE:
            raise InvalidRequest(
                f"`metadata` value of `{quoted(key)}` has {len(item)} characters; "
                f"at most {MAX_METADATA_VALUE} are kept.",
                param="metadata",
            )
    return value


def _extra(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Unknown top-level fields and `extra_body` are one thing: SDKs merge their `extra_body` into the top level."""
    loose = {key: value for key, value in payload.items() if key not in OWN_FIELDS and value is not None}
    given = payload.get("extra_body")
    if not isinstance(given, dict | None):
        raise InvalidRequest(f"`extra_body` must be an object; it is {kind(given)}.", param="extra_body")
    body = {key: value for key, value in (given or {}).items() if value is not None}
    for key, value in [*loose.items(), *body.items()]:
        _check_writable(key, value)
    for key, value in body.items():
        if key in loose and loose[key] != value:
            raise InvalidRequest(
                f"`{quoted(key)}` stands at the top level and in `extra_body`, with different values. Send it once.",
                param=quoted(key),
            )
    return {**loose, **body}


def _check_writable(key: str, value: object) -> None:
    """JSON can be read nested deeper than it can be written, and these fields have to be written upstream."""
    try:
        codec.write_json([[[{key: value}]]])  # with room for the upstream's own levels
    except TypeError:
        raise InvalidRequest(f"`{quoted(key)}` is nested too deeply to be passed on.", param=quoted(key)) from None
