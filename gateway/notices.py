"""What a client is told of its limits: with every answer, and when it is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from gateway import errors
from gateway.allowances import NANOS
from gateway.errors import GatewayError
from gateway.gates import BUCKETS, MINUTE, TOLERANCE, Gate, Gates, Kind, Standing, Standings, refused
from gateway.turn_head import Header


class _Names:
    """The names of the headers of one kind of limit."""

    __slots__ = ("limit", "remaining", "reset")

    def __init__(self, kind: Kind) -> None:
        self.limit, self.remaining, self.reset = (
            f"x-ratelimit-{what}-{kind}".encode() for what in ("limit", "remaining", "reset")
        )


_NAMES: Final[Mapping[Kind, _Names]] = {kind: _Names(kind) for kind in BUCKETS}


def refusal(gates: Gates, amounts: Sequence[int], standings: Standings) -> GatewayError:
    """What the client is told: of several limits the one that takes longest, since before that none would help."""
    place, standing = max(refused(gates, standings), key=lambda pair: pair[1].wait or 0.0)
    gate, amount, seconds = gates.each[place], amounts[place], standing.wait or 0.0
    if gate.kind in ("usd_budget", "token_budget"):
        return errors.QuotaExhausted(_spent(gate, standing))
    if math.isinf(seconds):
        return errors.TokensRateLimited(
            f"This request has {amount} tokens, and {_whose(gate)} may never use more than {gate.limit} in a "
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
    again = int(retry["retry-after-ms"]) / 1000
    return kind(
        f"The limit of {_whose(gate)} is reached: {said}. Try again in {again:g} seconds.",
        headers=retry,
    )


def _whose(gate: Gate) -> str:
    kind = gate.subject.partition(":")[0]
    return {"key": "this key", "team": "this key's team", "model": "this model"}.get(kind, "this key and model")


def _spent(gate: Gate, standing: Standing) -> str:
    usd = gate.kind == "usd_budget"
    limit = f"{gate.limit / NANOS:g} USD" if usd else f"{gate.limit} tokens"
    left = f"{max(0, standing.remaining) / NANOS:.6g} USD" if usd else f"{max(0, standing.remaining)} tokens"
    period = gate.subject.rpartition(":")[2]
    when = "in all" if period == "total" else f"for {period} (UTC)"
    return (
        f"The budget of {_whose(gate)} does not cover this request: {left} are left of {limit} {when}. "
        "Ask the gateway's operator for more."
    )


def headers(gates: Gates, standings: Standings) -> list[Header]:
    """OpenAI's `x-ratelimit-*`, of the limit that is nearest to its end.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    found: list[Header] = []
    lefts = standings.lefts
    for kind, placed in gates.told:
        names = _NAMES[kind]
        place, gate = placed[0]
        left, limit = lefts[place], gate.limit
        for place, gate in placed[1:]:
            if lefts[place] * limit < left * gate.limit:
                left, limit = lefts[place], gate.limit
        found += (
            (names.limit, b"%d" % limit),
            (names.remaining, b"%d" % max(0, math.floor(left + TOLERANCE))),
            (names.reset, _duration((limit - left) * MINUTE / limit)),
        )
    return found


def _duration(seconds: float) -> bytes:
    """As Go writes it, which is what OpenAI's clients know: `20ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return b"%dms" % max(0, math.ceil(seconds * 1000))
    minutes, rest = divmod(math.ceil(seconds * 1000) / 1000, 60)
    return (f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s").encode()
