"""Every time limit is kept by a real process, wherever the time is lost; a client can only shorten it."""

from __future__ import annotations

import json
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.fakes import mishaps
from tests.fakes.openai_upstream import Behaviour, FakeOpenAI
from tests.gateway_process import KEY, GatewayProcess

WISH = 3.0
"""Seconds that a client gives: more than a request needs to get where its time is lost."""
SLACK = 30.0
"""Far less than any other limit here."""
LONG = 100.0
API_KEY = "sk-upstream-secret-0123456789"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(api_key=API_KEY) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def silent() -> Iterator[FakeOpenAI]:
    """One that never answers."""
    with FakeOpenAI(api_key=API_KEY) as upstream:
        upstream.behave(mishaps.never_answers(), times=None)
        yield upstream


@pytest.fixture(scope="module")
def dead_end() -> Iterator[int]:
    """A port whose queue is full: whoever connects gets no answer at all."""
    with ExitStack() as stack, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def running(
    fake: FakeOpenAI, silent: FakeOpenAI, dead_end: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    models = f"""
    small: {{targets: [{{{target(fake.base_url)}}}]}}
    narrow: {{targets: [{{{target(fake.base_url)}, max_concurrency: 1}}]}}
    dead: {{targets: [{{{target(f"http://127.0.0.1:{dead_end}")}}}]}}
    patient:
      space: s
      targets:
        - {{name: hangs, {target(silent.base_url, 0.3)}}}
        - {{name: answers, priority: 1, {target(fake.base_url)}}}
    local: {{normalize: true, targets: [{{provider: static, path: wordllama}}]}}
    """
    with GatewayProcess(tmp_path_factory.mktemp("deadlines"), models, server=f"timeout: {LONG:g}s") as gateway:
        yield gateway


def target(base_url: str, seconds: float = LONG) -> str:
    common = f"provider: openai, model: text-embedding-3-small, api_key: {API_KEY}"
    return f"{common}, base_url: '{base_url}', timeout: {seconds:g}s"


@pytest.fixture(autouse=True)
def _clear(fake: FakeOpenAI) -> None:
    fake.clear()


def embed(
    gateway: GatewayProcess, model: str, text: str | list[str] = "x", wish: float | None = WISH
) -> httpx.Response:
    headers = {} if wish is None else {"x-request-timeout-ms": str(round(wish * 1000))}
    with gateway.client() as http:
        return http.post("/v1/embeddings", json={"model": model, "input": text}, headers=headers)


def timed(call: Callable[[], httpx.Response]) -> tuple[int, str | None, float]:
    began = time.monotonic()
    answer = call()
    return answer.status_code, answer.json().get("error", {}).get("code"), time.monotonic() - began


def test_connecting(running: GatewayProcess) -> None:
    """Time that is lost connecting."""
    status, _, seconds = timed(lambda: embed(running, "dead"))

    assert (True, True) == (status in (503, 504), seconds < WISH + SLACK)


@pytest.mark.parametrize("hangs", [mishaps.never_answers(), mishaps.never_finishes()], ids=["unanswered", "half"])
def test_waiting_for_the_answer(running: GatewayProcess, fake: FakeOpenAI, hangs: Behaviour) -> None:
    """Time that is lost waiting for an answer, or for the rest of it."""
    fake.behave(hangs)
    status, code, seconds = timed(lambda: embed(running, "small"))

    assert (504, "upstream_timeout", True) == (status, code, WISH - 0.05 < seconds < WISH + SLACK)
    assert fake.wait_until(lambda: len(fake.abandoned) == 1)


def test_one_try(running: GatewayProcess) -> None:
    """A target's own timeout ends its try, and the next one has the rest."""
    answer = embed(running, "patient", wish=None)

    assert (200, "answers") == (answer.status_code, answer.headers["x-embedding-target"])


def test_waiting_for_a_slot(running: GatewayProcess, fake: FakeOpenAI) -> None:
    """Time that is lost waiting for a slot."""
    release = threading.Event()
    fake.behave(mishaps.held(release))
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(embed, running, "narrow", "x", None)
        assert fake.wait_until(lambda: len(fake.requests) == 1)
        status, code, seconds = timed(lambda: embed(running, "narrow"))
        release.set()
        holding.result()

    assert (503, "overloaded", True) == (status, code, seconds < WISH + SLACK)


def test_counting(running: GatewayProcess) -> None:
    """Time that is lost reading much text, and counting its tokens."""
    text = [f"{number} {'word ' * 1_500}" for number in range(2_000)]
    status, code, seconds = timed(lambda: embed(running, "local", text, 0.05))

    assert (True, True) == ((status, code) in [(408, "request_timeout"), (504, "upstream_timeout")], seconds < SLACK)


def test_sending(running: GatewayProcess) -> None:
    """Time that the client itself takes to send."""
    url = httpx.URL(running.root_url)
    head = (
        f"POST /v1/embeddings HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n"
        f"x-request-timeout-ms: {WISH * 1000:.0f}\r\ncontent-length: 1000\r\n\r\n"
    )
    began = time.monotonic()
    with socket.create_connection((url.host, url.port or 80), timeout=60) as client:
        client.sendall(head.encode() + b'{"model":')
        answer = b""
        while not answer.endswith(b"}"):
            answer += client.recv(65536)
    seconds = time.monotonic() - began

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert "request_timeout" == json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
    assert seconds < WISH + SLACK


def test_only_shorter(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A wish for more than the server's own time limit changes nothing."""
    models = f"small: {{targets: [{{{target(fake.base_url)}}}]}}"
    with GatewayProcess(tmp_path, models, server=f"timeout: {WISH:g}s") as gateway:
        fake.behave(mishaps.never_answers())
        status, code, seconds = timed(lambda: embed(gateway, "small", wish=LONG))

    assert (504, "upstream_timeout", True) == (status, code, seconds < WISH + SLACK)
