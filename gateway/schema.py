"""The shape of the routing file: which keys there are, of what kind, with which defaults. It reads nothing.

Every docstring under a key is what an editor shows; `gateway schema` prints them as JSON Schema.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gateway import checks
from gateway.access_shape import GrantShape, PlainName, TeamShape
from gateway.identity_shape import ConsoleShape, JwtShape
from gateway.model_shape import HeaderName, HeaderValue, ModelName, ModelShape, inside
from gateway.quantities import Duration, Size
from gateway.shape import Shape


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
    canary_interval: Duration = 21_600.0
    """Time between two looks at whether a target still makes the vectors of its space; one process looks for all."""
    drain: Duration = 20.0
    """Time for running requests to finish after a stop signal."""
    metrics: Literal["admin", "public"] = "admin"
    """Who may read /metrics: whoever has the admin key, or everyone."""
    expose_targets: bool = True
    """Whether answers and model lists name the target and its provider."""
    cors_origins: list[Annotated[str, AfterValidator(checks.origin)]] = []
    """Origins of web pages that may call the gateway; `*` for any."""
    trusted_proxies: list[Annotated[str, AfterValidator(checks.network)]] = []
    """Networks of the balancers in front, like 10.0.0.0/8, whose `X-Forwarded-For` is believed."""
    watch: bool = False
    """Whether this file and the files that it names are read again when they change."""


class StateShape(Shape):
    url: Annotated[SecretStr, inside(checks.state_url)] = SecretStr("sqlite:///gateway.db")
    """Where keys, budgets and usage are kept: sqlite:///FILE, redis://, rediss://, redis+sentinel://, redis+cluster://."""
    password_file: str | None = None
    """A file that holds the password of Redis."""
    ca_file: str | None = None
    """PEM file of a private certificate authority that Redis's certificate is from."""
    on_state_loss: Literal["allow", "deny"] = "allow"
    """While Redis cannot be reached: `allow` serves known keys and counts in each process, `deny` refuses everyone."""
    allow_unshared: bool = False
    """Whether several workers may each count for themselves, over SQLite."""


class KeyShape(GrantShape):
    name: PlainName
    """What logs and lists call this key."""
    sha256: Annotated[str, AfterValidator(checks.sha256)]
    """SHA-256 of the key in lower-case hex: `gateway keys hash` prints it."""
    expires: Annotated[datetime.datetime | datetime.date | None, BeforeValidator(checks.moment)] = None
    """When it stops working; a date means the start of that day, UTC."""


class AuthShape(Shape):
    admin_key: SecretStr | None = None
    """The key to /admin; without one, or with one of less than 16 characters, there is no /admin."""
    admin_key_file: str | None = None
    """A file that holds it."""
    signing_key_file: str | None = None
    """A file of at least 32 secret bytes, taken as they are, which `gateway keys mint` signs with."""
    default_models: list[str] = []
    """Models that a token may use which does not say; `*` stands for any characters."""
    keys: list[KeyShape] = []
    """Keys kept in this file by their hash; more live in the state."""
    jwt: list[JwtShape] = []
    """Identity providers whose bearer tokens are taken."""
    console: ConsoleShape | None = None
    """An OpenID provider whose people may log in to the console at /admin, beside the admin key."""


class CacheShape(Shape):
    memory: Size = 256 * 2**20
    """Most memory for it in each worker; the longest unused goes first."""
    redis: bool | None = None
    """Whether replicas share it through the Redis of the state [where the state is in one]."""
    ttl: Duration = 30 * 86400.0
    """How long a vector is kept."""
    scope: Literal["shared", "key"] = "shared"
    """`shared`: a key finds what others have had embedded, and so can tell that someone embedded a text; `key`: only
    what was embedded for itself."""


class TracingShape(Shape):
    endpoint: Annotated[str, AfterValidator(checks.collector)] = ""
    """Where an OpenTelemetry collector takes OTLP over HTTP, like http://127.0.0.1:4318; empty for no traces."""
    headers: dict[HeaderName, HeaderValue] = {}
    """What the collector wants to be told, like a key."""
    sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Part of the requests that are traced; those whose client says so itself are traced or not as it says."""
    service: PlainName = "embedding-gateway"
    """What traces call this gateway: their `service.name`."""


class FileShape(Shape):
    server: ServerShape = ServerShape()
    state: StateShape = StateShape()
    cache: CacheShape | None = None
    """Where vectors are kept, so that no text is embedded twice; without this section they are not."""
    auth: AuthShape = AuthShape()
    tracing: TracingShape = TracingShape()
    teams: dict[PlainName, TeamShape] = {}
    """Keys that share limits and a budget, by name."""
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
