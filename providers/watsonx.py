"""IBM watsonx.ai, whose bearer tokens are bought with an API key of IBM's cloud, or come as a key.

https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings

Calls belong to a project or to a deployment space. Its only field about long texts cuts them, and is not sent: without
it a text that is too long is refused.
"""

from __future__ import annotations

import urllib.parse
from typing import Any, Final

from providers.base import EmbedCall, Embeddings, Endpoint, Fault, Limits, Provider, Request, Response
from providers.errors_shape import parser
from providers.native_shape import answer_of, at, embeddings, root, tokens
from providers.openai_shape import post

API_VERSION: Final = "2024-05-31"


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    own: dict[str, Any] = {"model_id": call.model, "inputs": list(call.inputs)}
    own |= {"project_id": endpoint.project, "space_id": endpoint.space_id}  # one of them is None, which is not sent
    version = urllib.parse.quote(endpoint.api_version or API_VERSION, safe="")
    return post(f"{root(endpoint)}/ml/v1/text/embeddings?version={version}", own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    return embeddings(answer, response, "results", "embedding", prompt_tokens=tokens(at(answer, "input_token_count")))


WATSONX: Final = Provider(
    name="watsonx",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=parser(),
    owned=frozenset({"model_id", "inputs", "project_id", "space_id", "parameters"}),
    base_url="https://{region}.ml.cloud.ibm.com",
    limits=Limits(inputs=1000),  # what clients assume; a cap is not documented
    overlong="refuses",
    shortens=False,
    needs=frozenset({"project or space_id"}),
    credentials=frozenset({"ibm"}),
)
