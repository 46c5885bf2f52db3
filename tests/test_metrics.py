"""`GET /metrics`: who may read it, and that it tells what happened, from one process or from several."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics, TargetNow
from gateway.record import Record
from gateway.routing import Target
from gateway.store import Usage
from providers.base import Limits
from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL

ADMIN = "an-admin-key-of-enough-characters"
TARGET = Target("first", "openai", "text-embedding-3-small", None, limits=Limits(inputs=4))  # type: ignore[arg-type]
CALL = {
    "gen_ai_operation_name": "embeddings",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "text-embedding-3-small",
    "model": "small",
    "target": "first",
}

Samples = dict[str, list[tuple[dict[str, str], float]]]


def samples(text: str) -> Samples:
    """The samples of a text by their name."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels, and perhaps others."""
    return sum(number for has, number in found.get(name, []) if labels.items() <= has.items())


def told(metrics: Metrics) -> Samples:
    return samples(metrics.text().decode())


def record(**fields: Any) -> Record:
    return Record("req_1", lambda: 12.5, started=10.0, embeds=True, route="small", team="search", **fields)


# ── what is told ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_answered() -> None:
    """A request is counted with its inputs, its tokens by their source, their cost and the times that it took."""
    metrics, seen = Metrics(), record(lane="bulk")
    seen.used = Usage(requests=1, inputs=3, reported=7, nanos=2_000_000_000)
    seen.seconds_away, seen.waited = 2.0, 0.25
    metrics.answered(seen, 200)
    found, whose = told(metrics), {"model": "small", "team": "search"}

    assert [({**whose, "status": "2xx"}, 1.0)] == found["gateway_requests_total"]
    assert [(whose, 3.0)] == found["gateway_inputs_total"]
    assert [({**whose, "source": "reported"}, 7.0)] == found["gateway_tokens_total"]
    assert [(whose, 2.0)] == found["gateway_cost_usd_total"]
    assert [({"model": "small"}, 0.5)] == found["gateway_overhead_seconds_sum"]
    assert [({"model": "small", "lane": "bulk"}, 0.25)] == found["gateway_queue_wait_seconds_sum"]
    labels = {"gen_ai_operation_name": "embeddings", "gen_ai_request_model": "small", "error_type": ""}
    assert [(labels, 2.5)] == found["gen_ai_server_request_duration_seconds_sum"]


@pytest.mark.parametrize(
    ("error", "kind"), [("upstream_error (TimeoutError)", "upstream_error"), (None, "499"), ("stopping", "stopping")]
)
def test_answered_with_an_error(error: str | None, kind: str) -> None:
    """A request that failed is told with its error, and is none whose overhead says anything."""
    metrics = Metrics()
    metrics.answered(record(error=error), 499)
    found = told(metrics)

    assert 1.0 == value(found, "gen_ai_server_request_duration_seconds_count", error_type=kind)
    assert 1.0 == value(found, "gateway_requests_total", status="4xx")
    assert "gateway_overhead_seconds_count" not in found


def test_called() -> None:
    """A call is told with its target, its time, its tokens, and how full it was."""
    metrics = Metrics()
    metrics.called("small", TARGET, 0.5, 3, "", 9)
    found, whose = told(metrics), {"model": "small", "target": "first"}

    assert [({**CALL, "error_type": ""}, 0.5)] == found["gen_ai_client_operation_duration_seconds_sum"]
    assert [({**CALL, "gen_ai_token_type": "input"}, 9.0)] == found["gen_ai_client_token_usage_sum"]
    assert [(whose, 0.75)] == found["gateway_batch_fill_ratio_sum"]
    assert "gateway_contract_breaches_total" not in found


def test_breach() -> None:
    """Only what the contract refuses is a breach."""
    metrics = Metrics()
    for error in ("timeout", "malformed", "cancelled"):
        metrics.called("small", TARGET, 0.5, 3, error, None)
    found = told(metrics)

    assert [({"model": "small", "target": "first"}, 1.0)] == found["gateway_contract_breaches_total"]
    assert "gen_ai_client_token_usage_count" not in found


def test_targets() -> None:
    """How a target stands is looked up when the numbers are read, and what it was before is gone."""
    metrics, states = Metrics(), iter(["open", "closed"])
    metrics.watch(lambda: [TargetNow("small", "first", next(states), 3, 2, 1)])
    told(metrics)
    found, whose = told(metrics), {"model": "small", "target": "first"}

    assert [({**whose, "state": "closed"}, 1.0)] == found["gateway_target_state"]
    assert [(whose, 3.0)] == found["gateway_target_running"]
    assert [2.0, 1.0] == [value(found, "gateway_target_waiting", lane=lane) for lane in ("interactive", "bulk")]


