"""Which limits one request has to pass, and what the client is told of them. It decides and never acts."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

from gateway import errors
from gateway.allowances import NANOS, Budget, Rates, Team
from gateway.answer_head import Header
from gateway.auth import Caller, fits
from gateway.errors import GatewayError
from gateway.routing import Route
from providers.values import frozen

Kind = Literal["requests", "tokens", "concurrent", "usd_budget", "token_budget"]
MINUTE: Final = 60.0
BUSY_SECONDS: Final = 1.0
"""How long a caller with too many requests at a time is told to wait: nobody knows when one of them ends."""
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
    """Whether it is a bucket, which fills up again by itself."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.kind}:{self.subject}")
        object.__setattr__(self, "refills", self.kind in ("requests", "tokens"))

    @property
    def whose(self) -> str:
        """In a client's words."""
        kind = self.subject.partition(":")[0]
        return {"key": "this key", "team": "this key's team", "model": "this model"}.get(kind, "this key and model")


class _Names:
    """The names of the headers of one kind of limit."""

    __slots__ = ("limit", "remaining", "reset")

    def __init__(self, kind: Kind) -> None:
        self.limit, self.remaining, self.reset = (
            f"x-ratelimit-{what}-{kind}".encode() for what in ("limit", "remaining", "reset")
        )


_NAMES: Final[Mapping[Kind, _Names]] = {"requests": _Names("requests"), "tokens": _Names("tokens")}


class Gates:
    """Every gate that the requests of one caller to one route have to pass, until a budget's period ends.

    `ends` is in seconds since the epoch, infinite where no budget's period ever does. What is asked of them for every
    request is found out once.
    """

    def __init__(self, each: Sequence[Gate], ends: float = math.inf) -> None:
        self.each = each
        self.ends = ends
        self._measures = [_MEASURES[gate.kind] for gate in each]
        self.by_tokens = any(self._measures)
        """Whether one of them is of tokens or money, so that tokens have to be counted before anything is sent."""
        placed = list(enumerate(each))
        self.budgets = [(place, gate) for place, gate in placed if gate.soft is not None]
        """Those that metrics warn of, with their places."""
        by_kind = [
            (names, [(place, gate) for place, gate in placed if gate.kind == kind and not gate.shadow])
            for kind, names in _NAMES.items()
        ]
        self.told = [(names, gates) for names, gates in by_kind if gates]
        """Those that the client is told of, by kind."""

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


def passes(standings: Sequence[Standing]) -> bool:
    """Whether every one fits, as mostly all do."""
    return not [standing for standing in standings if standing.wait is not None]


def refused(gates: Gates, standings: Sequence[Standing]) -> list[tuple[int, Standing]]:
    """The places of gates that the request does not pass, those of shadow limits left out."""
    return [
        (place, standing)
        for place, standing in enumerate(standings)
        if standing.wait is not None and not gates.each[place].shadow
    ]


def shadowed(gates: Gates, standings: Sequence[Standing]) -> list[str]:
    """The shadow limits that would have refused it."""
    return [
        gate.id
        for gate, standing in zip(gates.each, standings, strict=True)
        if standing.wait is not None and gate.shadow
    ]


def refusal(gates: Gates, amounts: Sequence[int], standings: Sequence[Standing]) -> GatewayError:
    """What the client is told: of several limits the one that takes longest, since before that none would help."""
    place, standing = max(refused(gates, standings), key=lambda pair: pair[1].wait or 0.0)
    gate, amount, seconds = gates.each[place], amounts[place], standing.wait or 0.0
    if gate.kind in ("usd_budget", "token_budget"):
        return errors.QuotaExhausted(_spent(gate, standing))
    if math.isinf(seconds):
        return errors.TokensRateLimited(
            f"This request has {amount} tokens, and {gate.whose} may never use more than {gate.limit} in a "
            "minute. Send fewer inputs at once.",
            headers=errors.NO_RETRY,
        )
    retry = errors.retry_headers(seconds)
    said = {
        "requests": f"{gate.limit} requests a minute",
        "tokens": f"{gate.limit} tokens a minute, and this request has {amount}",
        "concurrent": f"{gate.limit} requests at a time",
    }[gate.kind]
    kind = errors.TokensRateLimited if gate.kind == "tokens" else errors.RateLimited
    return kind(
        f"The limit of {gate.whose} is reached: {said}. Try again in {int(retry['retry-after-ms']) / 1000:g} seconds.",
        headers=retry,
    )


def _spent(gate: Gate, standing: Standing) -> str:
    usd = gate.kind == "usd_budget"
    limit = f"{gate.limit / NANOS:g} USD" if usd else f"{gate.limit} tokens"
    left = f"{max(0, standing.remaining) / NANOS:.6g} USD" if usd else f"{max(0, standing.remaining)} tokens"
    period = gate.subject.rpartition(":")[2]
    when = "in all" if period == "total" else f"for {period} (UTC)"
    return (
        f"The budget of {gate.whose} does not cover this request: {left} are left of {limit} {when}. "
        "Ask the gateway's operator for more."
    )


def headers(gates: Gates, standings: Sequence[Standing]) -> list[Header]:
    """OpenAI's `x-ratelimit-*`, of the limit that is nearest to its end.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    found: list[Header] = []
    for names, placed in gates.told:
        place, gate = placed[0]
        left = standings[place].left
        for place, other in placed[1:]:
            if standings[place].left / other.limit < left / gate.limit:
                gate, left = other, standings[place].left
        found += (
            (names.limit, b"%d" % gate.limit),
            (names.remaining, b"%d" % max(0, math.floor(left + TOLERANCE))),
            (names.reset, _duration(max(0.0, gate.limit - left) * MINUTE / gate.limit)),
        )
    return found


def _duration(seconds: float) -> bytes:
    """As Go writes it, which is what OpenAI's clients know: `20ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    minutes, rest = divmod(math.ceil(seconds * 1000) / 1000, 60)
    return (f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s").encode()
