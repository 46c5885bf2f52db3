"""The results as Markdown: the goals, every load, and what a worker is good for."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
import timeit
from collections.abc import Iterable, Sequence
from typing import Final

import gateway
from bench.gateways import CACHE_MB
from bench.house import Tools
from bench.loads import GATEWAY, NGINX, TWO, Load
from bench.results import GOALS, Results
from bench.wrk import Sample

REMARKS: Final = "## Remarks"
"""Why goals are not reached, say."""

SIZING: Final = (
    "1 × base64 @64",
    "1 × float @64",
    "100 × base64 @16",
    "100 × float @16",
    "100 × base64, all cached @16",
    "1 × base64, local model @64",
    "256 × base64, local model @16",
)


def markdown(results: Results, loads: Sequence[Load], machine: str) -> str:
    return f"""# What `bench/run` measured

{machine}

Every answer was compared with the upstream's vectors before it was measured. `base64` and `float` are what the
client wants; the upstream answers base64 unless the load says `from float` (without blanks) or `from pretty float`
(as OpenAI's own answers are). `@64` is the number of connections. The gateway has everything on: authentication,
limits of requests, tokens and requests at a time of the key and the model, a budget, token limits, the output
contract, metrics, the access log (to a file); {CACHE_MB} MiB of cache, which only the loads that name it use. nginx
is a reverse proxy with one worker and no log; in the rows of `float` it passes floats on, since its client has to
get the same. `HTTP alone` is the gateway's own server and client that hand on what comes: a request costs so much
before anything is done for it. All programs are on one machine: read ratios, not absolutes.

## Goals

{goals(results)}

## Loads

`µs` is processor time of a request in all the server's processes; `MB` the largest one's memory; `others` how many
processors the load generator, and the upstreams with Redis, took meanwhile; `hits` the inputs that the cache
had, which is less than there were where Redis answers too late. nginx's row is 100 %.

{table(results, loads)}

![Requests a second, as a share of nginx's](results.svg)

## Sizes

{sizing(results)}
"""


def goals(results: Results) -> str:
    rows = []
    for goal in GOALS:
        value = goal.value(results)
        said = "not measured" if value is None else "reached" if goal.reached(value) else "**not reached**"
        found = "–" if value is None else goal.shown(value)
        rows.append([goal.name, f"{'≤' if goal.most else '≥'} {goal.shown(goal.bound)}", found, said])
    return _rows(["load", "goal", "measured", ""], rows)


def table(results: Results, loads: Sequence[Load]) -> str:
    rows = []
    for load in loads:
        for server in load.servers:
            sample = results.samples.get((load.name, server))
            if sample is not None:
                hits = f"{sample.hits:.0%}" if load.model.startswith("cached") else ""
                rows.append([load.name, server, *_figures(sample), hits, _of(results.ratio(load.name, server, NGINX))])
    head = ["load", "server", "requests/s", "p50 ms", "p99 ms", "µs", "MB", "others", "hits", "of nginx"]
    return _rows(head, rows)


def _figures(sample: Sample) -> list[str]:
    failed = f" ({sample.errors} failed)" if sample.errors else ""
    return [
        f"{sample.rate:,.0f}{failed}",
        f"{sample.p50 * 1e3:.2f}",
        f"{sample.p99 * 1e3:.2f}",
        f"{sample.cost * 1e6:,.0f}",
        f"{sample.memory / 1e6:.0f}",
        f"{sample.generator:.2f} + {sample.upstream:.2f}",
    ]


def _of(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1%}"


def sizing(results: Results) -> str:
    """The short table for whoever plans a machine."""
    rows = []
    for name in SIZING:
        one = results.samples.get((name, GATEWAY))
        if one is not None:
            two = results.rate(name, TWO)
            rows.append([name, f"{one.rate:,.0f}", "" if two is None else f"{two:,.0f}", f"{one.memory / 1e6:.0f} MB"])
    return _rows(["load", "requests/s, one worker", "two workers", "memory of a worker"], rows)


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def remarks(before: str) -> str:
    """What a person has written under the last heading of an earlier report, which outlives a new one."""
    found = before.find(f"\n{REMARKS}\n")
    return before[found:] if found >= 0 else f"\n{REMARKS}\n\nNone yet.\n"


def machine(tools: Tools, rounds: int, seconds: int, busy: float) -> str:
    """What it was measured on and with; nothing that tells whose machine it is. `busy` is the load average before."""
    cpu = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    version = importlib.metadata.version
    model = cpu[1] if cpu else platform.machine()
    parts = [
        f"{os.cpu_count()} cores ({model}), Linux {platform.release().partition('-')[0]}",
        f"Python {platform.python_version()}, which makes {_calls():.0f} million calls of an empty function a second; "
        f"gateway {gateway.__version__}, uvicorn {version('uvicorn')}, "
        f"uvloop {version('uvloop')}, httptools {version('httptools')}, starlette {version('starlette')}",
        f"nginx {_said(tools.nginx, '-v')}, wrk {_said(tools.wrk, '-v')}",
    ]
    if tools.redis:
        parts[-1] += f", Redis {_said(tools.redis, '--version')}"
    if tools.litellm:
        command = "import importlib.metadata as found; print(found.version('litellm'))"
        parts[-1] += f", LiteLLM {_said(str(tools.litellm.with_name('python')), '-c', command)}"
    parts.append(f"Medians of {rounds} interleaved rounds of {seconds} s; the load average before was {busy:.1f}")
    return ". ".join(parts) + "."


def _calls() -> float:
    """Millions a second: one Python of a version may be half as fast as another, by how it was built."""
    count, best = 1_000_000, min(timeit.repeat("empty()", "def empty(): pass", number=1_000_000, repeat=5))
    return count / best / 1e6


def _said(*command: str) -> str:
    """The first version number in what a program says of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "of unknown version"
