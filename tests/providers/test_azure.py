"""Azure OpenAI: its two endpoints, its header, and its errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import PROVIDERS
from providers.azure import AZURE
from providers.base import EmbedCall, Endpoint, FaultKind, Limits, Request, Response

RESOURCE = "https://acme.openai.azure.com"
KEY = "0123456789abcdef0123456789abcdef"
FULL = EmbedCall("my-deployment", ["one"], dimensions=256, input_type="query", user="u-1")
DATED = f"{RESOURCE}/openai/deployments/my-deployment/embeddings?api-version=2024-10-21"


def request(call: EmbedCall = FULL, base_url: str = RESOURCE, **fields: Any) -> Request:
    return AZURE.build_request(call, Endpoint(base_url, **fields))


def test_registered() -> None:
    """The provider is found by its name."""
    assert AZURE is PROVIDERS["azure"]


def test_facts() -> None:
    """It has OpenAI's limits for a call, and no address that all share."""
    assert (Limits(inputs=2048, request_tokens=300_000), None) == (AZURE.limits, AZURE.base_url)


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_deployment_address(path: str) -> None:
    """With an API version the path names the deployment, whichever of its base URLs is given."""
    assert DATED == request(base_url=RESOURCE + path, api_version="2024-10-21").url


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])
def test_v1_address(path: str) -> None:
    """Without one it is the endpoint that needs none."""
    assert f"{RESOURCE}/openai/v1/embeddings" == request(base_url=RESOURCE + path).url


def test_escaped() -> None:
    """Neither the deployment's name nor the version can add to the address."""
    url = request(EmbedCall("a/b?c", ["one"]), api_version="v&x=y").url

    assert f"{RESOURCE}/openai/deployments/a%2Fb%3Fc/embeddings?api-version=v%26x%3Dy" == url


def test_deployment_body() -> None:
    """A model named by the path is not in the body."""
    sent = json.loads(request(api_version="2024-10-21").body)

    assert {"input": ["one"], "dimensions": 256, "user": "u-1"} == sent


def test_v1_body() -> None:
    """Else the body names the deployment as the model."""
    expected = {"model": "my-deployment", "input": ["one"], "dimensions": 256, "user": "u-1"}

    assert expected == json.loads(request().body)


def test_key() -> None:
    """The key goes out in a header of its own, and in no other."""
    expected = {"content-type": "application/json", "accept": "application/json", "api-key": KEY}

    assert expected == request(api_key=KEY).headers


def test_token() -> None:
    """A token of Entra is a header of the target."""
    headers = request(headers={"Authorization": "Bearer eyJ0"}).headers

    assert ("Bearer eyJ0", False) == (headers["authorization"], "api-key" in headers)


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (400, "OperationNotSupported", "The embeddings operation does not work.", FaultKind.MISCONFIGURED),
        (400, "400", "Bad.", FaultKind.REJECTED),
        (404, "DeploymentNotFound", "The API deployment for this resource does not exist.", FaultKind.MISCONFIGURED),
        (429, "RateLimitReached", "Your requests have exceeded rate limit.", FaultKind.THROTTLED),
    ],
)
def test_errors(status: int, code: str, message: str, kind: FaultKind) -> None:
    """A deployment that makes no embeddings is the configuration's fault, as one that does not exist."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()

    assert kind is AZURE.parse_error(Response(status, {}, body)).kind


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "1", "retry-after-ms": "0"}, 1.0),
        ({"retry-after": "86400"}, 86_400.0),
        ({}, 55.0),
    ],
)
def test_wait(headers: dict[str, str], expected: float) -> None:
    """The wait is that of the headers, or else of the message."""
    words = "have exceeded rate limit." if headers else "have exceeded call rate limit. Please retry after 55 seconds."
    body = json.dumps({"error": {"code": "429", "message": words}}).encode()

    assert expected == AZURE.parse_error(Response(429, headers, body)).retry_after
