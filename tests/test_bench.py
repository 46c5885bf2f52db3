"""The benchmark itself, without measuring: what it would start, what its mock upstream says, how it judges."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from bench import answers, main, plot, report, soak
from bench.house import MissingError, find_tools
from bench.loads import GATEWAY, GATEWAYS, LOADS
from bench.results import GOALS, Results
from bench.wrk import Sample


def sample(rate: float = 1000.0, errors: int = 0) -> Sample:
    return Sample(rate, 0.001, 0.002, 0.0001, 1e8, 0.1, 0.2, 0.0, errors)


EVERYTHING = Results(
    {(load.name, server): sample() for load in LOADS for server in load.servers},
    idle={GATEWAY: 100_000_000},
    after={GATEWAY: 200_000_000},
)


def test_check() -> None:
    """Every configuration that a run would use is one that nginx and the gateway take."""
    try:
        find_tools()
    except MissingError as error:
        pytest.skip(str(error))

    assert main.main(["--check"]) == 0


def test_missing_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nginx and wrk a run is refused in words that say how to install them."""
    monkeypatch.setattr(shutil, "which", lambda name, path: None)

    with pytest.raises(MissingError, match="apt-get install nginx wrk"):
        find_tools()


@pytest.mark.parametrize("name", ["b1", "f1", "p1", "b50"])
def test_answers(name: str) -> None:
    """Each form of the upstream's answer reads as exactly the same vectors."""
    found = answers.read(answers.answer(name))

    np.testing.assert_array_equal(answers.VECTORS[: int(name[1:])], found)


def test_texts_of_a_request_differ() -> None:
    """No load repeats a text within a request, which would be sent only once."""
    repeated = [load.name for load in LOADS if len(set(load.input)) != load.inputs]

    assert repeated == []


def test_every_goal_is_measured() -> None:
    """Each goal finds what it judges in the results of a whole run."""
    blind = [goal.name for goal in GOALS if goal.value(EVERYTHING) is None]

    assert blind == []


def test_goals_are_judged_both_ways() -> None:
    """The goals tell what is reached from what is not."""
    lines = [line for line in report.goals(EVERYTHING).splitlines() if "Memory of a worker" in line]

    assert [line.count("**not reached**") for line in lines] == [0, 1]  # 100 of at most 110 MB idle, 200 of 170 after


def test_report() -> None:
    """The report has a row for each server of each load, the plot a bar for each that nginx is compared with."""
    table = report.table(EVERYTHING, LOADS).splitlines()[2:]
    bars = plot.svg(EVERYTHING, LOADS).count("<rect") - plot.svg(EVERYTHING, ()).count("<rect")

    assert len(table) == sum(len(load.servers) for load in LOADS)
    assert bars == sum(len(load.servers) - 1 for load in LOADS if load.ceiling)


def test_remarks_outlive_a_new_report() -> None:
    """What a person wrote under the last heading is still there after the next run."""
    written = "# Old\n\nfigures\n" + report.remarks("").replace("None yet.", "The floor is JSON.")

    assert report.remarks(written) == "\n## Remarks\n\nThe floor is JSON.\n"


def test_failures_stay_visible() -> None:
    """Failed requests of any round are in the median."""
    found = Sample.median([sample(100.0), sample(200.0, errors=3), sample(900.0)])

    assert (found.rate, found.errors) == (200.0, 3)


def test_every_cached_load_is_looked_at() -> None:
    """The share of hits is read from servers of one process only, whose counters are the whole truth."""
    servers = {server for load in LOADS if load.model.startswith("cached") for server in load.servers}

    assert servers < set(GATEWAYS)
    assert all("workers" not in server for server in servers)


def test_growth() -> None:
    """What keeps growing is told, what has filled up is not."""
    steady = [soak.Held(100 + min(10 * number, 40), 12, 90_000, 30) for number in range(15)]
    leaking = [soak.Held(150, 12, 90_000, 30 + 3 * number) for number in range(15)]

    assert soak.grown(steady) == []
    assert soak.grown(leaking) == ["sockets grew from 51 to 66"]
