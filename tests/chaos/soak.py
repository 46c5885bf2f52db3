"""Mixed faults for minutes, behind two gateway processes under load, and a table of what came of it.

    python -m tests.chaos.soak --minutes 10

Ends with 1 if a vector was wrong, a request was lost, or an answer was none that a client should see.
"""

from __future__ import annotations

import asyncio
import pathlib
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import click

from tests.chaos.asks import Habits
from tests.chaos.load import Load
from tests.chaos.phases import PHASES, Phase
from tests.chaos.replicas import SERVER_SECONDS, Fleet, fleet
from tests.chaos.stage import MODEL
from tests.chaos.tally import Tally
from tests.chaos.upstream import ChaosUpstream

NAMES = ("first", "second")
FAULTY = 0.7
"""Part of a phase in which the faults last; in the rest of it everything is well, and has to become so."""
HEADINGS = (
    *("phase", "requests", "200", "errors", "hung up", "sent again", "wrong", "lost", "odd"),
    *("well after, s", "first asked again after, s", "p50, ms", "p99, ms", "MiB", "descriptors"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Of one phase. Of the time afterwards, only what must never happen counts into it."""

    phase: Phase
    tally: Tally
    afterwards: Sequence[Tally]
    well: float
    first_back: float
    before: tuple[int, int]
    after: tuple[int, int]

    def all(self, name: str) -> list[str]:
        return [line for tally in (self.tally, *self.afterwards) for line in getattr(tally, name)]

    def cells(self) -> list[str]:
        errors = Counter({status: count for status, count in self.tally.statuses.items() if status != 200})
        return [
            self.phase.name,
            str(self.tally.asked),
            str(self.tally.statuses[200]),
            ", ".join(f"{count}×{status}" for status, count in sorted(errors.items())) or "–",
            str(self.tally.hung_up),
            str(self.tally.asked_again),
            *(str(len(self.all(name))) for name in ("wrong", "lost", "odd")),
            f"{self.well:.1f}",
            f"{self.first_back:.1f}",
            *(f"{self.tally.percentile(percent) * 1000:.0f}" for percent in (50, 99)),
            f"{self.before[0] / 2**20:.0f} → {self.after[0] / 2**20:.0f}",
            f"{self.before[1]} → {self.after[1]}",
        ]


class Soak:
    def __init__(self, fleet: Fleet, upstream: ChaosUpstream, callers: int, pause: float, seed: int) -> None:
        self._fleet = fleet
        self._upstream = upstream
        self._callers = callers
        self._pause = pause
        self._seed = seed

    async def phase(self, phase: Phase, seconds: float) -> Row:
        before = self._fleet.resources()
        self._upstream.plan("first", phase.first)
        self._upstream.plan("second", phase.second or phase.first)
        end = asyncio.get_running_loop().time() + FAULTY * seconds
        blows = {
            "kill replicas": self._fleet.kill_in_turn,
            "roll replicas": self._fleet.roll,
            "restart redis": self._fleet.restart_redis,
        }
        blow = self._fleet.reload if phase.event is None else blows[phase.event]
        tally, _ = await asyncio.gather(
            self._load().run(self._callers, FAULTY * seconds, Habits(), self._pause), blow(end)
        )
        self._upstream.all_well()
        probe, probe_of_first, load = self._load(), self._load(), self._load()
        well, first_back, rest = await asyncio.gather(
            probe.until_well(patience=180),
            probe_of_first.until_well("first", patience=180),
            load.run(self._callers, (1 - FAULTY) * seconds, Habits(), self._pause),
        )
        afterwards = (probe.tally, probe_of_first.tally, rest)
        return Row(phase, tally, afterwards, well, first_back, before, self._fleet.resources())

    def _load(self) -> Load:
        self._seed += 1_000
        return Load(
            self._fleet.replicas, seed=self._seed, server_seconds=SERVER_SECONDS, model=MODEL, targets=set(NAMES)
        )


async def soak(minutes: float, callers: int, pause: float, seed: int) -> bool:
    """Prints row by row; tells whether nothing happened that must not."""
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ChaosUpstream(seed=seed, names=NAMES) as upstream,
        fleet(pathlib.Path(folder), upstream) as gateways,
    ):
        run = Soak(gateways, upstream, callers, pause, seed)
        await run.phase(Phase("warm"), 3.0)
        _print_row(HEADINGS)
        _print_row(["---"] * len(HEADINGS))
        began = time.monotonic()
        for phase in PHASES:
            rows.append(await run.phase(phase, minutes * 60 / len(PHASES)))
            _print_row(rows[-1].cells())
        gateways.note_traces()
        broken_rules = [rule for name in NAMES for rule in upstream.counts(name).broken_rules]
        _print_summary(rows, gateways, time.monotonic() - began)
    bad = [line for row in rows for name in ("wrong", "lost", "odd") for line in row.all(name)]
    bad += [
        "sent again, although its replica had only been told to stop"
        for row in rows
        if row.phase.event == "roll replicas"
        for _ in range(row.tally.asked_again)
    ]
    bad += [*gateways.traces, *gateways.not_reloaded, *broken_rules]
    for line, count in Counter(bad).most_common(20):
        print(f"{count} × {line}")
    return not bad


def _print_row(cells: Sequence[str]) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def _print_summary(rows: Sequence[Row], gateways: Fleet, seconds: float) -> None:
    tallies = [tally for row in rows for tally in (row.tally, *row.afterwards)]
    reloads = f"{gateways.reloads} reloads" if gateways.can_reload else "no reloads, as SIGHUP is not listened to"
    print(
        f"\nIn {seconds / 60:.1f} minutes {sum(tally.asked for tally in tallies)} requests, "
        f"{sum(tally.statuses[200] for tally in tallies)} of them with their vectors; "
        f"{sum(len(row.all('wrong')) for row in rows)} wrong, {sum(len(row.all('lost')) for row in rows)} lost; "
        f"{gateways.rolled} replicas stopped, {gateways.kills} killed, {sum(tally.asked_again for tally in tallies)} "
        f"requests sent again, to the other one; {reloads}."
    )


@click.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--callers", default=16, show_default=True, help="Clients at a time.")
@click.option("--pause", default=0.15, show_default=True, help="Mean seconds between a client's requests.")
@click.option("--seed", default=7, show_default=True)
def main(minutes: float, callers: int, pause: float, seed: int) -> None:
    raise SystemExit(0 if asyncio.run(soak(minutes, callers, pause, seed)) else 1)


if __name__ == "__main__":
    main()
