"""What people run into in their first week: base URLs in every form, old paths, browsers, proxies, private CAs."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

import httpx
import openai
import pytest

from tests.fakes.forward_proxy import ForwardProxy
from tests.fakes.openai_upstream import FakeOpenAI, vector_for
from tests.gateway_process import KEY, GatewayProcess

SMALL = "text-embedding-3-small"
ORIGIN = "https://app.example.com"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/embeddings",
        "/v1/embeddings/",
        "/embeddings",
        "/embeddings/",
        "/openai/v1/embeddings",
        f"/v1/engines/{SMALL}/embeddings",
        f"/engines/{SMALL}/embeddings",
        f"/openai/deployments/{SMALL}/embeddings?api-version=2024-10-21",
        "/v1/engines/team%2Fsmall/embeddings",
        "/openai/deployments/team/small/embeddings",
    ],
)
def test_embedding_paths(http: httpx.Client, openai_upstream: FakeOpenAI, path: str) -> None:
    """Embeddings are served under every path that some client builds."""
    answer = http.post(path, json={"model": SMALL, "input": "x"})

    assert vector_for("x").tolist() == pytest.approx(answer.json()["data"][0]["embedding"])


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "/models", "/models/"])
def test_model_paths(http: httpx.Client, path: str) -> None:
    """So are the models."""
    assert SMALL == http.get(path).json()["data"][0]["id"]


@pytest.mark.parametrize("path", ["/v1/models/team/small", "/v1/models/team%2Fsmall", "/models/team/small/"])
def test_model_with_a_slash(http: httpx.Client, path: str) -> None:
    """A model's name may hold a slash, encoded or not."""
    assert "team/small" == http.get(path).json()["id"]


@pytest.mark.parametrize("path", [f"/v1/engines/{SMALL}/embeddings", f"/openai/deployments/{SMALL}/embeddings"])
@pytest.mark.parametrize("body", [{"input": "x"}, {"input": "x", "model": "another"}])
def test_path_names_the_model(
    http: httpx.Client, openai_upstream: FakeOpenAI, path: str, body: Mapping[str, str]
) -> None:
    """Where the path names the model, the body need not, and cannot say otherwise."""
    assert SMALL == http.post(path, json=body).json()["model"]


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_client_base_urls(gateway: GatewayProcess, openai_upstream: FakeOpenAI, suffix: str) -> None:
    """The client's base URL works with and without `/v1` and a slash."""
    with openai.OpenAI(base_url=gateway.root_url + suffix, api_key=KEY, max_retries=0) as client:
        answer = client.embeddings.create(model=SMALL, input="x")

    assert vector_for("x").tolist() == pytest.approx(answer.data[0].embedding)


@pytest.mark.parametrize("with_version", [True, False])
@pytest.mark.parametrize("slash", ["", "/"])
def test_upstream_base_urls(tmp_path: pathlib.Path, with_version: bool, slash: str) -> None:
    """A target's base URL works with and without `/v1` and a slash."""
    with FakeOpenAI() as fake:
        url = (fake.base_url if with_version else fake.root_url) + slash
        models = f"m: {{targets: [{{provider: openai, model: {SMALL}, base_url: '{url}', api_key: {fake.api_key}}}]}}"
        with GatewayProcess(tmp_path, models) as gateway, gateway.client() as http:
            answer = http.post("/v1/embeddings", json={"model": "m", "input": "x"})

    assert 200 == answer.status_code


