"""How one target is doing, and whether it is asked: what every call to it came to, remembered.

It does no I/O, has no clock and outlives a reload: times are seconds on the event loop's clock, given as `now`.
"""

from __future__ import annotations

import random as chance
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway import extra_load
from gateway.breaker import LAST_RESORT, Breaker
from gateway.latency import SIZES, Latency, size_class
from gateway.policy import TABLE
from providers.base import Fault, FaultKind
from providers.values import frozen

State = Literal["closed", "open", "half-open", "cooling", "ejected", "drained"]

LONGEST_COOLING: Final = 600.0
"""Seconds: hints of many hours are known, and a single call every ten minutes hurts nobody who says so too early."""
SLACK: Final = 0.01
"""Seconds by which a sleep may end early."""


@frozen
class Ticket:
    """One call that is under way."""

    breaker: int
    items: int
    began: float


@dataclass(frozen=True, slots=True)
class LastError:
    """Never its text, which may quote an input."""

    kind: FaultKind
    status: int | None
    at: float


class Health:
    """`random` gives 0 to 1, and spreads when a target that failed is tried again."""

    def __init__(self, random: Callable[[], float] = chance.random) -> None:
        self.ejected: str | None = None
        """Why a canary took it out; None while it is in."""
        self.drained = False
        """Whether an operator took it out."""
        self.in_flight = 0
        self.last_error: LastError | None = None
        self.retries = extra_load.of_retries()
        self.hedges = extra_load.of_hedges()
        self._breaker = Breaker(random)
        self._cooling: tuple[FaultKind, float] = (FaultKind.THROTTLED, float("-inf"))
        self._latencies = [Latency() for _ in (*SIZES, None)]

    # ── whether it is asked ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def usable(self) -> bool:
        """Whether it may be asked at all."""
        return self.ejected is None and not self.drained

    def willing(self, now: float) -> bool:
        """Whether a call would go now."""
        return self.refusal(now) is None

    def calm(self, now: float) -> bool:
        """Whether there is nothing that a call more could make worse."""
        return self.state(now) == "closed"

    def refusal(self, now: float) -> Fault | None:
        """What a call now would come to without being sent, with the seconds after which to ask again."""
        if self.ejected is not None or self.drained:
            return Fault(FaultKind.OVERLOADED, "it is taken out of service")
        if self._breaker.is_closed and self._cooling[1] - now <= SLACK:
            return None  # as it mostly is
        rest = self._breaker.wait(now)
        if rest > 0:
            return Fault(FaultKind.OVERLOADED, "it failed lately, and is left alone for a while", retry_after=rest)
        kind, until = self._cooling
        if self._cools(now):
            return Fault(kind, "it asked for a pause, which is not over yet", retry_after=until - now)
        return None

    def refusal_of_call(self, now: float, *, last_resort: bool) -> Fault | None:
        """Where nobody else could be asked, a target that only fails now and then is not left alone."""
        refusal = self.refusal(now)
        return None if refusal is not None and last_resort and self._fails_now_and_then(now) else refusal

    # ── its calls ─────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, items: int, now: float, *, last_resort: bool = False) -> Ticket | Fault:
        """The ticket of a call, or why it is not sent. Each ticket comes back through `end`."""
        refusal = self.refusal(now)
        breaker = self._breaker.begin(now) if refusal is None else LAST_RESORT
        if refusal is not None and not (last_resort and self._fails_now_and_then(now)):
            return refusal
        assert breaker is not None  # noqa: S101 (there is no wait)
        self.in_flight += 1
        return Ticket(breaker, items, now)

    def _fails_now_and_then(self, now: float) -> bool:
        return self.usable and not self._cools(now) and self._breaker.partly_well

    def end(
        self,
        ticket: Ticket,
        fault: Fault | None,
        now: float,
        *,
        cut_off: bool = False,
        hurried: bool = False,
        altered: bool = False,
    ) -> None:
        """What a call came to: a fault, None for right vectors, or nothing because it was cut off.

        A timeout of a call that was `hurried` by its client is no more than being cut off, unless most calls take less
        than half that time. Of a call that its client has `altered`, by fields of its own, a wrong answer may be the
        client's doing.
        """
        self.in_flight -= 1
        seconds, latency = now - ticket.began, self._latencies[size_class(ticket.items)]
        if fault is None and not cut_off:
            latency.add(seconds, now)
            self._breaker.succeeded(ticket.breaker, now)
            return
        if hurried and fault is not None and fault.kind is FaultKind.TIMEOUT:
            usual = latency.p95
            cut_off = usual is None or seconds < 2 * usual
        if cut_off or fault is None:
            latency.cut_off(seconds, now)
            self._breaker.abandoned(ticket.breaker)
            return
        if fault.kind is FaultKind.TIMEOUT:
            latency.add(seconds, now)
        self.last_error = LastError(fault.kind, fault.status, now)
        self._cool(fault, now)
        # A batch that may be halved tells of its items; what its last item alone comes to tells of the target.
        of_client = altered and fault.kind in (FaultKind.MALFORMED, FaultKind.BROKEN)
        if TABLE[fault.kind].trips and not of_client and not (fault.divisible and ticket.items > 1):
            self._breaker.failed(ticket.breaker, now)
        else:
            self._breaker.abandoned(ticket.breaker)

    def _cools(self, now: float) -> bool:
        return self._cooling[1] - now > SLACK

    def _cool(self, fault: Fault, now: float) -> None:
        least = TABLE[fault.kind].cools
        if least is None:
            return
        asked = fault.retry_after if fault.retry_after is not None else least
        if fault.kind is FaultKind.EXHAUSTED:
            asked = max(asked, least)
        until = now + min(asked, LONGEST_COOLING)
        if until > self._cooling[1]:
            self._cooling = (fault.kind, until)

    # ── what is told of it ────────────────────────────────────────────────────────────────────────────────────────

    def state(self, now: float) -> State:
        """The strongest reason why it is not asked; closed means that it is."""
        if self.ejected is not None:
            return "ejected"
        if self.drained:
            return "drained"
        breaker = self._breaker.state(now)
        if breaker == "closed" and self._cools(now):
            return "cooling"
        return breaker

    def latency(self, items: int) -> Latency:
        """Of calls with about so many inputs."""
        return self._latencies[size_class(items)]

    def report(self, now: float) -> dict[str, Any]:
        """Plain data for the operator; times are in seconds, and `seconds` until it is asked again."""
        refusal, error = self.refusal(now), self.last_error
        return {
            "state": self.state(now),
            "ejected": self.ejected,
            "seconds": None if refusal is None else refusal.retry_after,
            "in_flight": self.in_flight,
            "consecutive_failures": self._breaker.consecutive,
            "latency": [
                {"inputs": f"to {most}" if most else "more", "mean": latency.mean, "p95": latency.p95}
                for most, latency in zip((*SIZES, None), self._latencies, strict=True)
                if latency.mean is not None
            ],
            "last_error": error and {"kind": error.kind, "status": error.status, "seconds_ago": now - error.at},
            "retry_budget": self.retries.left(now),
        }
