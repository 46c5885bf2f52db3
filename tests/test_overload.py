"""Load above capacity is shed cleanly. `bench/overload.py` measures how much is still answered in time."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

from bench import overload
from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import GatewayProcess

DEADLINE = 2.0
SECONDS = 4.0
SLOTS = 2
"""So few that the machine itself, be it slow, has no trouble with three times the load of the upstream."""
SLACK = 30.0
"""Of a machine that has much else to do."""


def test_three_times_the_load(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is answered by the deadline; what is refused is refused at once, and as overloaded."""
    latency = 0.2
    with FakeOpenAI() as fake:
        fake.behave(mishaps.slow(latency), times=None)
        with GatewayProcess(tmp_path, overload.models(fake, SLOTS)) as gateway:
            rate = 3 * SLOTS / latency
            outcome = asyncio.run(overload.load(gateway, rate, SECONDS, DEADLINE))
    print({status: (count, outcome.median(status)) for status, count in outcome.statuses.items()})

    assert int(rate * SECONDS) == sum(outcome.statuses.values())
    assert {200, 503} <= set(outcome.statuses) <= {200, 503, 504}
    assert max(map(max, outcome.taken.values())) < DEADLINE + SLACK
    assert outcome.median(503) < outcome.median(200)
