"""The shape of the routing file: which keys there are, of what kind, with which defaults. It reads nothing.

Every docstring under a key is what an editor shows; `gateway schema` prints them as JSON Schema.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, WithJsonSchema

from gateway.dimensions import Shorten
from gateway.inputs import MAX_INPUTS
from gateway.quantities import Duration, Size
from gateway.wire import InputType
from providers import PROVIDERS


def check_model_name(name: str) -> str:
    if not name or len(name) > 200 or not name.isprintable() or " " in name:
        raise ValueError("a model's name has 1 to 200 printable characters and no blank")
    return name


def _prompt(template: str) -> str:
    if template.count("{text}") != 1:
        raise ValueError("must hold `{text}` exactly once, where the input goes")
    return template


def _origin(origin: str) -> str:
    if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
        raise ValueError("must be an origin like https://app.example.com, without a path, or `*`")
    return origin


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#@]+[^\s?#]*", url):
        raise ValueError("must be an http:// or https:// URL without credentials, query or fragment")
    return url


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("must be a header name")
    if name.lower() in {"host", "content-length", "transfer-encoding", "connection"}:
        raise ValueError("this header belongs to the HTTP client")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\t\x20-\x7e]*", value.get_secret_value()):
        raise ValueError("must be printable ASCII")
    return value


def _provider(name: str) -> str:
    if name not in PROVIDERS:
        raise ValueError(f"no such provider; there are {', '.join(f'`{known}`' for known in sorted(PROVIDERS))}")
    return name


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("must be a SHA-256 in 64 lower-case hex digits; `gateway keys hash` prints it")
    return text


def _sqlite_url(url: str) -> str:
    if not re.fullmatch(r"sqlite:///.+", url):
        raise ValueError("must be sqlite:///FILE (relative to this file) or sqlite:////FOLDER/FILE")
    return url


ModelName = Annotated[str, AfterValidator(check_model_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
Positive = Annotated[int, Field(ge=1)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ServerShape(Shape):
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port to listen on; 0 takes a free one."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the port."""
    max_body: Size = 32 * 2**20
    """Largest request body."""
    timeout: Duration = 120.0
    """Longest time for one request, all attempts included."""
    drain: Duration = 20.0
    """Time for running requests to finish after a stop signal."""
    expose_targets: bool = True
    """Whether answers and model lists name the target and its provider."""
    cors_origins: list[Annotated[str, AfterValidator(_origin)]] = []
    """Origins of web pages that may call the gateway; `*` for any."""


class StateShape(Shape):
    url: Annotated[str, AfterValidator(_sqlite_url)] = "sqlite:///gateway.db"
    """Where keys are kept; a relative path starts at this file's folder."""


class KeyShape(Shape):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What logs and lists call this key."""
    sha256: Annotated[str, AfterValidator(_sha256)]
    """SHA-256 of the key in lower-case hex: `gateway keys hash` prints it."""
    models: list[str] = ["*"]
    """Models that it may use; `*` stands for any characters."""
    expires: datetime.datetime | datetime.date | None = None
    """When it stops working; a date means the start of that day, UTC."""


class AuthShape(Shape):
    keys: list[KeyShape] = []
    """Keys kept in this file by their hash; more live in the state."""


class DimensionsShape(Shape):
    native: Positive | None = None
    """Length of the vectors as the model makes them."""
    min: Positive | None = None
    """Shortest length that it can be asked for."""
    shorten: Shorten | None = None
    """Who shortens: `native` the provider, `truncate` the gateway (cut and re-normalise), `never` nobody."""
    allowed: list[Positive] | None = None
    """The only lengths besides the native one."""


class LimitsShape(Shape):
    input_tokens: Positive | None = None
    """Most tokens in one input."""
    inputs: Annotated[int, Field(ge=1, le=MAX_INPUTS)] | None = None
    """Most inputs in one request."""
    request_tokens: Positive | None = None
    """Most tokens in all inputs of one request."""


class Facts(Shape):
    """What the catalogue knows of a model, and the routing file may override."""

    space: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")] | None = None
    """Name of the vector space: vectors of one space can be compared."""
    dimensions: DimensionsShape = DimensionsShape()
    limits: LimitsShape = LimitsShape()
    tokenizer: str | None = None
    """What limits are counted in: a tiktoken encoding, or the path of a tokenizer.json."""


class TargetShape(Shape):
    provider: Annotated[str, AfterValidator(_provider), WithJsonSchema({"enum": sorted(PROVIDERS)})]
    """The kind of backend."""
    model: str | None = None
    """The model's name there [the alias]."""
    path: str | None = None
    """Folder of a local model, or `wordllama`."""
    base_url: Annotated[str, AfterValidator(_http_url)] | None = None
    """Where the service lives [the provider's public address]; with or without /v1."""
    api_key: SecretStr | None = None
    """The provider's key: `${NAME}` takes it from the environment."""
    api_key_file: str | None = None
    """A file that holds the provider's key."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,100}$")] | None = None
    """What logs and answers call this target [provider and position]."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of the load among targets of the same priority."""
    priority: int = 0
    """Targets with a lower number are tried first."""
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Most calls at a time; more wait for a free slot."""
    timeout: Duration | None = None
    """Longest time for one attempt [at most 20s, less where other targets have to be tried in what remains]."""
    proxy: SecretStr | None = None
    """HTTP proxy for this target [HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment]."""
    ca_file: str | None = None
    """PEM file of a private certificate authority to trust instead of the public ones."""
    extra_body: dict[str, Any] = {}
    """Fields laid underneath every upstream request body."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Headers added to every upstream request."""
    base64: bool | None = None
    """Whether it answers base64 of float32 when asked [yes at the provider's own address, no elsewhere]."""
    token_ids: bool | None = None
    """Whether its token ids mean what the clients' mean [yes where the catalogue says so, no elsewhere]."""


class ModelShape(Facts):
    aliases: list[ModelName] = []
    """Other names of the same route; an answer echoes the name that was asked for."""
    client_tokens: Literal["cl100k_base", "reject"] = "cl100k_base"
    """What token ids sent by clients mean; `reject` refuses them."""
    prompts: dict[InputType, Annotated[str, AfterValidator(_prompt)]] = {}
    """Text put around the input for each input type, like "query: {text}"."""
    default_input_type: InputType | None = None
    """Which prompt is used when the client names none."""
    normalize: bool = False
    """Whether vectors are made unit length here."""
    client_extra: Literal["any", "none"] | list[str] = "any"
    """Which further upstream fields clients may send."""
    targets: Annotated[list[TargetShape], Field(min_length=1)]
    """Backends that serve this route, all of one vector space."""


class FileShape(Shape):
    server: ServerShape = ServerShape()
    state: StateShape = StateShape()
    auth: AuthShape = AuthShape()
    models: dict[ModelName, ModelShape] = {}
    """The names that clients use, and what serves them."""


def json_schema() -> dict[str, Any]:
    """JSON Schema of the routing file, for editors; a `${NAME}` may stand for any scalar."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **{key: _with_references(value) for key, value in FileShape.model_json_schema().items()},
        "title": "Embedding gateway routing file",
    }


def _with_references(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _with_references(value) for key, value in schema.items() if key not in {"format", "writeOnly"}}
    if schema.get("type") not in {"integer", "number", "boolean"} and "enum" not in schema and "pattern" not in schema:
        return schema
    about = {key: schema.pop(key) for key in ("description", "default", "title", "examples") if key in schema}
    return {**about, "anyOf": [schema, {"type": "string", "pattern": r"\$\{.+\}"}]}
