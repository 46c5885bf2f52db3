"""What several test files share: one fake OpenAI, and one real gateway process in front of it."""

from __future__ import annotations

import string
from collections.abc import AsyncIterator, Iterator

import httpx
import hypothesis
import pytest

from gateway.upstream import Upstream
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import GatewayProcess

# A slow machine must not fail a property: examples are bounded in number, never in time.
hypothesis.settings.register_profile("gateway", deadline=None)
hypothesis.settings.load_profile("gateway")

SMALL = "provider: openai, model: text-embedding-3-small, base_url: '$url', api_key: $key"
MODELS = string.Template(
    f"""
    text-embedding-3-small:
      aliases: [ada-like, team/small]
      targets: [{{{SMALL}, base64: true, token_ids: true}}]
    small-floats:
      targets: [{{{SMALL}}}]
    small-decoding:
      targets: [{{{SMALL}, token_ids: false, extra_body: {{region: {{zone: a, tier: 1}}}}}}]
    small-cut:
      dimensions: {{shorten: truncate}}
      targets: [{{{SMALL}, base64: true}}]
    ada:
      targets: [{{provider: openai, model: text-embedding-ada-002, base_url: "$url", api_key: $key}}]
    closed:
      client_extra: [region]
      client_tokens: reject
      limits: {{inputs: 3, input_tokens: 10, request_tokens: 20}}
      prompts: {{query: "query: {{text}}", document: "{{text}}"}}
      targets: [{{{SMALL}}}]
    two-targets:
      space: openai/text-embedding-3-small
      targets:
        - {{name: first, {SMALL}}}
        - {{name: second, {SMALL}, priority: 1}}
    narrow:
      targets: [{{{SMALL}, max_concurrency: 1}}]
    wrong-key:
      targets: [{{provider: openai, model: text-embedding-3-small, base_url: "$url", api_key: sk-not-the-right-key}}]
    nobody-there:
      targets: [{{provider: openai, model: text-embedding-3-small, base_url: "http://127.0.0.1:9"}}]
    local:
      normalize: true
      targets: [{{provider: static, path: wordllama}}]
    """
)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


@pytest.fixture(scope="module")
def secure() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(tls=True) as fake:
        yield fake


@pytest.fixture(scope="session")
def running_openai() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        fake.extra_allowed |= {"region", "service_tier"}
        yield fake


@pytest.fixture
def openai_upstream(running_openai: FakeOpenAI) -> FakeOpenAI:
    """The fake behind the gateway, with nothing recorded and nothing lined up."""
    running_openai.clear()
    return running_openai


@pytest.fixture(scope="session")
def gateway(running_openai: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    models = MODELS.substitute(url=running_openai.base_url, key=running_openai.api_key)
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), models, server="max_body: 8MiB") as process:
        yield process


@pytest.fixture
def http(gateway: GatewayProcess) -> Iterator[httpx.Client]:
    """A plain HTTP client with a valid key."""
    with gateway.client() as client:
        yield client
