"""Credentials for real: a gateway process, token endpoints that check what they are sent, models that take no other."""

from __future__ import annotations

import concurrent.futures
import pathlib
import string
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.fakes import clouds, google_account
from tests.fakes.clouds import FakeClouds
from tests.fakes.forward_proxy import ForwardProxy
from tests.gateway_process import GatewayProcess

MODELS = string.Template(
    """
    vertex: {dimensions: {native: 8}, targets: [{provider: vertex, model: m, base_url: "$url", region: eu, project: p,
      credentials: {kind: google, service_account_file: sa.json}}]}
    watsonx: {dimensions: {native: 8}, targets: [{provider: watsonx, model: m, base_url: "$url", project: p,
      credentials: {kind: ibm, api_key_file: ibm, token_url: "$url/ibm/token"}}]}
    azure: {dimensions: {native: 8}, targets: [{provider: azure, model: m, base_url: "$url",
      credentials: {kind: entra, tenant: acme.com, client_id: app-1, client_secret: "$${ENTRA}", authority: "$url"}}]}
    bedrock: {dimensions: {native: 8}, targets: [{provider: bedrock-titan, model: "amazon.titan-embed-text-v2:0",
      base_url: "$url", region: eu-west-1, headers: {X-Team: "a  b"},
      credentials: {kind: aws, access_key_id: $aws_id, secret_access_key: "$${AWS}"}}]}
    bedrock-lent: {dimensions: {native: 8}, targets: [{provider: bedrock-titan, base_url: "$url", region: eu-west-1,
      model: "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.titan",
      credentials: {kind: aws, access_key_id: $aws_id, secret_access_key: "$${AWS}", session_token: "$session"}}]}
    azure-too: {dimensions: {native: 8}, targets: [{provider: azure, model: m, base_url: "$url",
      credentials: {kind: entra, tenant: acme.com, client_id: app-1, client_secret: "$${ENTRA}", authority: "$url"}}]}
    """
)
WRONG = string.Template(
    """
    vertex: {dimensions: {native: 8}, targets: [{provider: vertex, model: m, base_url: "$url", region: eu, project: p,
      credentials: {kind: google, service_account_file: other.json}}]}
    watsonx: {dimensions: {native: 8}, targets: [{provider: watsonx, model: m, base_url: "$url", project: p,
      credentials: {kind: ibm, api_key: wrong-S3cret-key, token_url: "$url/ibm/token"}}]}
    azure: {dimensions: {native: 8}, targets: [{provider: azure, model: m, base_url: "$url",
      credentials: {kind: entra, tenant: acme.com, client_id: app-1, client_secret: wrong-S3cret, authority: "$url"}}]}
    bedrock: {dimensions: {native: 8}, targets: [{provider: bedrock-titan, model: m, base_url: "$url",
      region: eu-west-1, credentials: {kind: aws, access_key_id: $aws_id, secret_access_key: wrong-S3cret}}]}
    nobody-there: {dimensions: {native: 8}, targets: [{provider: watsonx, model: m, base_url: "$url", project: p,
      credentials: {kind: ibm, api_key: wrong-S3cret-key, token_url: "http://127.0.0.1:9/token"}}]}
    watsonx-proxied: {dimensions: {native: 8}, targets: [{provider: watsonx, model: m, base_url: "$url", project: p,
      proxy: "$proxy", credentials: {kind: ibm, api_key: $ibm, token_url: "$url/ibm/token"}}]}
    """
)
CLOUDS = {"vertex": "google", "watsonx": "ibm", "azure": "entra"}
ENVIRON = {"ENTRA": clouds.ENTRA_SECRET, "AWS": clouds.AWS_SECRET}


