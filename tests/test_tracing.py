"""Traces, from a real gateway of two workers to a collector: a span for each request and each call to a target."""

from __future__ import annotations

import importlib.util
import pathlib

import pytest

from gateway import changes, loading
from gateway.config import ConfigError
from tests.fakes import mishaps
from tests.fakes.collector import Collected, Collector
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
NOT_SAMPLED = "a" * 32
UNTOLD = "a text that nobody may see"


def test_traces(tmp_path: pathlib.Path, openai_upstream: FakeOpenAI) -> None:
    """A request's span is its client's child, each try at a target is the request's, and upstreams are told of both."""
    target = f"provider: openai, model: text-embedding-3-small, api_key: {openai_upstream.api_key}"
    models = f"""
        small:
          canary: off
          targets: [{{name: first, {target}, base_url: "{openai_upstream.base_url}"}}]
        """
    with Collector(x_collector_key="secret") as collector:
        tracing = f"tracing: {{endpoint: '{collector.url}', headers: {{x-collector-key: secret}}}}"
        state = "url: sqlite:///gateway.db, allow_unshared: true"
        gateway = GatewayProcess(tmp_path, models, server="workers: 2", state=state, sections=tracing)
        with gateway, gateway.client() as http:
            openai_upstream.behave(mishaps.error(503))
            body = {"model": "small", "input": [UNTOLD, "two"], "metadata": {"job": "nightly"}}
            answers = [
                http.post("/v1/embeddings", json=body, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}),
                http.post("/v1/embeddings", json=body, headers={"traceparent": f"00-{NOT_SAMPLED}-{PARENT}-00"}),
                http.post("/v1/embeddings", json={**body, "model": "unknown"}),
                http.get("/health/live"),
            ]
            lines = [gateway.request_log(answer.headers["x-request-id"]) for answer in answers[:3]]
        # A worker sends what it has before it ends.
        spans = collector.spans
    told = {request.headers["traceparent"] for request in openai_upstream.requests}

    assert ([200, 200, 404, 200], []) == ([answer.status_code for answer in answers], collector.refused)
    by_trace = {trace: [span for span in spans if span.trace == trace] for trace in {span.trace for span in spans}}
    assert {TRACE, lines[2]["trace"]} == set(by_trace)
    failed, repeated, request = sorted(by_trace[TRACE], key=lambda span: (span.kind == 2, not span.failed))
    assert ("embeddings small", 2, PARENT, False) == (request.name, request.kind, request.parent, request.failed)
    assert {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": answers[0].json()["usage"]["prompt_tokens"],
        "gateway.inputs": 2,
        "gateway.metadata.job": "nightly",
        "gateway.request_id": answers[0].headers["x-request-id"],
        "http.request.method": "POST",
        "http.response.status_code": 200,
    } == request.attributes
    call = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.embeddings.dimension.count": 1536,
        "gateway.model": "small",
        "gateway.target": "first",
        "gateway.inputs": 2,
    }
    for span in (failed, repeated):
        assert ("embeddings text-embedding-3-small", 3, request.id) == (span.name, span.kind, span.parent)
    assert (True, {**call, "error.type": "overloaded"}) == (failed.failed, failed.attributes)
    tokens = {"gen_ai.usage.input_tokens": request.attributes["gen_ai.usage.input_tokens"]}
    assert (False, {**call, **tokens}) == (repeated.failed, repeated.attributes)
    (refused,) = by_trace[lines[2]["trace"]]
    assert ("embeddings", "model_not_found") == (refused.name, refused.attributes["error.type"])
    assert "embedding-gateway" == request.resource["service.name"]
    assert [TRACE, NOT_SAMPLED] == [line["trace"] for line in lines[:2]]
    assert {f"00-{TRACE}-{span.id}-01" for span in (failed, repeated)} <= told
    assert any(each.startswith(f"00-{NOT_SAMPLED}-") and each.endswith("-00") for each in told)
    assert not seen(spans, UNTOLD) | seen(spans, KEY) | seen(spans, openai_upstream.api_key)


def seen(spans: list[Collected], secret: str) -> bool:
    return secret in repr(spans)


def test_sampled(tmp_path: pathlib.Path) -> None:
    """Where nothing is to be sampled nothing is, and a collector that is away disturbs nobody."""
    tracing = "tracing: {endpoint: 'http://127.0.0.1:9', sample: 0}"
    with GatewayProcess(tmp_path, LOCAL, sections=tracing) as gateway, gateway.client() as http:
        answer = http.post("/v1/embeddings", json={"model": "local", "input": "a"})

    assert 200 == answer.status_code


@pytest.mark.parametrize(("endpoint", "problems"), [("http://127.0.0.1:4318", 1), ("", 0)])
def test_not_installed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, problems: int) -> None:
    """Without the extra a collector's address is a problem that says what to install; none is none."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    file = tmp_path / "gateway.yaml"
    file.write_text(f"tracing: {{endpoint: '{endpoint}'}}\nmodels: {{{LOCAL}}}\n")
    found = []
    try:
        loading.load(file, {})
    except ConfigError as error:
        found = error.lines()

    assert problems == len([line for line in found if 'pip install ".[otel]"' in line])


def test_headers_hide(tmp_path: pathlib.Path) -> None:
    """What the collector is told besides may be a key, and is shown nowhere."""
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"tracing: {{endpoint: 'http://127.0.0.1:4318', headers: {{x-key: s3cret}}}}\nmodels: {{{LOCAL}}}\n"
    )
    config = loading.load(file, {})

    assert "s3cret" not in repr(config)
    assert {"x-key": changes.HIDDEN} == changes.shown(config)["tracing"]["headers"]
