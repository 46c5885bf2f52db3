"""A transformer inside a real gateway process, asked by OpenAI's client; and how busy the list of models says it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import onnx
import openai
import pytest
from onnx import helper
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway.batcher import QUEUE_TEXTS
from gateway.inputs import MAX_INPUTS
from gateway.statistics import REMEMBERED_SECONDS
from gateway.vocabulary import cl100k
from tests.fakes.redis_server import eventually
from tests.fakes.serving import port_of, served
from tests.fakes.transformer import HIDDEN, LONGEST, TinyBert
from tests.gateway_process import KEY, GatewayProcess

TOLERANCE = 1e-5
WORDS = ["the", "cat", "sat", "on", "mat", "dogs", "xyz"]
TEXTS = [" ".join([WORDS[number % 7], *WORDS[: number % 8], *WORDS * (number % 4), "cat"]) for number in range(300)]


@pytest.fixture(scope="module")
def bert() -> TinyBert:
    return TinyBert()


@pytest.fixture(scope="module")
def gateway(bert: TinyBert, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("local")
    bert.write(folder / "tiny")
    graph = bert.graph()
    graph.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["words"], ["a", "b", "c"]))
    onnx.save(graph, bert.write(folder / "slow") / "model.onnx")  # which reads one text at a time
    models = "\n".join(
        f"{name}: {{dimensions: {{native: {HIDDEN}}}, targets: [{{provider: {provider}, path: {path}}}]}}"
        for name, provider, path in [("tiny", "onnx", "tiny"), ("slow", "onnx", "slow"), ("fast", "fastembed", "tiny")]
    )
    with GatewayProcess(folder, models, environ={"HF_HUB_OFFLINE": "1"}) as process:
        yield process


@pytest.fixture
def http(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def embedded(gateway: GatewayProcess, texts: list[str], model: str = "tiny") -> npt.NDArray[np.float32]:
    with openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        answer = client.embeddings.create(model=model, input=texts)
    return np.array([item.embedding for item in answer.data], np.float32)


def test_one_by_one(gateway: GatewayProcess, http: httpx.Client, bert: TinyBert) -> None:
    """300 texts of all lengths in one request get the model's own vectors, which are those that each gets alone."""
    together = embedded(gateway, TEXTS)
    answers = [http.post("/v1/embeddings", json={"model": "tiny", "input": text}).json() for text in TEXTS[::3]]
    alone = np.array([answer["data"][0]["embedding"] for answer in answers], np.float32)

    assert np.abs(together[::3] - alone).max() < TOLERANCE
    assert np.abs(together - [bert.vector(text) for text in TEXTS]).max() < TOLERANCE


def test_fastembed(gateway: GatewayProcess, bert: TinyBert) -> None:
    """fastembed gives the same vectors for the same folder."""
    assert np.abs(embedded(gateway, TEXTS, "fast") - [bert.vector(text) for text in TEXTS]).max() < TOLERANCE


def test_token_ids(http: httpx.Client, bert: TinyBert) -> None:
    """Clients' token ids are read as the text that they stand for."""
    answer = http.post("/v1/embeddings", json={"model": "tiny", "input": cl100k().encode("the cat sat")}).json()

    assert np.abs(answer["data"][0]["embedding"] - bert.vector("the cat sat")).max() < TOLERANCE


def test_usage(http: httpx.Client) -> None:
    """Usage is what the model's own tokenizer counts, special tokens included."""
    answer = http.post("/v1/embeddings", json={"model": "tiny", "input": ["cat", "the cats"]})

    assert {"prompt_tokens": 8, "total_tokens": 8} == answer.json()["usage"]
    assert "reported" == answer.headers["x-embedding-usage"]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("cat " * LONGEST, "context_length_exceeded", f"`input[1]` has {LONGEST + 2} tokens (tokenizer.json)"),
        ("\U0001f600", None, "`input[1]` was refused by the model's backend: it has no token that the model knows"),
    ],
    ids=["too long", "nothing known"],
)
def test_text_without_a_vector(http: httpx.Client, text: str, code: str | None, said: str) -> None:
    """A text that has no vector is a 400 that names it; nothing is cut, and no zeros come back."""
    answer = http.post("/v1/embeddings", json={"model": "tiny", "input": ["cat", text]})
    error = answer.json()["error"]

    assert (400, "input", code) == (answer.status_code, error["param"], error["code"])
    assert error["message"].startswith(said)


