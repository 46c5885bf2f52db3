"""Trying one target again, as the policy's table says and the deadline allows: the only tenacity."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import tenacity

from gateway.policy import TABLE
from providers.base import Fault

FIRST_PAUSE: Final = 0.25
"""Seconds before the second try where the upstream names none; doubled for each further one."""

_AnswerT = TypeVar("_AnswerT")


def _always(fault: Fault) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Retry:
    """`clock` and `sleep` are the event loop's; `random` gives 0 to 1, and spreads the pauses."""

    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]

    async def run(
        self,
        attempt: Callable[[], Awaitable[_AnswerT | Fault]],
        latest: float,
        patience: float = math.inf,
        may: Callable[[Fault], bool] = _always,
        sent: Callable[[], int] | None = None,
    ) -> _AnswerT | Fault:
        """The first success, or the last fault; see `after`."""
        first = await attempt()
        return await self.after(first, attempt, latest, patience, may, sent) if isinstance(first, Fault) else first

    async def after(
        self,
        first: Fault,
        attempt: Callable[[], Awaitable[_AnswerT | Fault]],
        latest: float,
        patience: float = math.inf,
        may: Callable[[Fault], bool] = _always,
        sent: Callable[[], int] | None = None,
    ) -> _AnswerT | Fault:
        """The first success after a failure, or the last fault: most calls never come here.

        No pause ends after `latest`, on the clock, nor more than `patience` seconds after the first failure. `may` is
        asked last, before a pause that will be followed by another attempt. `sent` tells how many of them count so far:
        one that only waited for its turn does not.
        """
        outcomes: list[_AnswerT | Fault] = [first]
        end = latest

        async def next_outcome() -> _AnswerT | Fault:
            return outcomes.pop() if outcomes else await attempt()

        def enough(state: tenacity.RetryCallState) -> bool:
            nonlocal end
            if state.attempt_number == 1:
                end = min(latest, self.clock() + patience)
            tries = state.attempt_number if sent is None else sent()
            return self._enough(state, end, tries) or not may(_fault(state))

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_result(lambda outcome: isinstance(outcome, Fault)),
            wait=self._pause,
            stop=enough,
            sleep=self.sleep,
            retry_error_callback=_last_outcome,
        )
        return cast("_AnswerT | Fault", await retrying(next_outcome))

    def _pause(self, state: tenacity.RetryCallState) -> float:
        fault = _fault(state)
        if fault.retry_after is not None:
            return fault.retry_after + 0.1 * self.random()
        return FIRST_PAUSE * 2.0 ** (state.attempt_number - 1) * (0.5 + 0.5 * self.random())

    def _enough(self, state: tenacity.RetryCallState, latest: float, tries: int) -> bool:
        if tries > TABLE[_fault(state).kind].retries:
            return True
        return self.clock() + state.upcoming_sleep >= latest


def _fault(state: tenacity.RetryCallState) -> Fault:
    outcome = state.outcome.result() if state.outcome is not None else None
    assert isinstance(outcome, Fault)  # noqa: S101 (only faults are retried, so nothing else comes here)
    return outcome


def _last_outcome(state: tenacity.RetryCallState) -> Fault:
    return _fault(state)
