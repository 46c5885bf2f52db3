"""Asks a server once before it is measured: whoever answers quickly has to answer rightly first."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from bench import answers
from bench.gateways import KEY
from bench.loads import FRESH, GATEWAYS, Load
from bench.programs import Program

_HITS: Final = {"same": 1.0, "half": 0.5, "fresh": 0.0}
CLOSE: Final = 1e-6
READY: Final = 30.0


class WrongError(Exception):
    """A server's answer is not what it should be."""


def ask(server: Program, path: str, body: bytes, cache_control: str = "") -> tuple[bytes, str | None]:
    """The answer's body and its `x-embedding-cache`. Raises WrongError where the status is not 200."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        if cache_control:
            headers["cache-control"] = cache_control
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        told = response.read()
        if response.status != 200:
            raise WrongError(f"{server.name} answers {response.status}: {told[:500]!r}")
        return told, response.getheader("x-embedding-cache")
    finally:
        connection.close()


def ready(server: Program) -> None:
    """Waits until a gateway is, and all its workers have come to rest."""
    deadline = time.monotonic() + READY
    status = 0
    while status != 200 and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
        connection.close()
        time.sleep(0.5)
    if status != 200:
        raise WrongError(f"{server.name} did not become ready:\n{server.said}")


def cached(server: Program) -> tuple[float, float]:
    """Inputs that a gateway of one worker has found in its cache so far, and those that it has not."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    hits, misses = (
        sum(map(float, re.findall(rf'^gateway_cache_inputs_total{{.*outcome="{outcome}".*}} (\S+)$', text, re.M)))
        for outcome in ("hit", "miss")
    )
    return hits, misses


def check(name: str, server: Program, load: Load, path: str, model: str) -> None:
    """That a load's vectors are right, each at its place, and that the cache has what it should have."""
    if name in GATEWAYS and load.model.startswith("cached"):
        _patiently(lambda: _check_cached(name, server, load, path))
        return
    told, _ = ask(server, path, _body(load, model))
    vectors = answers.read(told)
    if len(vectors) != load.inputs:
        raise WrongError(f"{name}, {load.name}: {len(vectors)} vectors for {load.inputs} inputs")
    if load.model == "local":
        _check_local(name, server, load, path, vectors)
    elif not np.array_equal(vectors, _expected(load)):
        raise WrongError(f"{name}, {load.name}: the vectors are not the upstream's")


def _check_cached(name: str, server: Program, load: Load, path: str) -> None:
    """Has all that loads call cached kept, the whole of it, since the upstream has no answer for any part."""
    every = Load("", "cached-b100", 100, "base64", 1, ())
    ask(server, path, every.body(every.model), "no-cache")
    told, hits = ask(server, path, _body(load, load.model))
    wanted = f"{round(_HITS[load.texts] * load.inputs)}/{load.inputs}"
    if hits != wanted:
        raise WrongError(f"{name}, {load.name}: the cache had {hits} of the inputs and not {wanted}")
    if not np.array_equal(answers.read(told), _expected(load)):
        raise WrongError(f"{name}, {load.name}: the vectors are not those of the texts")


def _patiently(check: Callable[[], None]) -> None:
    """What goes to Redis is there a little later than the answer; and what comes too late from it is no hit."""
    deadline = time.monotonic() + READY
    while True:
        try:
            return check()
        except WrongError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _body(load: Load, model: str) -> bytes:
    return load.body(model).replace(FRESH.encode(), b"asked at %d" % time.time_ns())


def _expected(load: Load) -> answers.Vectors:
    if load.texts == "half":  # every second text is sent, and gets the next of the upstream's vectors
        expected = answers.VECTORS[: load.inputs].copy()
        expected[1::2] = answers.VECTORS[: load.inputs // 2]
        return expected
    return answers.VECTORS[: load.inputs]


def _check_local(name: str, server: Program, load: Load, path: str, vectors: answers.Vectors) -> None:
    """A text has the same vector in any company."""
    alone = Load("", load.model, 1, load.wants, 1, ())
    first = answers.read(ask(server, path, alone.body(load.model))[0])[0]
    lengths = np.linalg.norm(vectors, axis=1)
    same = np.array_equal(np.argmax(vectors @ first, keepdims=True), [0])
    if not same or np.abs(vectors[0] - first).max() > CLOSE or np.abs(lengths - 1).max() > CLOSE:
        raise WrongError(f"{name}, {load.name}: the vectors are not those of the texts one by one")
