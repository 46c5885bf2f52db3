"""What OpenAI refuses of `POST /v1/embeddings`, in its own words; it sends nothing and makes no vectors.

https://platform.openai.com/docs/api-reference/embeddings/create
Where the real wording or order is unknown, this is one guess; no test of the gateway should lean on it.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.vocabulary import cl100k

MAX_ITEMS: Final = 2048
MAX_TOKENS: Final = 8192
MAX_TOKENS_PER_REQUEST: Final = 300_000
ENCODINGS: Final = ("float", "base64")

# Field, its type, and what the refusal calls that type. An explicit null is none of them.
FIELDS: Final[dict[str, tuple[type, str]]] = {
    "model": (str, "string"),
    "encoding_format": (str, "string"),
    "dimensions": (int, "integer"),
    "user": (str, "string"),
}


@dataclass(frozen=True, slots=True)
class Model:
    native: int
    shortens: bool


MODELS: Final = {
    "text-embedding-3-small": Model(native=1536, shortens=True),
    "text-embedding-3-large": Model(native=3072, shortens=True),
    "text-embedding-ada-002": Model(native=1536, shortens=False),
}

BAD_INPUT: Final = (
    "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
)
NO_KEY: Final = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
NO_JSON: Final = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


class Refused(Exception):
    """A request that the real one would not answer."""

    def __init__(
        self, status: int, message: str, *, type: str = "invalid_request_error", code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.envelope = {"error": {"message": message, "type": type, "param": None, "code": code}}


@dataclass(frozen=True, slots=True)
class Asked:
    """A sound request. Token ids have become the bytes that they spell, so that ids and text are one."""

    model: str
    native: int
    texts: tuple[bytes, ...]
    tokens: int
    dimensions: int
    encoding: str


def check_address(method: str, path: str, served: str) -> None:
    if path != served:
        raise Refused(404, f"Invalid URL ({method} {path})")
    if method != "POST":
        raise Refused(405, "Only POST requests are accepted.", code="method_not_supported")


def check_key(authorization: str | None, api_key: str) -> None:
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Refused(401, NO_KEY)
    if given != api_key:
        masked = given if len(given) < 16 else f"{given[:8]}{'*' * (len(given) - 12)}{given[-4:]}"
        raise Refused(
            401,
            f"Incorrect API key provided: {masked}. "
            "You can find your API key at https://platform.openai.com/account/api-keys.",
            code="invalid_api_key",
        )


def read_body(content_type: str | None, raw: bytes, extra_allowed: Set[str] = frozenset()) -> Asked:
    """What a body asks for. Raises Refused as the real one would answer."""
    body = _object(content_type, raw)
    model = _known_model(body)
    _check_fields(body, extra_allowed)
    dimensions, encoding = _dimensions(body, model), _encoding(body)
    counted = [_counted(place, item) for place, item in _items(body.get("input"))]
    tokens = sum(count for _, count in counted)
    if tokens > MAX_TOKENS_PER_REQUEST:
        raise Refused(
            400,
            f"Requested {tokens} tokens, max {MAX_TOKENS_PER_REQUEST} tokens per request",
            type="max_tokens_per_request",
            code="max_tokens_per_request",
        )
    return Asked(body["model"], model.native, tuple(text for text, _ in counted), tokens, dimensions, encoding)


def _object(content_type: str | None, raw: bytes) -> dict[str, Any]:
    # A body of another type is read as a form there, and a form has no model.
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(400, "you must provide a model parameter")
    try:
        body = orjson.loads(raw)  # also refuses NaN and halves of surrogate pairs
    except orjson.JSONDecodeError:
        raise Refused(400, NO_JSON) from None
    if not isinstance(body, dict):
        raise Refused(400, NO_JSON)
    return body


def _known_model(body: dict[str, Any]) -> Model:
    name = body.get("model")
    if not name:
        raise Refused(400, "you must provide a model parameter")
    if isinstance(name, str) and name not in MODELS:
        raise Refused(
            404, f"The model `{name}` does not exist or you do not have access to it.", code="model_not_found"
        )
    _check_type(body, "model")
    return MODELS[name]


def _check_fields(body: dict[str, Any], extra_allowed: Set[str]) -> None:
    unknown = [name for name in body if name not in {*FIELDS, "input", *extra_allowed}]
    if unknown:
        names = ", ".join(map(repr, unknown))
        verb = "was" if len(unknown) == 1 else "were"
        raise Refused(400, f"Additional properties are not allowed ({names} {verb} unexpected)")
    for name in FIELDS:
        _check_type(body, name)


def _check_type(body: dict[str, Any], name: str) -> None:
    kind, word = FIELDS[name]
    if name in body and type(body[name]) is not kind:  # not isinstance: true is no integer
        raise Refused(400, f"{body[name]!r} is not of type '{word}' - '{name}'")


def _dimensions(body: dict[str, Any], model: Model) -> int:
    if "dimensions" not in body:
        return model.native
    asked: int = body["dimensions"]
    if not model.shortens:
        raise Refused(400, "This model does not support specifying dimensions.")
    if asked < 1:
        raise Refused(400, f"{asked} is less than the minimum of 1 - 'dimensions'")
    if asked > model.native:
        raise Refused(400, f"Invalid value for 'dimensions' = {asked}. Must be less than or equal to {model.native}.")
    return asked


def _encoding(body: dict[str, Any]) -> str:
    encoding: str = body.get("encoding_format", "float")
    if encoding not in ENCODINGS:
        raise Refused(400, f"Invalid value for 'encoding_format' = {encoding}. Supported values: ['float', 'base64'].")
    return encoding


def _items(value: object) -> list[tuple[str, str | list[Any]]]:
    """The inputs, each with its place as refusals name it."""
    if isinstance(value, str):
        return [("input", value)]
    if not isinstance(value, list):
        raise Refused(400, BAD_INPUT)
    kinds = set(map(type, value))
    if kinds not in ({int}, {str}, {list}):
        raise Refused(400, BAD_INPUT)
    if len(value) > MAX_ITEMS:
        raise Refused(400, f"Invalid 'input': array length must be {MAX_ITEMS} or less.")
    return [("input", value)] if kinds == {int} else [(f"input[{i}]", item) for i, item in enumerate(value)]


def _counted(place: str, item: str | list[Any]) -> tuple[bytes, int]:
    """An input's bytes and its number of tokens."""
    if item == "":
        raise Refused(400, f"Invalid '{place}': input cannot be an empty string.")
    text, tokens = (
        (item.encode(), len(cl100k().encode_ordinary(item))) if isinstance(item, str) else (_spelled(item), len(item))
    )
    if tokens > MAX_TOKENS:
        raise Refused(400, f"Invalid '{place}': maximum input length is {MAX_TOKENS} tokens.")
    return text, tokens


def _spelled(ids: list[Any]) -> bytes:
    if not ids or set(map(type, ids)) != {int}:
        raise Refused(400, BAD_INPUT)
    try:
        return cl100k().decode_bytes(ids)
    except (KeyError, OverflowError):  # an id that the vocabulary lacks; one below zero or beyond 32 bits
        raise Refused(400, BAD_INPUT) from None
