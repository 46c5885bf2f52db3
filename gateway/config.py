"""A whole, checked configuration as frozen values: nothing in it is left to a default or to the catalogue."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway.allowances import Rates, Team
from gateway.auth import KeyRecord
from gateway.canary import Reaction
from gateway.claims import Issuer
from gateway.cutting import TooLong
from gateway.dimensions import Dimensions
from gateway.document import Problem
from gateway.id_tokens import OpenIdClient
from gateway.schema import ServerShape
from providers.aws_signature import AwsKeys
from providers.base import InputType, Limits
from providers.token_grants import Grant

OnLoss = Literal["allow", "deny"]
Scope = Literal["shared", "key"]
"""Who may find what one key's request has had embedded: every key, or that one alone."""
UNSHARED: Final = (
    "several workers over SQLite would each count limits for themselves; keep the state in Redis (`state.url`), "
    "or allow it with `state.allow_unshared: true`"
)


class ConfigError(Exception):
    """A configuration that cannot be used, with every problem that was found."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = sorted(problems, key=lambda problem: problem.line or 0)
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        return [problem.told(self.file) for problem in self.problems]


@dataclass(frozen=True, slots=True)
class StateConfig:
    """Where state is kept: `file` for the embedded home, else `url` without its password."""

    file: pathlib.Path | None
    url: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    on_loss: OnLoss = "allow"
    allow_unshared: bool = False


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """`memory` is in bytes, `ttl` in seconds; `redis` is that of the state."""

    memory: int
    redis: bool
    ttl: float
    scope: Scope


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One backend of a route. For a local model `path` is set, for a service `base_url`."""

    name: str
    provider: str
    model: str
    path: str | None
    base_url: str | None
    api_key: str | None = field(repr=False)
    credentials: Grant | AwsKeys | None
    """What it authorizes itself with in place of a key."""
    headers: Mapping[str, str] = field(repr=False)
    extra_body: Mapping[str, Any] = field(repr=False)
    proxy: str | None = field(repr=False)
    token_proxy: str | None = field(repr=False)
    """The way to where its tokens are bought."""
    ca_file: str | None
    weight: float
    priority: int
    max_concurrency: int
    timeout: float | None
    api_version: str | None
    region: str | None
    project: str | None
    space_id: str | None
    limits: Limits
    """Of one call."""
    may_cut: bool
    """Whether it may cut a text that is too long for its model, without a word."""
    counts_alike: bool
    takes_role: bool
    """Whether the provider is told the input type: not where the prompt says it, unless a call without is refused."""
    base64: bool
    token_ids: bool


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """One route. `limits.inputs` is always set; the other limits are None where nobody knows one."""

    alias: str
    aliases: tuple[str, ...]
    space: str
    dimensions: Dimensions
    limits: Limits
    tokenizer: str
    tokenizer_known: bool
    """False where nobody named a tokenizer: limits are then counted in cl100k_base, and usage is an estimate."""
    most_estimated: int | None
    """Most tokens of one input by an estimate, far below the limit; None where an estimate refuses nothing."""
    client_tokens: str
    prompts: Mapping[InputType, str]
    input_types: tuple[InputType, ...]
    """Told to the provider, or chosen among the prompts; empty where the model knows none."""
    default_input_type: InputType | None
    unit_length: bool | None
    """Whether the backends' vectors are of unit length as they come; None where nobody knows."""
    normalize: bool
    """Whether they are made so here."""
    too_long: TooLong
    price: float | None
    """USD per million tokens, of the dearest target; None where nobody knows."""
    client_extra: str | tuple[str, ...]
    rates: Rates
    cache: bool
    """Whether its vectors are kept, where there is a cache."""
    space_vouched: bool
    """Whether the operator or the catalogue says which vectors these are. Else the one target alone does, by what it
    is and where."""
    canary: Reaction
    """What happens to a target that has drifted out of its space."""
    hedge: bool
    coalesce: bool
    targets: tuple[TargetConfig, ...]


@dataclass(frozen=True, slots=True)
class TracingConfig:
    """Where traces are sent, which part of them, and what they call this gateway."""

    endpoint: str
    headers: Mapping[str, str] = field(repr=False)
    sample: float
    service: str


@dataclass(frozen=True, slots=True)
class Config:
    server: ServerShape
    state: StateConfig
    keys: tuple[KeyRecord, ...]
    """Those that the routing file lists."""
    teams: Mapping[str, Team]
    issuers: tuple[Issuer, ...]
    """Identity providers whose tokens are taken."""
    operators: OpenIdClient | None
    """Who logs in to the console without the admin key."""
    admin_key: str | None = field(repr=False)
    signing_key: bytes | None = field(repr=False)
    """The secret that minted keys are signed with."""
    models: tuple[ModelConfig, ...]
    cache: CacheConfig | None = None
    tracing: TracingConfig | None = None
    """None where no traces are wanted."""
    is_embedded_default: bool = False
    warnings: tuple[str, ...] = ()
    """What is right, but should be known, each with its place in the file."""

    @property
    def every_issuer(self) -> tuple[Issuer, ...]:
        """All whose keys are fetched."""
        return self.issuers if self.operators is None else (*self.issuers, self.operators.issuer)

    @property
    def counts_apart(self) -> bool:
        """Whether workers would each count for themselves though nobody has said that they may: see UNSHARED."""
        return self.server.workers > 1 and self.state.file is not None and not self.state.allow_unshared