def test_alias_is_echoed(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A route answers to its other names, and echoes the one that was asked for."""
    answer = http.post("/v1/embeddings", json={"model": "ada-like", "input": "x"}).json()

    assert ("ada-like", SMALL) == (answer["model"], openai_upstream.requests[0].body["model"])


def test_role_in_the_name(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """`alias:query` puts the query's prompt around the input."""
    http.post("/v1/embeddings", json={"model": "closed:query", "input": "x"})

    assert ["query: x"] == openai_upstream.requests[0].body["input"]


def test_role_in_the_body(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """So does `input_type`."""
    http.post("/v1/embeddings", json={"model": "closed", "input": "x", "input_type": "query"})

    assert ["query: x"] == openai_upstream.requests[0].body["input"]


def test_role_is_ignored(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A model without roles takes any input type and ignores it."""
    http.post("/v1/embeddings", json={"model": SMALL, "input": "x", "input_type": "clustering"})

    assert {"model": SMALL, "input": ["x"], "encoding_format": "base64"} == openai_upstream.requests[0].body


def test_nulls_are_absent(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """Explicit nulls in optional fields are as good as nothing."""
    optional = ("encoding_format", "dimensions", "user", "metadata", "input_type", "extra_body", "anything")
    answer = http.post("/v1/embeddings", json={"model": SMALL, "input": "x", **dict.fromkeys(optional)})

    assert 200 == answer.status_code


def test_nugen(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """Nugen's clients get Nugen's answer."""
    answer = http.post("/api/v3/inference/embeddings", json={"model": SMALL, "input": ["x", "y"]}).json()

    shown = {
        **answer,
        "id": answer["id"][:6],
        "created": type(answer["created"]),
        "data": [(sorted(item), item["index"], len(item["embedding"])) for item in answer["data"]],
    }

    assert shown == {
        "id": "embed-",
        "object": "embedding",
        "data": [(["embedding", "index"], 0, 1536), (["embedding", "index"], 1, 1536)],
        "model": SMALL,
        "created": int,
        "usage": {"total_tokens": 2},
    }


def test_nugen_takes_texts(http: httpx.Client) -> None:
    """Nugen's clients send no token ids."""
    answer = http.post("/api/v3/inference/embeddings", json={"model": SMALL, "input": [[1, 2]]})

    assert (400, "input") == (answer.status_code, answer.json()["error"]["param"])


# ── browsers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def web(tmp_path: pathlib.Path) -> Iterator[httpx.Client]:
    """A gateway that one web page may call."""
    models = "local: {normalize: true, targets: [{provider: static, path: wordllama}]}"
    with GatewayProcess(tmp_path, models, server=f"cors_origins: ['{ORIGIN}']") as gateway, gateway.client() as http:
        yield http


def test_preflight(web: httpx.Client) -> None:
    """A browser's preflight is answered without a key."""
    answer = web.options(
        "/v1/embeddings",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-stainless-os",
        },
    )

    assert (200, ORIGIN) == (answer.status_code, answer.headers["access-control-allow-origin"])


@pytest.mark.parametrize(("body", "status"), [({"model": "local", "input": "x"}, 200), ({}, 400)])
def test_page_reads_the_answer(web: httpx.Client, body: Mapping[str, str], status: int) -> None:
    """The page may read answers, errors too, and their headers."""
    answer = web.post("/v1/embeddings", json=body, headers={"origin": ORIGIN})

    assert (status, ORIGIN, True) == (
        answer.status_code,
        answer.headers["access-control-allow-origin"],
        "x-request-id" in answer.headers["access-control-expose-headers"],
    )


def test_other_pages_may_not(web: httpx.Client) -> None:
    """Another page may not."""
    answer = web.post(
        "/v1/embeddings", json={"model": "local", "input": "x"}, headers={"origin": "https://evil.example"}
    )

    assert "access-control-allow-origin" not in answer.headers


def test_no_page_by_default(http: httpx.Client) -> None:
    """Without origins in the configuration no page may."""
    assert "access-control-allow-origin" not in http.get("/v1/models", headers={"origin": ORIGIN}).headers


# ── the way to the upstream ───────────────────────────────────────────────────────────────────────────────────────


def status_through(
    folder: pathlib.Path, fake: FakeOpenAI, target: str = "", environ: Mapping[str, str] | None = None
) -> int:
    """The status of one call to a gateway whose only target is the fake."""
    models = (
        f"m: {{targets: [{{provider: openai, model: {SMALL}, base_url: '{fake.base_url}', "
        f"api_key: {fake.api_key}{target}}}]}}"
    )
    with GatewayProcess(folder, models, environ=environ) as gateway, gateway.client() as http:
        return http.post("/v1/embeddings", json={"model": "m", "input": "x"}).status_code


def test_unknown_authority(tmp_path: pathlib.Path) -> None:
    """An upstream whose certificate nobody vouches for is not spoken to."""
    with FakeOpenAI(tls=True) as fake:
        assert (503, []) == (status_through(tmp_path, fake), fake.requests)


def test_private_authority(tmp_path: pathlib.Path) -> None:
    """`ca_file` vouches for an upstream."""
    with FakeOpenAI(tls=True) as fake:
        assert 200 == status_through(tmp_path, fake, f", ca_file: '{fake.ca_file}'")


def test_authority_of_the_platform(tmp_path: pathlib.Path) -> None:
    """So does SSL_CERT_FILE, where platforms keep their own authorities."""
    with FakeOpenAI(tls=True) as fake:
        assert 200 == status_through(tmp_path, fake, environ={"SSL_CERT_FILE": str(fake.ca_file)})


@pytest.mark.parametrize("tls", [True, False])
def test_environment_proxy(tmp_path: pathlib.Path, tls: bool) -> None:
    """HTTPS_PROXY and HTTP_PROXY are honoured."""
    with FakeOpenAI(tls=tls) as fake, ForwardProxy() as proxy:
        target = f", ca_file: '{fake.ca_file}'" if tls else ""
        status = status_through(tmp_path, fake, target, {"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url})

    assert (200, 1) == (status, len(proxy.seen))


def test_no_proxy(tmp_path: pathlib.Path) -> None:
    """NO_PROXY exempts a host."""
    with FakeOpenAI() as fake, ForwardProxy() as proxy:
        status = status_through(tmp_path, fake, "", {"HTTP_PROXY": proxy.url, "NO_PROXY": "localhost,127.0.0.1"})

    assert (200, []) == (status, proxy.seen)


def test_proxy_of_one_target(tmp_path: pathlib.Path) -> None:
    """A target may have a proxy of its own."""
    with FakeOpenAI() as fake, ForwardProxy() as proxy:
        assert (200, 1) == (status_through(tmp_path, fake, f", proxy: '{proxy.url}'"), len(proxy.seen))


def test_proxy_is_away(tmp_path: pathlib.Path) -> None:
    """A proxy that cannot be reached is an upstream that cannot be reached."""
    with FakeOpenAI() as fake:
        assert 503 == status_through(tmp_path, fake, ", proxy: 'http://127.0.0.1:9'")
