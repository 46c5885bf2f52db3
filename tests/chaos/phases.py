"""What a soak goes through: how each of the two upstreams behaves for a while, and what befalls the gateway itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from tests.chaos.faults import FAULTS
from tests.chaos.plan import WELL, Latency, Plan

Event = Literal["kill replicas", "roll replicas", "restart redis"]

NOT_FOUND_OUT: Final = ("other_model",)
"""Faults that only a canary can tell: without one they are wrong vectors, and no phase has them."""


@dataclass(frozen=True, slots=True)
class Phase:
    """`second` behaves like `first` unless it has a plan of its own. An `event` happens again and again."""

    name: str
    first: Plan = WELL
    second: Plan | None = None
    event: Event | None = None


def _faults(*names: str, share: float) -> Plan:
    return Plan(names, share, Latency(0.01, sigma=0.5))


MIXED: Final = _faults(*(name for name in FAULTS if name not in NOT_FOUND_OUT), share=0.3)

PHASES: Final = (
    Phase("calm", Plan(latency=Latency(0.01, sigma=0.5))),
    Phase("storm of 429, true hints", Plan(rate=15)),
    Phase(
        "429 to half of all",
        _faults("throttled", "throttled_reset", "throttled_in_words", "throttled_unhinted", share=0.5),
    ),
    Phase("burst of 5xx at one", _faults("broken", "bad_gateway", "unavailable", "overloaded", share=1.0), WELL),
    Phase("5xx to half of all", _faults("broken", "bad_gateway", "unavailable", "overloaded", share=0.5)),
    Phase("slow, with spikes", Plan(latency=Latency(0.1, sigma=1.0, spike=1.5, share=0.05))),
    Phase("hung at one", _faults("never_answers", "never_finishes", "endless_drip", "slow_drip", share=1.0), WELL),
    Phase(
        "resets",
        _faults("reset_unanswered", "closed_unanswered", "reset_amid", "closed_amid", "closed_when_reused", share=0.4),
    ),
    Phase(
        "wrong answers",
        _faults("one_too_few", "duplicate_index", "index_beyond", "nan", "zero_vector", "wrong_length", share=0.4),
    ),
    Phase("malformed answers", _faults("html_200", "empty_200", "cut_json", "cut_gzip", "bad_base64", share=0.4)),
    Phase("one dead", Plan(listening=False), WELL),
    Phase("both dead", Plan(listening=False)),
    Phase("replicas stopped and started in turn", event="roll replicas"),
    Phase("replicas killed and restarted", event="kill replicas"),
    Phase("Redis restarted", event="restart redis"),
    Phase("all mixed", MIXED),
)