# ── from a gateway process ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("server", "access", "key", "status"),
    [
        ("", f"admin_key: {ADMIN}", ADMIN, 200),
        ("", f"admin_key: {ADMIN}", KEY, 401),
        ("", f"admin_key: {ADMIN}", None, 401),
        ("", "", KEY, 404),
        ("metrics: public", "", None, 200),
    ],
)
def test_who_may_read(tmp_path: pathlib.Path, server: str, access: str, key: str | None, status: int) -> None:
    """Whoever has the admin key may read metrics, or everyone where the operator says so."""
    with GatewayProcess(tmp_path, LOCAL, server=server, access=access) as gateway, gateway.client(key) as http:
        answer = http.get("/metrics")

    assert (status, status == 200) == (answer.status_code, "gateway_state_up 1.0" in answer.text)


def read(gateway: GatewayProcess) -> Samples:
    with gateway.client(ADMIN) as http:
        return samples(http.get("/metrics").text)


def read_until(gateway: GatewayProcess, name: str, number: float) -> Samples:
    """A worker that is too busy to tell in time is counted as it was before."""
    until = time.monotonic() + 60
    while value(found := read(gateway), name) < number:
        assert time.monotonic() < until, f"{name} does not come to {number}"
    return found


def embed(gateway: GatewayProcess, times: int, model: str = "small", texts: int = 2) -> list[httpx.Response]:
    """Each over a connection of its own, so that both workers answer some."""
    answers = []
    for number in range(times):
        with gateway.client() as http:
            body = {"model": model, "input": [f"{number} {text}" for text in range(texts)]}
            answers.append(http.post("/v1/embeddings", json=body))
    return answers


def test_two_workers(tmp_path: pathlib.Path, openai_upstream: FakeOpenAI) -> None:
    """Whichever worker is asked tells what all of them have counted; what a killed one had told stays counted."""
    target = f"provider: openai, model: text-embedding-3-small, api_key: {openai_upstream.api_key}"
    where = f"base_url: '{openai_upstream.base_url}'"
    models = f"""
        small:
          space: openai/text-embedding-3-small
          price: {{input: 0.02}}
          canary: off
          targets:
            - {{name: first, {target}, {where}}}
            - {{name: second, {target}, {where}, priority: 1}}
        """
    access, state = f"admin_key: {ADMIN}", "url: sqlite:///gateway.db, allow_unshared: true"
    with GatewayProcess(tmp_path, models, server="workers: 2", access=access, state=state) as gateway:
        read_until(gateway, "gateway_processes", 2)
        begun = time.monotonic()
        answers = embed(gateway, 20)
        openai_upstream.behave(mishaps.error(401))
        answers += embed(gateway, 1)
        answers += embed(gateway, 1, model="nobody's model")
        took = time.monotonic() - begun
        found = [read_until(gateway, "gateway_requests_total", 22) for _ in range(6)]

    assert [200] * 21 + [404] == [answer.status_code for answer in answers]
    for each in found:
        assert 21.0 == value(each, "gateway_requests_total", model="small", status="2xx")
        assert 1.0 == value(each, "gateway_requests_total", model="", status="4xx")
        assert 42.0 == value(each, "gateway_inputs_total", model="small")
        spent = sum(answer.json()["usage"]["total_tokens"] for answer in answers[:21])
        assert spent == value(each, "gateway_tokens_total", source="reported")
        assert spent == value(each, "gen_ai_client_token_usage_sum", **{**CALL, "target": "first"}) + value(
            each, "gen_ai_client_token_usage_sum", target="second"
        )
        assert spent * 0.02 / 1e6 == pytest.approx(value(each, "gateway_cost_usd_total"))
        assert 20.0 == value(each, "gen_ai_client_operation_duration_seconds_count", target="first", error_type="")
        assert 1.0 == value(each, "gen_ai_client_operation_duration_seconds_count", error_type="misconfigured")
        assert 1.0 == value(each, "gateway_fallbacks_total", target="first")
        assert 2.0 == value(each, "gateway_target_state", target="first", state="closed")
        assert 0.0 < value(each, "gateway_overhead_seconds_sum") < took
