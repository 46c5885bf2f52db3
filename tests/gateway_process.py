"""A real gateway in a process of its own, on a real port: what the end-to-end tests talk to."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

from gateway.auth import key_hash, new_key

KEY = new_key()
"""A client key that every gateway started here knows, under the name `tests`."""

# Development mode shows what was never closed; a warning from anywhere ends the request that caused it.
PYTHON = [sys.executable, "-X", "dev", "-W", "error"]
COMPLAINTS = re.compile(r"Traceback|Warning|Exception ignored|was never (awaited|retrieved)|\"level\": ?\"error\"")


def _lines(text: str, indent: int) -> str:
    return textwrap.indent(textwrap.dedent(text).strip(), " " * indent) + "\n"


class GatewayProcess:
    """Serves the models of a YAML text from entering to leaving; leaving checks that it complained of nothing.

    `server` and `access` are further lines of the sections `server` and `auth`, `keys` further items of `auth.keys`,
    `sections` whole other sections; `python` starts Python.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        models: str,
        *,
        server: str = "",
        state: str = "url: sqlite:///gateway.db",
        access: str = "",
        keys: str = "",
        sections: str = "",
        arguments: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        may_complain: bool = False,
        python: Sequence[str] = PYTHON,
    ) -> None:
        self._python = python
        self.folder = folder
        self._may_complain = may_complain
        self._arguments = arguments
        self._environ = environ or {}
        self.config = folder / "gateway.yaml"
        own_key = f"- {{name: tests, sha256: {key_hash(KEY)}}}"
        self.config.write_text(
            f"server:\n  port: 0\n{_lines(server, 2)}"
            f"state: {{{state}}}\n"
            f"auth:\n  keys:\n{_lines(own_key, 4)}{_lines(keys, 4)}{_lines(access, 2)}"
            f"{_lines(sections, 0)}models:\n{_lines(models, 2)}"
        )

    def __enter__(self) -> Self:
        self._errors = (self.folder / "gateway.log").open("w+")
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self._process = subprocess.Popen(
            [*self._python, "-m", "gateway", "serve", "--config", str(self.config), *self._arguments],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**inherited, **self._environ},
        )
        assert self._process.stdout is not None
        found = re.search(r"http://\S+(?=/v1)", self._process.stdout.readline())
        if found is None:
            self._process.wait()
            self._close()
            raise AssertionError(f"The gateway did not start: {self.stderr}")
        self.root_url = found[0]
        self.url = f"{self.root_url}/v1"
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        return (self.folder / "gateway.log").read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.splitlines(keepends=True) if line.endswith("\n")]

    def request_log(self, request_id: str) -> dict[str, Any]:
        """The one line of a request, which is written when its answer has gone out."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            lines = [line for line in self.log if line.get("event") == "request" and line["id"] == request_id]
            if lines:
                (line,) = lines
                return line
        raise AssertionError(f"{request_id} was not logged")

    def client(self, key: str | None = KEY, **options: Any) -> httpx.Client:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        options.setdefault("verify", False)  # nothing here is TLS, and reading the authorities takes 50 ms
        options.setdefault("timeout", 150)  # longer than the gateway's own, so that what happens is its answer
        return httpx.Client(base_url=self.root_url, headers=headers, trust_env=False, **options)

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 60) -> int:
        return self._process.wait(seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminate()
        try:
            code = self.wait()
        finally:
            self._process.kill()
            self._close()
        if kind is None and not self._may_complain:
            complaints = [line for line in self.stderr.splitlines() if COMPLAINTS.search(line)]
            assert complaints == []
            assert code in (0, -signal.SIGTERM, -signal.SIGINT)

    def _close(self) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
