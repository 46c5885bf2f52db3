"""What each kind of `Fault` means, and how failed attempts become one answer: it decides and never acts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway import errors
from gateway.errors import GatewayError
from providers.base import Fault, FaultKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often to try again at the same target, whether another may help, and whether it may be billed anyway.

    `trips` says whether it counts against the target: the caller's own mistakes do not, nor does what is wrong here.
    `cools` is how many seconds the target is left alone where it does not say itself, None for a fault that needs none.
    """

    retries: int
    next_target: bool
    charged: bool = False
    trips: bool = False
    cools: float | None = None


TABLE: Final[Mapping[FaultKind, Verdict]] = {
    FaultKind.REJECTED: Verdict(retries=0, next_target=False),
    FaultKind.MISCONFIGURED: Verdict(retries=0, next_target=True),
    FaultKind.THROTTLED: Verdict(retries=2, next_target=True, cools=0.5),
    FaultKind.OVERLOADED: Verdict(retries=2, next_target=True, trips=True),
    FaultKind.NO_SLOT: Verdict(retries=0, next_target=True),
    FaultKind.TIMEOUT: Verdict(retries=0, next_target=True, charged=True, trips=True),
    FaultKind.BROKEN: Verdict(retries=1, next_target=True, charged=True, trips=True),
    FaultKind.MALFORMED: Verdict(retries=0, next_target=True, charged=True, trips=True),
    FaultKind.EXHAUSTED: Verdict(retries=0, next_target=True, cools=300.0),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One target's last word on some inputs. `items` are their positions in the request.

    `seconds` is how long it took to come, all tries at that target included.
    """

    target: str
    fault: Fault
    items: Sequence[int]
    seconds: float = 0.0

    @property
    def item(self) -> int | None:
        """Position in the request of the input at fault, where known."""
        known = self.fault.item is not None and 0 <= self.fault.item < len(self.items)
        return self.items[self.fault.item] if known and self.fault.item is not None else None


OUT_OF_SERVICE_SECONDS: Final = 30.0
"""After which a client may ask again where an operator or a canary has to put a target back."""


def refusal(attempts: Sequence[Attempt]) -> GatewayError:
    """The one sentence that the client gets after the last target; the attempts themselves go to the log."""
    if not attempts:
        return errors.UpstreamUnavailable(
            "Every backend of this model is taken out of service. Try again later, or tell the gateway's operator.",
            headers=errors.retry_headers(OUT_OF_SERVICE_SECONDS),
        )
    kinds = [attempt.fault.kind for attempt in attempts]
    rejected = next((attempt for attempt in attempts if attempt.fault.kind is FaultKind.REJECTED), None)
    if rejected is not None:
        return _rejection(rejected)
    if set(kinds) <= {FaultKind.THROTTLED, FaultKind.EXHAUSTED}:
        return _throttled(attempts)
    if FaultKind.TIMEOUT in kinds:
        return errors.UpstreamTimeout(
            "The model's backend did not answer in time. Try again, with fewer inputs in one request if it persists."
        )
    if set(kinds) == {FaultKind.NO_SLOT}:
        return errors.Overloaded(
            "The gateway is busy: no slot for this model is free in time. Try again shortly.",
            headers=errors.retry_headers(max(1.0, _shortest_wait(attempts) or 0.0)),
        )
    if not {FaultKind.OVERLOADED, FaultKind.THROTTLED, FaultKind.NO_SLOT}.isdisjoint(kinds):
        return errors.UpstreamUnavailable(
            "The model's backend has no capacity or cannot be reached right now. Try again shortly.",
            headers=errors.retry_headers(_shortest_wait(attempts) or 1.0),
        )
    return errors.UpstreamError(_broken(attempts))


def _rejection(attempt: Attempt) -> GatewayError:
    said = cleaned(attempt.fault.message)
    place = f"`input[{attempt.item}]` was refused by the model's backend" if attempt.item is not None else None
    lead = place or "The model's backend refused this request"
    return errors.InvalidRequest(
        f"{lead}: {said}" if said else f"{lead} and gave no reason.",
        param="input" if attempt.item is not None else None,
    )


def _throttled(attempts: Sequence[Attempt]) -> GatewayError:
    if all(attempt.fault.kind is FaultKind.EXHAUSTED for attempt in attempts):
        return errors.QuotaExhausted(
            "The quota of this model's backend is used up. Trying again will not help until its operator renews it."
        )
    wait = _shortest_wait(attempts) or 1.0
    return errors.Throttled(
        f"The model's backend takes no more requests at the moment. Try again in {wait:g} seconds.",
        headers=errors.retry_headers(wait),
    )


def _shortest_wait(attempts: Sequence[Attempt]) -> float | None:
    waits = [attempt.fault.retry_after for attempt in attempts if attempt.fault.kind is not FaultKind.EXHAUSTED]
    return min((wait for wait in waits if wait), default=None)


def _broken(attempts: Sequence[Attempt]) -> str:
    """Breaches are worded by us and may be told; what an upstream says of its own failure may not."""
    breaches = [attempt for attempt in attempts if attempt.fault.kind is FaultKind.MALFORMED]
    if breaches:
        breach = next(attempt for attempt in breaches if attempt.target == breaches[-1].target)
        where = f" for `input[{breach.item}]`" if breach.item is not None else ""
        return (
            f"The model's backend gave a wrong answer{where}: {breach.fault.message}. No vectors were returned; "
            "try again, and tell the gateway's operator if it persists."
        )
    if all(attempt.fault.kind is FaultKind.MISCONFIGURED for attempt in attempts):
        return "The model's backend refuses the gateway's configuration of it. Tell the gateway's operator."
    return "The model's backend failed. Try again, and tell the gateway's operator if it persists."


_KEY_PREFIX: Final = re.compile(r"(?<![A-Za-z0-9])(?:(?:sk|pk|rk|pa|xai|nvapi)-|(?:sk|pk|hf|gsk|jina)_)")
_STRETCH: Final = re.compile(r"[A-Za-z0-9]{12,}")
_NOT_OF_A_WORD: Final = re.compile(r"\d|[a-z][A-Z]")


def _hidden_if_key(match: re.Match[str]) -> str:
    """Names of models and fields are words joined by dashes; in a key some stretch is none, or the whole is not."""
    run = match[0]
    is_key = (
        _KEY_PREFIX.search(run) is not None
        or "***" in run  # a masked one
        or any(not stretch.isalpha() and not stretch.isdigit() for stretch in _STRETCH.findall(run))
        or (len(run) >= 32 and len(_NOT_OF_A_WORD.findall(run)) >= 5)
    )
    return "[hidden]" if is_key else run


# Each takes time linear in the message, which may quote a long input.
_SECRETS: Final[Sequence[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]] = (
    (re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{0,40}://\S+"), "[url]"),
    # What follows is kept where it can only be a word of the language: "the basic plan", "a bearer token".
    (re.compile(r"\b((?i:bearer|basic))\s+(?![a-z]{1,14}(?:[\s.,;:!?)]|$))\S+"), r"\1 [hidden]"),
    (re.compile(r"[A-Za-z0-9+/_*-]{8,}={0,2}"), _hidden_if_key),
    (re.compile(r"\borg-[A-Za-z0-9]+"), "[hidden]"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "[address]"),
)
_LONGEST_MESSAGE: Final = 500


def cleaned(message: str) -> str:
    """An upstream's message without credentials, URLs and addresses, on one line and not too long."""
    message = " ".join(message.split())
    if len(message) > 4 * _LONGEST_MESSAGE:
        message = message[: 4 * _LONGEST_MESSAGE].rsplit(" ", 1)[0]  # the last word may be half a key
    for pattern, replacement in _SECRETS:
        message = pattern.sub(replacement, message)
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
