"""Fake OpenAIs in a process of their own that fail as they are told to, while they run.

    with ChaosUpstream(seed=7, names=["first", "second"]) as upstream:
        upstream.plan("first", Plan(["reset_amid"], share=0.5))
        ...
        assert upstream.counts("first").befallen["reset_amid"] > 0

A plan holds for requests that come from then on; those that only wait for their latency to be over are answered.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.chaos.plan import WELL, Plan
from tests.chaos.server import Counts


class ChaosUpstream:
    """The process from entering to leaving. `certificates` has the file to serve with when good, and when too old."""

    def __init__(
        self, *, seed: int, names: Sequence[str], certificates: dict[bool, pathlib.Path] | None = None
    ) -> None:
        self._order = json.dumps(
            {"seed": seed, "names": names, "certificates": {int(k): str(v) for k, v in (certificates or {}).items()}}
        )
        self.names = names
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.server", self._order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports = self._told()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(60)
        finally:
            self._process.kill()
            self._process.stdout.close()

    def base_url(self, name: str) -> str:
        return f"{'https' if name.startswith('tls') else 'http'}://127.0.0.1:{self.ports[name]}/v1"

    def plan(self, name: str, plan: Plan) -> None:
        """Holds for what comes from now on."""
        self._ask({"name": name, "plan": plan.packed()})

    def all_well(self) -> None:
        for name in self.names:
            self.plan(name, WELL)

    def counts(self, name: str) -> Counts:
        told = self._ask({"name": name})
        return Counts(**{**told, "befallen": Counter(told["befallen"])})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._told()

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told
