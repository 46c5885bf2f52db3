"""A name and a caller become a `Route`: one vector space, and the targets that serve it, in the order to try them."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.allowances import NANOS, Priority, Rates
from gateway.auth import Caller
from gateway.canary import Reaction
from gateway.coalescing import Coalescer
from gateway.cutting import TooLong
from gateway.dimensions import Dimensions
from gateway.errors import InvalidRequest, ModelNotFound
from gateway.health import Health
from gateway.inputs import quoted
from providers.base import EmbedCall, Embeddings, Fault, InputType, Limits, Statistics

REMEMBERED: Final = 10_000
"""Answers to whether somebody may use a name."""
ROLE_SUFFIXES: Final[Mapping[str, InputType]] = {":query": "query", ":document": "document"}


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a backend is now: calls that wait for a slot, calls that run, and how many may run at a time.

    Where texts of many calls are computed together, it is texts that wait and run, `slots` is how many may wait, and
    `batch_size` how many are computed at a time.
    """

    waiting: int
    running: int
    slots: int
    batch_size: int | None = None
    waiting_bulk: int = 0
    """How many of those that wait are in the bulk lane."""


class Backend(Protocol):
    """Whatever embeds one call before a deadline (seconds on the event loop's clock). Failure is a value.

    The lane is the one that the call waits in where not all can run.
    """

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault: ...

    @property
    def load(self) -> Load: ...


@dataclass(frozen=True, slots=True)
class Target:
    """One backend of a route."""

    name: str
    provider: str
    model: str
    backend: Backend = field(repr=False)
    limits: Limits = Limits()
    counts_alike: bool = True
    """Whether its tokens are those that the route's limits are counted in."""
    takes_role: bool = True
    """Whether it is told the input type."""
    priority: int = 0
    weight: float = 1.0
    timeout: float | None = None
    """Seconds for one try, the wait for a free slot included."""
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What its configuration lays underneath every body."""
    mark: str = ""
    """Tells its deployment from every other one, as `recipe.mark` makes it."""
    coalescer: Coalescer | None = field(default=None, compare=False, repr=False)
    """Where small calls meet that can go as one; None where each goes alone."""
    told: Callable[[], Awaitable[Statistics | None]] | None = None
    """Asks the service itself how busy it is, where it can be asked."""
    health: Health = field(default_factory=Health, compare=False, repr=False)
    """How it is doing; it outlives a reload that leaves the target as it was."""


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that serves one vector space under one alias. `owned` are body keys that no client may set."""

    alias: str
    space: str
    dimensions: Dimensions
    targets: Sequence[Target]
    limits: Limits = Limits()
    aliases: Sequence[str] = ()
    tokenizer: str = "cl100k_base"
    tokenizer_known: bool = True
    most_estimated: int | None = None
    """Most tokens of one input where they can only be estimated; None where an estimate refuses nothing."""
    client_tokens: str = "cl100k_base"
    passes_token_ids: bool = False
    prompts: Mapping[InputType, str] = field(default_factory=dict)
    input_types: Sequence[InputType] = ()
    default_input_type: InputType | None = None
    unit_length: bool | None = None
    """Whether vectors come with unit length from every target; None where nobody knows."""
    normalize: bool = False
    too_long: TooLong = "error"
    price: float | None = None
    """USD per million tokens."""
    client_extra: str | Sequence[str] = "any"
    owned: frozenset[str] = frozenset()
    rates: Rates = Rates()
    """What all callers together may ask of it."""
    cache: bool = True
    """Whether its vectors are kept, where there is a cache."""
    made_by: str = ""
    """What else than its space its configuration says that decides its vectors."""
    canary: Reaction = "report"
    hedge: bool = False
    """Whether a small job that takes long is sent to a second target, too."""

    @property
    def names(self) -> Sequence[str]:
        return (self.alias, *self.aliases)

    def available(self, now: float) -> bool:
        """Whether some target takes calls at that time, on the event loop's clock."""
        return any(target.health.willing(now) for target in self.targets)

    def cost(self, tokens: int) -> int | None:
        """In billionths of a US dollar, a part of one as a whole; None without a price."""
        return None if self.price is None else math.ceil(tokens * self.price * NANOS / 1_000_000)

    def role(self, asked: InputType | None) -> InputType | None:
        """The input type to use; a route that knows none takes any and ignores it."""
        if not self.input_types:
            return None
        role = asked or self.default_input_type
        if role is not None and role not in self.input_types:
            known = ", ".join(f"`{name}`" for name in self.input_types)
            raise InvalidRequest(f"This model knows the input types {known}; it has no `{role}`.", param="input_type")
        return role

    def check_extra(self, extra: Mapping[str, Any]) -> None:
        """Refuses further body fields that this route does not let through, or that the gateway itself sets."""
        for name in extra:
            if name in self.owned:
                raise InvalidRequest(
                    f"`{quoted(name)}` cannot be set through `extra_body` or as an extra field: the gateway sets it, "
                    "because it decides which vectors come back.",
                    param=quoted(name),
                )
            if self.client_extra == "none" or (self.client_extra != "any" and name not in self.client_extra):
                raise InvalidRequest(
                    f"`{quoted(name)}` is not a field that this model takes. {self._extra_hint()}", param=quoted(name)
                )

    def _extra_hint(self) -> str:
        if isinstance(self.client_extra, str) or not self.client_extra:
            return "It takes no fields besides OpenAI's own."
        return f"Besides OpenAI's own it takes {', '.join(f'`{name}`' for name in self.client_extra)}."


