"""What several workers have counted is one answer, whoever is late or has ended."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway import exposition
from gateway.exposition import Families
from gateway.metrics import Metrics
from gateway.record import Record
from gateway.tally import Tally


def counted(requests: int, *, up: bool = True) -> Families:
    """What a worker tells after so many requests."""
    metrics = Metrics()
    for _ in range(requests):
        metrics.answered(Record("req_1", lambda: 12.5, started=10.0, route="small"), 200)
    metrics.state(up=up)
    metrics.canaries([("small", "first", 1.0 - requests / 100, False)])
    return metrics.families()


def value(families: Families, name: str) -> float:
    found = text_string_to_metric_families(exposition.text(families).decode())
    return sum(sample.value for family in found for sample in family.samples if sample.name == name)


class Workers:
    """Some that tell at once when they are asked, and some that do not."""

    def __init__(self, requests: dict[str, int]) -> None:
        self.requests = requests
        self.late: set[str] = set()
        self.tally = Tally[str](seconds=0.0)
        for name in requests:
            self.tally.came(name)

    def gathered(self) -> Families:
        def ask(name: str, round_: int) -> None:
            if name not in self.late:
                self.tally.told(name, round_, counted(self.requests[name]))

        return self.tally.gathered(ask)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_sum(requests: list[int]) -> None:
    """Counters and each bucket of a histogram are the sums of all workers'."""
    families = Workers({str(number): count for number, count in enumerate(requests)}).gathered()

    assert sum(requests) == value(families, "gateway_requests_total")
    assert sum(requests) == value(families, "gen_ai_server_request_duration_seconds_count")
    assert 2.5 * sum(requests) == value(families, "gen_ai_server_request_duration_seconds_sum")
    assert len(requests) == value(families, "gateway_processes")


def test_worst() -> None:
    """What every worker finds out for itself is told as the worst of them sees it."""
    families = exposition.merged([counted(3), counted(20, up=False), counted(1)])

    assert (0.0, 0.8) == (value(families, "gateway_state_up"), value(families, "gateway_canary_cosine"))


def test_order() -> None:
    """The text is the same in whichever order workers tell, but for the order of its lines."""
    told = [counted(3), counted(0), counted(5)]
    texts = {tuple(sorted(exposition.text(exposition.merged(random.sample(told, 3))).splitlines())) for _ in range(10)}

    assert 1 == len(texts)


def test_late() -> None:
    """A worker that does not tell in time counts as it did before."""
    workers = Workers({"a": 1, "b": 2})
    workers.gathered()
    workers.late, workers.requests = {"b"}, {"a": 5, "b": 9}

    assert 7 == value(workers.gathered(), "gateway_requests_total")


def test_ended() -> None:
    """What a worker that has ended had counted stays counted; it is no process any more, and has no state."""
    workers = Workers({"a": 1, "b": 2})
    workers.gathered()
    workers.tally.left("b")
    workers.tally.came("c")
    workers.requests = {"a": 1, "c": 0}
    families = workers.gathered()

    assert (3, 2) == (value(families, "gateway_requests_total"), value(families, "gateway_processes"))
