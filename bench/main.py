"""Compares the gateway with nginx and LiteLLM in one run. `bench/run --help` tells the options."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Final

from bench import checking, gateways, nginx, plot, report, wrk
from bench.house import House, MissingError, Tools, find_tools, running, written
from bench.loads import BARE, FRESH, GATEWAYS, LOADS, NGINX, Load
from bench.programs import Program, StartError
from bench.results import GOALS, Results
from bench.wrk import Sample, Shot, WrkError
from gateway.loading import load as load_config

FOLDER: Final = pathlib.Path(__file__).parent
BUSY: Final = 0.5
RESULTS: Final = FOLDER / "RESULTS.md"


def selected(loads: Sequence[Load], only: Sequence[str], quick: bool) -> list[Load]:
    """Those whose names hold one of `only`, or all; of these the quick ones."""
    found = [load for load in loads if not only or any(part in load.name for part in only)]
    found = [load for load in found if gateways.HAS_LOCAL or load.model != "local"]
    return [load for load in found if load.quick] if quick else found


@dataclasses.dataclass
class Run:
    tools: Tools
    house: House
    folder: pathlib.Path
    loads: Sequence[Load]
    seconds: int
    samples: dict[tuple[str, str], list[Sample]] = dataclasses.field(default_factory=dict)

    def pairs(self) -> Iterator[tuple[Load, str, Program]]:
        for load in self.loads:
            for name in load.servers:
                if name in self.house.servers:
                    yield load, name, self.house.servers[name]

    def all(self, rounds: int, warm: bool) -> Results:
        """Every server in turn with every load, and all that again in each round."""
        for name in set(GATEWAYS) & set(self.house.servers):
            checking.ready(self.house.servers[name])
        idle = self._memory()
        for number in range(rounds):
            for load, name, server in self.pairs():
                if warm and number == 0:
                    self._measure(load, name, server, 1)
                sample = self._measure(load, name, server, self.seconds)
                self.samples.setdefault((load.name, name), []).append(sample)
                print(f"{number + 1}/{rounds}  {load.name:40} {name:26} {sample.rate:9,.0f}/s", file=sys.stderr)
                server.forget_log()
        medians = {pair: Sample.median(samples) for pair, samples in self.samples.items()}
        return Results(medians, idle, self._memory())

    def _memory(self) -> dict[str, int]:
        """Of the gateways' workers."""
        return {name: server.memory() for name, server in self.house.servers.items() if name in GATEWAYS}

    def _measure(self, load: Load, name: str, server: Program, seconds: int) -> Sample:
        way = f"/{load.ceiling}/v1/embeddings" if name in (NGINX, BARE) else "/v1/embeddings"
        checking.check(name, server, load, way, load.model)
        body = self.folder / "body.json"
        body.write_bytes(load.body(load.model))
        seed = f"{time.time_ns()}" if FRESH.encode() in body.read_bytes() else ""
        shot = Shot(way, body, load.connections, gateways.KEY, seed)
        if not load.model.startswith("cached"):
            return wrk.measure(self.tools.wrk, server, self.house.behind, shot, seconds)
        before = checking.cached(server)
        sample = wrk.measure(self.tools.wrk, server, self.house.behind, shot, seconds)
        hits, misses = (now - then for now, then in zip(checking.cached(server), before, strict=True))
        return dataclasses.replace(sample, hits=hits / max(hits + misses, 1.0))


def check(tools: Tools, house: House, folder: pathlib.Path) -> int:
    """Whether all files that were written can be served, without serving them."""
    problems = nginx.check(tools.nginx, folder)
    for file in sorted(folder.glob("gateway*.yaml")):
        load_config(file)
    print(problems or f"Good: {len(LOADS)} loads, {len(GOALS)} goals, servers {', '.join(house.servers)}.")
    return 1 if problems else 0


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute: the loads that have a goal, once, for a second")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="loads whose names hold this; repeatable"
    )
    parser.add_argument("--list", action="store_true", help="print the loads' names")
    parser.add_argument("--check", action="store_true", help="write and check all configurations, and measure nothing")
    parser.add_argument("--rounds", type=int, default=3, help="[3]")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement [2]")
    parser.add_argument("--litellm", type=pathlib.Path, help="its executable [where bench/litellm-setup puts it]")
    parser.add_argument(
        "--write", action="store_true", help="write RESULTS.md and results.svg also of a part of the loads"
    )
    parser.add_argument("--sizing", action="store_true", help="print only the table of sizes at the end")
    options = parser.parse_args(given)
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    if options.quick:
        options.rounds, options.seconds = 1, 1
    return options


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    loads, busy = selected(LOADS, options.only, options.quick), os.getloadavg()[0]
    if options.list or not loads:
        print("\n".join(load.name for load in (loads or LOADS)))
        return 0 if loads else 2
    try:
        tools = find_tools(options.litellm)
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
            folder = pathlib.Path(name)
            house = written(tools, folder, {server for load in loads for server in load.servers})
            if options.check:
                return check(tools, house, folder)
            run = Run(tools, house, folder, loads, options.seconds)
            if busy > BUSY:
                print(f"This machine is busy (load average {busy:.1f}): expect noise.", file=sys.stderr)
            with running(house):
                results = run.all(options.rounds, warm=not options.quick)
    except (MissingError, StartError, WrkError, checking.WrongError) as error:
        print(error, file=sys.stderr)
        return 2
    if not options.sizing:
        print(f"{report.goals(results)}\n\n{report.table(results, loads)}\n")
    print(report.sizing(results))
    if options.write or len(loads) == len(LOADS):
        machine = report.machine(tools, options.rounds, options.seconds, busy)
        remarks = report.remarks(RESULTS.read_text() if RESULTS.exists() else "")
        RESULTS.write_text(report.markdown(results, loads, machine) + remarks)
        (FOLDER / "results.svg").write_text(plot.svg(results, loads))
        print(f"\nWritten: {RESULTS.name} and results.svg", file=sys.stderr)
    return 1 if any(sample.errors for sample in results.samples.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
