"""Drives one server with one load for some seconds, and measures what that cost."""

from __future__ import annotations

import json
import pathlib
import resource
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

from bench.programs import Program

LUA: Final = pathlib.Path(__file__).with_name("load.lua")


class WrkError(Exception):
    """wrk failed; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`rate` is in requests a second, `p50` and `p99` in seconds, `cost` in seconds of processor time a request.

    `memory` is the largest process's in bytes. `generator` and `upstream` are how many processors wrk and the upstream
    took, `hits` the share of inputs that the cache had, `errors` the requests without a good answer.
    """

    rate: float
    p50: float
    p99: float
    cost: float
    memory: float
    generator: float
    upstream: float
    hits: float
    errors: int

    @classmethod
    def median(cls, samples: Sequence[Self]) -> Self:
        """Of each by itself; errors are summed."""
        medians = {
            field.name: statistics.median(getattr(sample, field.name) for sample in samples) for field in fields(cls)
        }
        return cls(**{**medians, "errors": sum(sample.errors for sample in samples)})


@dataclass(frozen=True, slots=True)
class Shot:
    """Where requests go, and what is sent. `seed` makes the fresh parts of the body fresh."""

    path: str
    body: pathlib.Path
    connections: int
    key: str
    seed: str = ""


def measure(binary: str, server: Program, upstreams: Sequence[Program], shot: Shot, seconds: int) -> Sample:
    threads = min(2, shot.connections)
    options = ["-t", str(threads), "-c", str(shot.connections), "-d", f"{seconds}s", "--timeout", "10s", "-s", str(LUA)]
    url = f"http://127.0.0.1:{server.port}{shot.path}"
    seed = [shot.seed] if shot.seed else []
    before, behind, own = server.processor_time(), sum(each.processor_time() for each in upstreams), _children()
    command = [binary, *options, url, "--", shot.key, str(shot.body), *seed]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    after, then, since = server.processor_time(), sum(each.processor_time() for each in upstreams), _children()
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not found:
        raise WrkError(f"wrk failed: {done.stderr or done.stdout}")
    told = json.loads(found[0])
    good, duration = told["requests"] - told["errors"], told["microseconds"] / 1e6
    return Sample(
        rate=good / duration,
        p50=told["p50"] / 1e6,
        p99=told["p99"] / 1e6,
        cost=(after - before) / max(told["requests"], 1),
        memory=server.memory(),
        generator=(since - own) / duration,
        upstream=(then - behind) / duration,
        hits=0.0,
        errors=told["errors"],
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
