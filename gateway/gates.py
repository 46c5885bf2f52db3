"""Which limits one request has to pass, and whether it does. It decides and never acts."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

from gateway.allowances import Budget, Rates, Team
from gateway.auth import Caller, fits
from gateway.routing import Route
from providers.values import frozen

Kind = Literal["requests", "tokens", "concurrent", "usd_budget", "token_budget"]
BUCKETS: Final[Sequence[Kind]] = ("requests", "tokens")
"""Limits that fill up again by themselves."""
MINUTE: Final = 60.0
BUSY_SECONDS: Final = 1.0
"""How long a caller with too many requests at a time is told to wait: nobody knows when one of them ends."""
ROOM: Final = 1000
"""Times what a request may take at most, that there have to be left for it not to be counted beforehand: with a hundred
such requests at a time a tenth of a limit, at most, is reserved that is given back in a moment."""
TOLERANCE: Final = 1e-6
"""Of a token: what rounding may lack after a caller has waited as long as it was told."""
_MEASURES: Final[Mapping[Kind, int]] = {
    "requests": 0,
    "concurrent": 0,
    "tokens": 1,
    "token_budget": 1,
    "usd_budget": 2,
}
"""What a limit is of: of requests as such, of tokens, or of money."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One limit of one subject. It is made once for all requests that have to pass it.

    `requests` and `tokens` hold `limit` at most and refill by `limit` a minute; `concurrent` is at a time;
    budgets are in billionths of a dollar or in tokens, for the period that `subject` ends with.
    """

    kind: Kind
    subject: str
    limit: int
    shadow: bool = False
    ends: float | None = None
    """When a budget's period ends, in seconds since the epoch."""
    soft: float | None = None
    """The part of a budget at which metrics begin to warn."""
    id: str = field(init=False, repr=False, compare=False)
    refills: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.kind}:{self.subject}")
        object.__setattr__(self, "refills", self.kind in BUCKETS)


class Gates:
    """Every gate that the requests of one caller to one route have to pass, until a budget's period ends.

    `ends` is in seconds since the epoch, infinite where no budget's period ever does. What is asked of them for every
    request is found out once.
    """

    def __init__(self, each: Sequence[Gate], ends: float = math.inf) -> None:
        self.each = each
        self.ends = ends
        self.lefts: Sequence[float] | None = None
        """Of each, as the last request has found it."""
        self._measures = [_MEASURES[gate.kind] for gate in each]
        self.by_tokens = any(self._measures)
        """Whether one of them is of tokens or money, so that tokens have to be counted before anything is sent."""
        placed = list(enumerate(each))
        self.budgets = [(place, gate) for place, gate in placed if gate.soft is not None]
        """Those that metrics warn of, with their places."""
        by_kind = [
            (kind, [(place, gate) for place, gate in placed if gate.kind == kind and not gate.shadow])
            for kind in BUCKETS
        ]
        self.told = [(kind, gates) for kind, gates in by_kind if gates]
        """Those that a client is told of with every answer, with their places, by kind."""

    def has_room(self, tokens: int, nanos: int) -> bool:
        """Whether so much is next to nothing of what was left when a request came last.

        Then nobody is refused because it is more than what will be used.
        """
        if self.lefts is None:
            return False
        least = (0, ROOM * tokens, ROOM * nanos)
        return not [left for left, measure in zip(self.lefts, self._measures, strict=True) if left < least[measure]]

    def amounts(self, tokens: int, nanos: int) -> list[int]:
        """What a request of so many tokens and such a cost takes of each."""
        measured = (1, tokens, nanos)
        return [measured[measure] for measure in self._measures]

    @functools.cached_property
    def rest(self) -> Gates:
        """Those that a request gives something back to in the end: once admitted, it stays one."""
        return Gates([gate for gate in self.each if gate.kind != "requests"])

    @functools.cached_property
    def leases(self) -> Gates:
        """Of these, those that it does even where it has used just what it reserved."""
        return Gates([gate for gate in self.each if not gate.refills])


NONE: Final = Gates(())


@frozen
class Standing:
    """A gate as the store found it: what is left after this request.

    `wait` is None when the request fits, else the seconds until it would, infinite when it never can.
    """

    left: float
    wait: float | None = None

    @property
    def remaining(self) -> int:
        return math.floor(self.left + TOLERANCE)


@frozen
class Standings:
    """Of several gates. Without `waits` the request fits everywhere, as it mostly does."""

    lefts: Sequence[float]
    waits: Sequence[float | None] = ()

    @property
    def each(self) -> list[Standing]:
        return list(map(Standing, self.lefts, self.waits or [None] * len(self.lefts)))


def wait(gate: Gate, amount: int, left: float, now: float) -> float:
    """Of a gate that has less left than the amount; `now` is in seconds since the epoch."""
    if gate.kind == "concurrent":
        return BUSY_SECONDS
    if gate.refills:
        return math.inf if amount > gate.limit else (amount - left) * MINUTE / gate.limit
    return math.inf if gate.ends is None else max(0.0, gate.ends - now)


def of(caller: Caller, route: Route, teams: Mapping[str, Team], now: float) -> Gates:
    """Those that hold at a time."""
    team = teams.get(caller.team) if caller.team is not None else None
    gates: list[Gate] = []
    _add_rates(gates, "key", caller.key_id, caller.rates)
    _add_rates(gates, "model", route.alias, route.rates)
    for pattern, rates in caller.model_rates.items():
        if fits(route.alias, pattern):
            subject = ":".join(quote(part, safe="") for part in (caller.key_id, pattern, route.alias))
            _add_rates(gates, "key-model", subject, rates)
    _add_budget(gates, "key", caller.key_id, caller.budget, now)
    if team is not None and caller.team is not None:
        _add_rates(gates, "team", caller.team, team.rates)
        _add_budget(gates, "team", caller.team, team.budget, now)
    return Gates(gates, min((gate.ends for gate in gates if gate.ends is not None), default=math.inf))


def _add_rates(gates: list[Gate], whose: str, name: str, rates: Rates) -> None:
    subject = f"{whose}:{name}"
    if rates.rpm is not None:
        gates.append(Gate("requests", subject, rates.rpm, rates.shadow))
    if rates.tpm is not None:
        gates.append(Gate("tokens", subject, rates.tpm, rates.shadow))
    if rates.concurrent is not None:
        gates.append(Gate("concurrent", subject, rates.concurrent, rates.shadow))


def _add_budget(gates: list[Gate], whose: str, name: str, budget: Budget | None, now: float) -> None:
    if budget is None:
        return
    subject, ends = f"{whose}:{name}:{budget.period(now)}", budget.ends(now)
    if budget.nanos is not None:
        gates.append(Gate("usd_budget", subject, budget.nanos, ends=ends, soft=budget.soft))
    if budget.tokens is not None:
        gates.append(Gate("token_budget", subject, budget.tokens, ends=ends, soft=budget.soft))


def refused(gates: Gates, standings: Standings) -> list[tuple[int, Standing]]:
    """The places of gates that the request does not pass, those of shadow limits left out."""
    return [
        (place, standing)
        for place, standing in enumerate(standings.each)
        if standing.wait is not None and not gates.each[place].shadow
    ]


def shadowed(gates: Gates, standings: Standings) -> list[str]:
    """The shadow limits that would have refused it."""
    return [
        gate.id
        for gate, standing in zip(gates.each, standings.each, strict=True)
        if standing.wait is not None and gate.shadow
    ]
