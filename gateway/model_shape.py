"""The shape of one model of the routing file, and of the catalogue's facts: keys, kinds and defaults. It reads nothing.

Every docstring under a key is what an editor shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from gateway import adapters, checks
from gateway.adapters import Adapter
from gateway.canary import Reaction
from gateway.credential_shape import CredentialsShape
from gateway.cutting import TooLong
from gateway.dimensions import Shorten
from gateway.inputs import MAX_INPUTS
from gateway.quantities import Duration, Size
from gateway.shape import Shape
from providers import PROVIDERS
from providers.base import InputType


def inside(check: Callable[[str], str]) -> AfterValidator:
    """The check of a text that hides."""

    def checked(secret: SecretStr) -> SecretStr:
        check(secret.get_secret_value())
        return secret

    return AfterValidator(checked)


def _off(value: object) -> object:
    """YAML reads a bare `off` as false: https://yaml.org/type/bool.html"""
    return "off" if value is False else value


def _provider(name: object, info: ValidationInfo) -> Adapter:
    """The provider of a name. Whoever reads the file may say how it is found: the context, if there is one."""
    if not isinstance(name, str):
        raise ValueError("must be a string; put quotes around it")
    find: adapters.Find = info.context or adapters.find
    return find(name)


def _provider_name(provider: Adapter) -> str:
    return provider.name


_PROVIDER_NAME: Final = {"anyOf": [{"enum": sorted(PROVIDERS)}, {"type": "string", "pattern": adapters.OUTSIDE}]}

ModelName = Annotated[str, AfterValidator(checks.model_name)]
HeaderName = Annotated[str, AfterValidator(checks.header_name)]
HeaderValue = Annotated[SecretStr, inside(checks.header_value)]
Positive = Annotated[int, Field(ge=1)]
Amount = Annotated[int, Field(ge=1, le=10**15)]
"""What is counted: beyond this a float, which is what Lua calculates with, no longer knows every whole number."""


class DimensionsShape(Shape):
    native: Positive | None = None
    """Length of the vectors as the model makes them."""
    min: Positive | None = None
    """Shortest length that it can be asked for."""
    shorten: Shorten | None = None
    """Who shortens: `native` the provider, `truncate` the gateway (cut and re-normalise), `never` nobody."""
    allowed: list[Positive] | None = None
    """The only lengths besides the native one."""


class RatesShape(Shape):
    rpm: Amount | None = None
    """Most requests a minute."""
    tpm: Amount | None = None
    """Most tokens a minute."""
    concurrent: Amount | None = None
    """Most requests at a time."""
    shadow: bool = False
    """true: these three are counted and reported, and refuse nothing."""


class LimitsShape(Shape):
    input_tokens: Positive | None = None
    """Most tokens in one input."""
    input_chars: Positive | None = None
    """Most characters in one input."""
    inputs: Annotated[int, Field(ge=1, le=MAX_INPUTS)] | None = None
    """Most inputs in one request."""
    request_tokens: Positive | None = None
    """Most tokens in all inputs of one request."""


class ModelLimitsShape(LimitsShape, RatesShape):
    """What one request may hold, and what all callers together may ask for."""


class BatchShape(Shape):
    inputs: Positive | None = None
    """Most inputs in one call to the backend."""
    tokens: Positive | None = None
    """Most tokens in one call; a text counts as many as it has bytes."""
    bytes: Size | None = None
    """Largest body of one call."""


class PriceShape(Shape):
    input: Annotated[float, Field(ge=0, le=1_000_000)]
    """USD per million tokens."""


class Facts(Shape):
    """What the catalogue knows of a model, and the routing file may override."""

    space: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")] | None = None
    """Name of the vector space: vectors of one space can be compared."""
    dimensions: DimensionsShape = DimensionsShape()
    limits: LimitsShape = LimitsShape()
    tokenizer: str | None = None
    """What limits are counted in: a tiktoken encoding, or the path of a tokenizer.json."""
    unit_length: bool | None = None
    """Whether the backends' vectors are of unit length as they come."""
    price: PriceShape | None = None
    """What the model costs."""


class CatalogFacts(Facts):
    """Facts that a routing file states for a target, or not at all."""

    batch: BatchShape = BatchShape()
    input_types: list[InputType] | None = None
    """The input types of this model, where they are not all those of its provider."""