def put_files(folder: pathlib.Path, fake: FakeClouds) -> None:
    where = f"{fake.url}/google/token"
    (folder / "sa.json").write_text(google_account.key_file(token_uri=where))
    (folder / "other.json").write_text(google_account.key_file(token_uri=where, client_email="S3cret@acme"))
    (folder / "ibm").write_text(f"{clouds.IBM_KEY}\n")


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeClouds]:
    with FakeClouds() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(fake: FakeClouds, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    put_files(folder, fake)
    models = MODELS.substitute(url=fake.url, aws_id=clouds.AWS_ID, session=clouds.AWS_SESSION)
    with GatewayProcess(folder, models, environ=ENVIRON) as process:
        yield process
        assert "S3cret" not in process.stderr
        assert "T0ken" not in process.stderr


@pytest.fixture(scope="module")
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as running:
        yield running


@pytest.fixture(scope="module")
def unlucky(
    fake: FakeClouds, proxy: ForwardProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway whose credentials are wrong, but for those that go through a proxy."""
    folder = tmp_path_factory.mktemp("unlucky")
    put_files(folder, fake)
    models = WRONG.substitute(url=fake.url, aws_id=clouds.AWS_ID, ibm=clouds.IBM_KEY, proxy=proxy.url)
    with GatewayProcess(folder, models) as process:
        yield process


def embed(process: GatewayProcess, model: str, *texts: str, **headers: str) -> httpx.Response:
    with process.client() as client:
        return client.post("/v1/embeddings", json={"model": model, "input": list(texts)}, headers=headers)


def vectors(answer: httpx.Response) -> list[list[float]]:
    assert answer.status_code == 200, answer.text
    return [item["embedding"] for item in answer.json()["data"]]


@pytest.mark.parametrize("model", ["vertex", "watsonx", "azure"])
def test_one_exchange(gateway: GatewayProcess, fake: FakeClouds, model: str) -> None:
    """Many requests at a time are served with one token."""
    texts = [f"text {number}" for number in range(12)]
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda text: embed(gateway, model, text, f"{text} again"), texts))
    expected = [[clouds.vector(text), clouds.vector(f"{text} again")] for text in texts]

    assert (expected, 1) == ([vectors(answer) for answer in answers], fake.exchanges[CLOUDS[model]])


@pytest.mark.parametrize("model", ["vertex", "watsonx", "azure"])
def test_revoked(gateway: GatewayProcess, fake: FakeClouds, model: str) -> None:
    """A token that is no longer taken is replaced, and nobody notices."""
    embed(gateway, model, "x")
    before = fake.exchanges[CLOUDS[model]]
    fake.revoke(CLOUDS[model])
    answer = embed(gateway, model, "a", "b")

    assert ([clouds.vector("a"), clouds.vector("b")], before + 1) == (
        vectors(answer),
        fake.exchanges[CLOUDS[model]],
    )


def test_shared(gateway: GatewayProcess, fake: FakeClouds) -> None:
    """Targets with the same credentials share their token."""
    embed(gateway, "azure", "x")
    before = fake.exchanges["entra"]

    assert ([clouds.vector("a")], before) == (vectors(embed(gateway, "azure-too", "a")), fake.exchanges["entra"])


@pytest.mark.parametrize("model", ["bedrock", "bedrock-lent"])
def test_signed(gateway: GatewayProcess, model: str) -> None:
    """A request to AWS arrives as it was signed."""
    texts = ["a", "ünïcode \u2028 \U0001f600"]

    assert [clouds.vector(text) for text in texts] == vectors(embed(gateway, model, *texts))


@pytest.mark.parametrize(("model", "status"), [("vertex", 400), ("watsonx", 400), ("azure", 401), ("bedrock", 403)])
def test_wrong(unlucky: GatewayProcess, model: str, status: int) -> None:
    """Wrong credentials are the operator's to mend: the client learns nothing of them, and the log enough."""
    answer = embed(unlucky, model, "x")
    failed = unlucky.request_log(answer.headers["x-request-id"])["failed"]

    assert (502, "upstream_error") == (answer.status_code, answer.json()["error"]["code"])
    assert [("misconfigured", status)] == [(one["fault"], one["status"]) for one in failed]
    shown = answer.text + str(answer.headers) + unlucky.stderr
    assert [] == [word for word in ("S3cret", "eyJ", "AKID", "BXNIM", "AADSTS") if word in shown]


def test_logged(unlucky: GatewayProcess) -> None:
    """A failed exchange has a line of its own."""
    embed(unlucky, "vertex", "x")
    lines = [line for line in unlucky.log if line["event"] == "token exchange failed" and line["status"] == 400]

    assert {"level": "warning", "endpoint": "127.0.0.1", "fault": "misconfigured"}.items() <= lines[0].items()


def test_nobody_there(unlucky: GatewayProcess) -> None:
    """A token endpoint that cannot be reached makes the model unavailable, not wrong."""
    answer = embed(unlucky, "nobody-there", "x", **{"x-request-timeout-ms": "20000"})

    assert (503, "upstream_unavailable") == (answer.status_code, answer.json()["error"]["code"])


def test_proxy(unlucky: GatewayProcess, proxy: ForwardProxy, fake: FakeClouds) -> None:
    """A target's proxy is the way to its tokens, too."""
    answer = embed(unlucky, "watsonx-proxied", "a")

    assert [clouds.vector("a")] == vectors(answer)
    assert [f"{fake.url}/ibm/token", f"{fake.url}/ml/v1/text/embeddings?version=2024-05-31"] == proxy.seen


def test_check(gateway: GatewayProcess) -> None:
    """A check of the file shows no secret, whether it is right or not."""
    wrong = gateway.folder / "wrong.yaml"
    wrong.write_text(gateway.config.read_text().replace("kind: entra", "kind: ibm, unknown: 1"))
    results = [CliRunner().invoke(main, ["check", str(file)], env=ENVIRON) for file in (gateway.config, wrong)]

    assert [0, 1] == [result.exit_code for result in results]
    assert "S3cret" not in "".join(result.output for result in results)
