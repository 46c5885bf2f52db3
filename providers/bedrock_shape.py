"""Amazon Bedrock's endpoint, which all its families of models share; each family has a wire of its own.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html

A key goes out as a bearer token. Without one a request has no authorization: it is whole and final as built, its path
encoded as it is sent, so that a signature can be made of it and be laid among its headers.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

from providers import errors_shape
from providers.base import CredentialKind, EmbedCall, Endpoint, Fault, FaultKind, Request, Response
from providers.native_shape import header_tokens, root
from providers.openai_shape import post

BASE_URL: Final = "https://bedrock-runtime.{region}.amazonaws.com"
NEEDS: Final[frozenset[Literal["region", "project"]]] = frozenset({"region"})
CREDENTIALS: Final[frozenset[CredentialKind]] = frozenset({"aws"})

KINDS: Final[Mapping[str, FaultKind]] = {
    "ServiceQuotaExceeded": FaultKind.EXHAUSTED,  # a 400
    "ModelError": FaultKind.BROKEN,  # a 424
    "ModelNotReady": FaultKind.OVERLOADED,  # a 429
}


def invoke(own: Mapping[str, Any], call: EmbedCall, endpoint: Endpoint) -> Request:
    """Ids of models hold colons, and those of profiles slashes."""
    return post(f"{root(endpoint)}/model/{urllib.parse.quote(call.model, safe='')}/invoke", own, call, endpoint)


def billed(response: Response) -> int | None:
    return header_tokens(response, "x-amzn-bedrock-input-token-count")


def parse_error(response: Response) -> Fault:
    """The name of the error stands in a header, like `ThrottlingException:http://…`; several share a status."""
    found = errors_shape.fault(response)
    name = response.headers.get("x-amzn-errortype", "").partition(":")[0].removesuffix("Exception")
    return replace(found, kind=KINDS.get(name, found.kind))