class Routes:
    """All routes by every name they have."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_name = {name: route for route in routes for name in route.names}
        self._allowed: dict[tuple[str, Sequence[str], Sequence[str]], bool] = {}

    def find(self, name: str, caller: Caller, input_type: InputType | None = None) -> tuple[Route, InputType | None]:
        """The route of a name, and the input type, which `alias:query` and `alias:document` fix.

        Raises ModelNotFound alike for a name that does not exist and one that the caller may not use.
        """
        base, fixed = (name, None) if name in self._by_name else self._without_role(name)
        route = self._by_name.get(base)
        if route is None or not self._may_use(caller, route, base):
            raise ModelNotFound(
                f"The model `{quoted(name)}` does not exist here, or this key may not use it. "
                "`GET /v1/models` lists the models that it may use."
            )
        if fixed is not None and input_type not in (None, fixed):
            raise InvalidRequest(
                f"The model's name fixes the input type to `{fixed}`, and `input_type` says `{input_type}`. "
                "Send one of them.",
                param="input_type",
            )
        return route, fixed or input_type

    def _may_use(self, caller: Caller, route: Route, name: str) -> bool:
        """Permission for a route's own alias holds for its other names; one for a name of these holds for that one.

        Patterns are matched once for all keys that have the same.
        """
        asked = name, caller.models, caller.narrowed
        allowed = self._allowed.get(asked)
        if allowed is None:
            if len(self._allowed) >= REMEMBERED:
                self._allowed.clear()
            allowed = self._allowed[asked] = caller.may_use(route.alias) or caller.may_use(name)
        return allowed

    def _without_role(self, name: str) -> tuple[str, InputType | None]:
        """A name that exists is never taken apart: it may well end like a role."""
        for suffix, role in ROLE_SUFFIXES.items():
            if name.endswith(suffix):
                return name.removesuffix(suffix), role
        return name, None

    def visible_to(self, caller: Caller) -> list[tuple[str, Route]]:
        """Every name that the caller may use, in the order of the configuration."""
        return [(name, route) for name, route in self._by_name.items() if self._may_use(caller, route, name)]

    def __iter__(self) -> Iterator[Route]:
        return iter({id(route): route for route in self._by_name.values()}.values())