def test_listing(http: httpx.Client) -> None:
    """The list of models knows what the model's files say."""
    entry = http.get("/v1/models/tiny").json()
    stats = {
        "queue_fraction": 0.0,
        "queue_absolute": 0,
        "results_pending": 0,
        "batch_size": 64,
        "targets": {"closed": 1},
    }

    assert (LONGEST, "tokenizer.json", "onnx", stats) == (
        entry["max_input_tokens"],
        entry["tokenizer"],
        entry["backend"],
        entry["stats"],
    )


def test_overload(gateway: GatewayProcess, http: httpx.Client) -> None:
    """A full lane is seen in the list of models; what it has no room for is a 503 at once, and the rest is served."""
    done = threading.Event()
    texts = [f"the cat {number}" for number in range(MAX_INPUTS)]  # equal ones would be sent once
    answers: list[httpx.Response] = []
    stats: list[dict[str, Any]] = []

    def post() -> None:
        with gateway.client() as client:
            while not done.is_set():
                answers.append(client.post("/v1/embeddings", json={"model": "slow", "input": texts}))

    def refused() -> list[httpx.Response]:
        return [answer for answer in answers if answer.headers.get("retry-after") == "1"]

    def seen() -> bool:
        stats.append(http.get("/v1/models/slow").json()["stats"])
        full = any(one["queue_absolute"] > MAX_INPUTS for one in stats)
        return full and any(one["results_pending"] for one in stats) and bool(refused())

    with ThreadPoolExecutor(5) as threads:
        posting = [threads.submit(post) for _ in range(5)]
        while not seen():  # however the callers' threads and the gateway take turns
            assert not any(one.done() for one in posting)
        done.set()
        for one in posting:
            one.result()

    assert {200, 503} == {answer.status_code for answer in answers}
    assert {MAX_INPUTS} == {len(answer.json()["data"]) for answer in answers if answer.is_success}
    assert {(503, "overloaded")} == {(answer.status_code, answer.json()["error"]["code"]) for answer in refused()}
    fullest = max(stats, key=lambda one: one["queue_absolute"])
    assert MAX_INPUTS < fullest["queue_absolute"] <= QUEUE_TEXTS
    assert fullest["queue_absolute"] / (2 * QUEUE_TEXTS) == fullest["queue_fraction"]
    assert (1, 1) == (max(one["results_pending"] for one in stats), fullest["batch_size"])


def test_infinity_tells(tmp_path: Path) -> None:
    """The numbers of a model that an Infinity server serves are that server's own."""
    seen: list[str | None] = []
    stats = {"queue_fraction": 0.25, "queue_absolute": 8000, "results_pending": 8064, "batch_size": 32}

    async def models(request: Request) -> JSONResponse:
        seen.append(request.headers.get("authorization"))
        return JSONResponse({"data": [{"id": "bge", "stats": stats}]})

    with served(Starlette(routes=[Route("/models", models)])) as server:
        target = f"provider: infinity, base_url: 'http://127.0.0.1:{port_of(server)}', api_key: its-own-key"
        routed = f"bge: {{dimensions: {{native: 8}}, targets: [{{{target}}}]}}"
        with GatewayProcess(tmp_path, routed) as gateway, gateway.client() as http:

            def told() -> Any:
                return http.get("/v1/models").json()["data"][0]["stats"]

            begun, expected = time.monotonic(), {**stats, "targets": {"closed": 1}}
            eventually(lambda: [told() for _ in range(3)] == [expected] * 3)  # unless it is too busy to say
            asked, took = len(seen), time.monotonic() - begun

    assert {"Bearer its-own-key"} == set(seen)
    assert asked <= 1 + took / REMEMBERED_SECONDS
