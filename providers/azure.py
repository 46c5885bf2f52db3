"""Azure OpenAI: by deployment when an API version is given, else by its v1 endpoint, which needs none.

https://learn.microsoft.com/azure/ai-foundry/openai/reference#embeddings
https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from providers import openai_shape
from providers.base import EmbedCall, Endpoint, FaultKind, Limits, Request
from providers.dialect import Dialect
from providers.errors_shape import Meaning

DIALECT: Final = Dialect(version="openai/v1", user_field="user")


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    """Without a key there is an `authorization`, laid among the headers later: a token of Entra."""
    body, url = DIALECT.body(call, endpoint), DIALECT.url(endpoint)
    if endpoint.api_version is not None:
        del body["model"]  # the path names it
        url = _deployment_url(endpoint.base_url, call.model, endpoint.api_version)
    credentials = {} if endpoint.api_key is None else {"api-key": endpoint.api_key}
    return openai_shape.posted(url, body, call, endpoint, credentials)


def _deployment_url(base_url: str, deployment: str, api_version: str) -> str:
    resource = base_url.rstrip("/").removesuffix("/v1").removesuffix("/openai")
    path = f"openai/deployments/{quote(deployment, safe='')}/embeddings"
    return f"{resource}/{path}?api-version={quote(api_version, safe='')}"


AZURE: Final = DIALECT.provider(
    "azure",
    None,  # every resource has a host of its own
    Meaning(FaultKind.MISCONFIGURED, 400, code="OperationNotSupported"),  # a deployment that makes no embeddings
    build_request=build_request,
    limits=Limits(inputs=2048, request_tokens=300_000),  # as OpenAI's since the API versions of 2024
    overlong="refuses",
    token_ids=True,
    base64=True,
    key_header="api-key",
    credentials=frozenset({"entra"}),
)
