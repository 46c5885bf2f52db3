"""Which limits one request has to pass, and what the client is told of them. It decides and never acts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote

from gateway import errors
from gateway.allowances import NANOS, Budget, Rates, Team
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


@frozen
class Gate:
    """One limit of one subject, and how much of it this request would take.

    `requests` and `tokens` hold `limit` at most and refill by `limit` a minute; `concurrent` is at a time;
    budgets are in billionths of a dollar or in tokens, for the period that `subject` ends with.
    """

    kind: Kind
    subject: str
    limit: int
    amount: int
    shadow: bool = False
    ends: float | None = None
    """When a budget's period ends, in seconds since the epoch."""
    soft: float | None = None
    """The part of a budget at which metrics begin to warn."""

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.subject}"

    @property
    def refills(self) -> bool:
        """Whether it is a bucket, which fills up again by itself."""
        return self.kind in ("requests", "tokens")

    @property
    def whose(self) -> str:
        """In a client's words."""
        kind = self.subject.partition(":")[0]
        return {"key": "this key", "team": "this key's team", "model": "this model"}.get(kind, "this key and model")


@frozen
class Standing:
    """A gate as the store found it: what is left after this request, and when it will be whole again.

    `wait` is None when the request fits, else the seconds until it would, infinite when it never can.
    """

    remaining: int
    reset: float
    wait: float | None = None


def standing(gate: Gate, left: float, fits: bool, taken: bool, now: float) -> Standing:
    """Of a gate that had so much left when a request came; `now` is in seconds since the epoch."""
    wait = None if fits else _wait(gate, left, now)
    left -= gate.amount if taken else 0
    return Standing(math.floor(left + TOLERANCE), _reset(gate, left, now), wait)


def _wait(gate: Gate, left: float, now: float) -> float:
    if gate.kind == "concurrent":
        return BUSY_SECONDS
    if gate.refills:
        return math.inf if gate.amount > gate.limit else (gate.amount - left) * MINUTE / gate.limit
    return math.inf if gate.ends is None else max(0.0, gate.ends - now)


def _reset(gate: Gate, left: float, now: float) -> float:
    if gate.refills:
        return max(0.0, (gate.limit - left) * MINUTE / gate.limit)
    return 0.0 if gate.ends is None else max(0.0, gate.ends - now)


def of_request(
    caller: Caller, route: Route, teams: Mapping[str, Team], tokens: int, nanos: int, now: float
) -> list[Gate]:
    """Every gate that a request of so many tokens and such a cost has to pass."""
    team = teams.get(caller.team) if caller.team is not None else None
    gates: list[Gate] = []
    _add_rates(gates, "key", caller.key_id, caller.rates, tokens)
    _add_rates(gates, "model", route.alias, route.rates, tokens)
    for pattern, rates in caller.model_rates.items():
        if fits(route.alias, pattern):
            subject = ":".join(quote(part, safe="") for part in (caller.key_id, pattern, route.alias))
            _add_rates(gates, "key-model", subject, rates, tokens)
    _add_budget(gates, "key", caller.key_id, caller.budget, tokens, nanos, now)
    if team is not None and caller.team is not None:
        _add_rates(gates, "team", caller.team, team.rates, tokens)
        _add_budget(gates, "team", caller.team, team.budget, tokens, nanos, now)
    return gates


def by_tokens(caller: Caller, route: Route, teams: Mapping[str, Team]) -> bool:
    """Whether one of those gates is of tokens or money."""
    team = teams.get(caller.team) if caller.team is not None else None
    if caller.budget is not None or caller.rates.tpm is not None or route.rates.tpm is not None:
        return True
    if team is not None and (team.budget is not None or team.rates.tpm is not None):
        return True
    return any(rates.tpm is not None and fits(route.alias, pattern) for pattern, rates in caller.model_rates.items())


def _add_rates(gates: list[Gate], whose: str, name: str, rates: Rates, tokens: int) -> None:
    if rates.rpm is not None:
        gates.append(Gate("requests", f"{whose}:{name}", rates.rpm, 1, rates.shadow))
    if rates.tpm is not None:
        gates.append(Gate("tokens", f"{whose}:{name}", rates.tpm, tokens, rates.shadow))
    if rates.concurrent is not None:
        gates.append(Gate("concurrent", f"{whose}:{name}", rates.concurrent, 1, rates.shadow))


def _add_budget(
    gates: list[Gate], whose: str, name: str, budget: Budget | None, tokens: int, nanos: int, now: float
) -> None:
    if budget is None:
        return
    subject, ends = f"{whose}:{name}:{budget.period(now)}", budget.ends(now)
    if budget.nanos is not None:
        gates.append(Gate("usd_budget", subject, budget.nanos, nanos, ends=ends, soft=budget.soft))
    if budget.tokens is not None:
        gates.append(Gate("token_budget", subject, budget.tokens, tokens, ends=ends, soft=budget.soft))


def refused(gates: Sequence[Gate], standings: Sequence[Standing]) -> list[tuple[Gate, Standing]]:
    """The gates that the request does not pass, those of shadow limits left out."""
    return [(g, s) for g, s in zip(gates, standings, strict=True) if s.wait is not None and not g.shadow]


def shadowed(gates: Sequence[Gate], standings: Sequence[Standing]) -> list[str]:
    """The shadow limits that would have refused it."""
    if not gates:
        return []
    return [gate.id for gate, s in zip(gates, standings, strict=True) if s.wait is not None and gate.shadow]


def refusal(gates: Sequence[Gate], standings: Sequence[Standing]) -> GatewayError:
    """What the client is told: of several limits the one that takes longest, since before that none would help."""
    gate, standing = max(refused(gates, standings), key=lambda pair: pair[1].wait or 0.0)
    wait = standing.wait or 0.0
    if gate.kind in ("usd_budget", "token_budget"):
        return errors.QuotaExhausted(_spent(gate, standing))
    if math.isinf(wait):
        return errors.TokensRateLimited(
            f"This request has {gate.amount} tokens, and {gate.whose} may never use more than {gate.limit} in a "
            "minute. Send fewer inputs at once.",
            headers=errors.NO_RETRY,
        )
    headers = errors.retry_headers(wait)
    said = {
        "requests": f"{gate.limit} requests a minute",
        "tokens": f"{gate.limit} tokens a minute, and this request has {gate.amount}",
        "concurrent": f"{gate.limit} requests at a time",
    }[gate.kind]
    kind = errors.TokensRateLimited if gate.kind == "tokens" else errors.RateLimited
    return kind(
        f"The limit of {gate.whose} is reached: {said}. Try again in {int(headers['retry-after-ms']) / 1000:g} "
        "seconds.",
        headers=headers,
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


def headers(gates: Sequence[Gate], standings: Sequence[Standing]) -> dict[str, str]:
    """OpenAI's `x-ratelimit-*`, of the limit that is nearest to its end.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    told: dict[str, str] = {}
    if not gates:
        return told
    for kind in ("requests", "tokens"):
        pairs = [(g, s) for g, s in zip(gates, standings, strict=True) if g.kind == kind and not g.shadow]
        if pairs:
            gate, standing = min(pairs, key=lambda pair: pair[1].remaining / pair[0].limit)
            told[f"x-ratelimit-limit-{kind}"] = str(gate.limit)
            told[f"x-ratelimit-remaining-{kind}"] = str(max(0, standing.remaining))
            told[f"x-ratelimit-reset-{kind}"] = _duration(standing.reset)
    return told


def _duration(seconds: float) -> str:
    """As Go writes it, which is what OpenAI's clients know: `20ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds * 1000) / 1000, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
