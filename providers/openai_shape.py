"""The request and answer shape that OpenAI gave the field and many services share; facts of one service are elsewhere.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from providers import codec
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Request, Response

LONGEST_WAIT: Final = 86_400.0
"""Seconds; a hint beyond a day says no more than a day."""

JSON_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json", "accept": "application/json"}


def versioned(base_url: str, version: str = "v1") -> str:
    """The base URL ending in its version segment, added only where none of the last segments is one already."""
    root = base_url.rstrip("/")
    segments = root.split("://", 1)[-1].split("/")[1:]
    if any(segment[:1] == "v" and segment[1:2].isdigit() for segment in segments):
        return root
    return f"{root}/{version}"


def post(url: str, own: Mapping[str, Any], call: EmbedCall, endpoint: Endpoint) -> Request:
    """A POST whose body is the target's `extra_body`, the client's fields and the adapter's own, each over the last.

    The key goes out as a bearer token. Headers of the configuration come first, so that none replaces it.
    """
    return posted(url, own, call, endpoint, bearer(endpoint))


def posted(
    url: str, own: Mapping[str, Any], call: EmbedCall, endpoint: Endpoint, credentials: Mapping[str, str]
) -> Request:
    """The same for a service that wants its credentials in headers of its own."""
    body: dict[str, Any] = {}
    for layer in (endpoint.extra_body, call.extra, own):  # `merged` leaves out the nulls of each
        body = codec.merged(body, layer)
    configured = {name.lower(): value for name, value in endpoint.headers.items()}
    return Request("POST", url, {**JSON_HEADERS, **configured, **credentials}, codec.write_json(body))


def bearer(endpoint: Endpoint) -> dict[str, str]:
    return {} if endpoint.api_key is None else {"authorization": f"Bearer {endpoint.api_key}"}


def parse_response(response: Response) -> Embeddings | Fault:
    """Reads `data[].embedding`, base64 or numbers, whichever came. Whether the vectors are right is checked later."""
    try:
        payload = codec.parse_json(response.body)
    except codec.JSONError:
        return malformed("the answer is not JSON", response.status)
    if not isinstance(payload, dict):
        return malformed("the answer is not a JSON object", response.status)
    if isinstance(payload.get("error"), dict | str):  # some relays put an error behind a 200
        return malformed("the answer is an error behind a status of success", response.status)
    items = payload.get("data")
    if not isinstance(items, list):
        return malformed("the answer has no `data`", response.status)
    vectors: list[bytes] = []
    indexes: list[int] = []
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            return malformed(f"`data[{place}]` is not an object", response.status)
        index = item.get("index")
        if type(index) is not int:
            return malformed(f"`data[{place}]` has no index", response.status)
        embedding = item.get("embedding")
        try:
            if isinstance(embedding, str):
                vectors.append(codec.vector_from_base64(embedding))
            elif isinstance(embedding, list):
                vectors.append(codec.vector_from_numbers(embedding))
            else:
                return malformed(f"`data[{place}]` has no embedding", response.status)
        except ValueError:
            return malformed(f"`data[{place}].embedding` is neither base64 nor a list of numbers", response.status)
        indexes.append(index)
    return Embeddings(vectors, indexes, prompt_tokens(payload.get("usage")))


def prompt_tokens(usage: object) -> int | None:
    """What the upstream billed; a zero, which no input costs, counts as not said."""
    if not isinstance(usage, dict):
        return None
    for name in ("prompt_tokens", "total_tokens"):
        value = usage.get(name)
        if type(value) is int and value > 0:
            return value
    return None


def malformed(message: str, status: int | None = None) -> Fault:
    return Fault(FaultKind.MALFORMED, message, status)


_KINDS: Final[Mapping[int, FaultKind]] = {
    400: FaultKind.REJECTED,
    401: FaultKind.MISCONFIGURED,
    402: FaultKind.EXHAUSTED,
    403: FaultKind.MISCONFIGURED,
    404: FaultKind.MISCONFIGURED,
    405: FaultKind.MISCONFIGURED,
    408: FaultKind.TIMEOUT,
    413: FaultKind.REJECTED,
    422: FaultKind.REJECTED,
    424: FaultKind.OVERLOADED,
    429: FaultKind.THROTTLED,
    500: FaultKind.BROKEN,
    502: FaultKind.OVERLOADED,
    503: FaultKind.OVERLOADED,
    504: FaultKind.OVERLOADED,
    529: FaultKind.OVERLOADED,
}


def kind_of_status(status: int) -> FaultKind:
    """What a status means where the service has no meaning of its own; a redirect is a wrong base URL."""
    known = _KINDS.get(status)
    if known is not None:
        return known
    if 300 <= status < 400:
        return FaultKind.MISCONFIGURED
    return FaultKind.REJECTED if 400 <= status < 500 else FaultKind.BROKEN


def parse_error(response: Response) -> Fault:
    """The nested envelope, where there is one; anything else is told by its status alone."""
    kind = kind_of_status(response.status)
    message, code = _message_and_code(response.body)
    if response.status == 429 and code == "insufficient_quota":
        kind = FaultKind.EXHAUSTED
    return Fault(kind, message, response.status, retry_after(response.headers))


def _message_and_code(body: bytes) -> tuple[str, object]:
    try:
        payload = codec.parse_json(body)
    except codec.JSONError:  # a proxy's HTML page tells a caller nothing
        return "", None
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, dict):
        message = error.get("message")
        return message if isinstance(message, str) else "", error.get("code") or error.get("type")
    return error if isinstance(error, str) else "", None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds asked for by `retry-after-ms` or `retry-after`; of both the longer, as either may be rounded to zero.

    A date is not read: it would need a clock, and none of these services sends one.
    """
    waits = []
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(wait) and wait >= 0:
            waits.append(min(wait, LONGEST_WAIT))
    return max(waits, default=None)