class TargetShape(Shape):
    provider: Annotated[
        Adapter, PlainValidator(_provider), PlainSerializer(_provider_name), WithJsonSchema(_PROVIDER_NAME)
    ]
    """The kind of backend; `package.module:NAME` imports one from outside."""
    model: ModelName | None = None
    """The model's name there [the alias]."""
    path: str | None = None
    """Folder of a local model; `wordllama` for the static one that comes with the gateway."""
    base_url: Annotated[str, AfterValidator(checks.http_url)] | None = None
    """Where the service lives [the provider's public address]; with or without /v1."""
    api_key: SecretStr | None = None
    """The provider's key: `${NAME}` takes it from the environment."""
    api_key_file: str | None = None
    """A file that holds the provider's key."""
    credentials: CredentialsShape | None = None
    """What tokens are bought or requests signed with, in place of a key; `proxy` and `ca_file` hold for buying, too."""
    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,50}$")] | None = None
    """Version of the service's interface, for providers that ask for one."""
    region: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,50}$")] | None = None
    """Where in the provider's cloud, for providers that ask for it; fills `{region}` in a base URL."""
    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,100}$")] | None = None
    """Project there that the calls belong to, for providers that ask for it."""
    space_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,100}$")] | None = None
    """Deployment space that the calls belong to instead of a project (watsonx)."""
    batch: BatchShape = BatchShape()
    """How much one call to this target may hold [what the catalogue and the provider say]."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,100}$")] | None = None
    """What logs and answers call this target [provider and position]."""
    weight: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    """Share of the load among targets of the same priority."""
    priority: int = 0
    """Targets with a lower number are tried first."""
    max_concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Most calls at a time; more wait for a free slot. Not for local models that compute texts together."""
    timeout: Duration | None = None
    """Longest time for one attempt, the wait for a free slot included [at most 20s, less where other targets have to
    be tried in what remains]."""
    proxy: Annotated[SecretStr, inside(checks.proxy_url)] | None = None
    """HTTP proxy for this target [HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment]."""
    ca_file: str | None = None
    """PEM file of a private certificate authority to trust instead of the public ones."""
    extra_body: Annotated[dict[str, Any], AfterValidator(checks.json_fields)] = {}
    """Fields laid underneath every upstream request body."""
    headers: dict[HeaderName, HeaderValue] = {}
    """Headers added to every upstream request."""
    base64: bool | None = None
    """Whether it answers base64 of float32 when asked [yes at the provider's own address, no elsewhere]."""
    token_ids: bool | None = None
    """Whether its token ids mean what the clients' mean [yes where the catalogue says so, no elsewhere]."""


class ModelShape(Facts):
    limits: ModelLimitsShape = ModelLimitsShape()
    aliases: list[ModelName] = []
    """Other names of the same route; an answer echoes the name that was asked for."""
    client_tokens: Literal["cl100k_base", "reject"] = "cl100k_base"
    """What token ids sent by clients mean; `reject` refuses them."""
    prompts: dict[InputType, Annotated[str, AfterValidator(checks.prompt)]] = {}
    """Text put around the input for each input type, like "query: {text}"."""
    default_input_type: InputType | None = None
    """What inputs are taken for when the client does not say [document, where the provider wants to be told]."""
    normalize: bool = False
    """Whether vectors are made unit length here."""
    too_long: TooLong = "error"
    """What happens to an input over `limits.input_tokens`: `error` a 400, `truncate` its first part alone is embedded,
    `average` all its parts are, and the mean of their vectors is the input's (needs vectors of unit length)."""
    cache: bool = True
    """Whether its vectors are kept, where the file has a `cache`."""
    canary: Annotated[Reaction, BeforeValidator(_off)] = "report"
    """What happens to a target whose vectors have left the space (see `gateway space`): `eject` takes it out until they
    are back, `report` tells it in metrics and the log, `off` does not look."""
    client_extra: Literal["any", "none"] | list[str] = "any"
    """Which further upstream fields clients may send."""
    hedge: bool = False
    """Whether up to 8 inputs that take longer than 19 of 20 do go to a second target, too; sends at most 5 % more."""
    coalesce: bool = False
    """Whether calls of up to 8 inputs that come within a moment of each other go to a target as one: for providers that
    limit how many calls they take. Not for models in this process, nor for targets that take one input a call."""
    targets: Annotated[list[TargetShape], Field(min_length=1)]
    """Backends that serve this route, all of one vector space."""
