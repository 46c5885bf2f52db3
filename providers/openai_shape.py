"""The request and answer shape that OpenAI gave the field and many services share; facts of one service are elsewhere.

https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final

from providers import codec, excerpt
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Request, Response

JSON_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json", "accept": "application/json"}

_INDEX: Final = itemgetter("index")
_EMBEDDING: Final = itemgetter("embedding")


@functools.lru_cache(maxsize=256)
def versioned(base_url: str, version: str = "v1") -> str:
    """The base URL ending in its version, which may be several segments, like `compatible-mode/v1`.

    What the base URL has of them already is not added again; one with another version in its path is taken as it is.
    """
    root = base_url.rstrip("/")
    segments = root.split("://", 1)[-1].split("/")[1:]
    wanted = version.split("/")
    there = next((size for size in range(len(wanted), 0, -1) if segments[-size:] == wanted[:size]), 0)
    if not there and any(segment[:1] == "v" and segment[1:2].isdigit() for segment in segments):
        return root
    return "/".join((root, *wanted[there:]))


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
    for layer in (endpoint.extra_body, call.extra, own):
        if layer:
            body = codec.merged(body, layer)  # which leaves out the nulls of each
    headers = _headers(tuple(endpoint.headers.items()), tuple(credentials.items()))
    return Request("POST", url, headers, codec.write_json(body))


@functools.lru_cache(maxsize=256)
def _headers(configured: tuple[tuple[str, str], ...], credentials: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Alike for all calls to an endpoint, until its credentials change."""
    lower = {name.lower(): value for name, value in configured}
    return MappingProxyType({**JSON_HEADERS, **lower, **dict(credentials)})


def bearer(endpoint: Endpoint) -> dict[str, str]:
    return {} if endpoint.api_key is None else {"authorization": f"Bearer {endpoint.api_key}"}


def vector_of(embedding: str | list[Any]) -> bytes:
    """Base64 or numbers, whichever came; raises ValueError for what is neither."""
    return codec.vector_from_base64(embedding) if isinstance(embedding, str) else codec.vector_from_numbers(embedding)


def parse_response(response: Response) -> Embeddings | Fault:
    """Reads the vectors of `data[].embedding`. Whether they are right is checked later."""
    return _parsed_apart(response) or parse_whole(response)


def _parsed_apart(response: Response) -> Embeddings | None:
    """None where anything is unusual, for `parse_whole` to say what."""
    found = excerpt.of(response.body)
    if found is None or not isinstance(found.payload, dict) or isinstance(found.payload.get("error"), dict | str):
        return None
    try:
        items = found.payload["data"]
        indexes = list(map(_INDEX, items))
        if list(map(_EMBEDDING, items)) == found.marks and set(map(type, indexes)) == {int}:
            return Embeddings(found.vectors, indexes, prompt_tokens(found.payload.get("usage")))
    except (LookupError, TypeError):
        pass
    return None


def parse_whole(response: Response, vector_of: Callable[[str | list[Any]], bytes] = vector_of) -> Embeddings | Fault:
    """The same for a service whose vectors `vector_of` has to read."""
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
    billed = prompt_tokens(payload.get("usage"))
    try:  # mostly all is as it should be, and nothing has to be said of any one item
        indexes = [item["index"] for item in items]
        embeddings = [item["embedding"] for item in items]
        if set(map(type, indexes)) <= {int} and set(map(type, embeddings)) <= {str, list}:
            return Embeddings(list(map(vector_of, embeddings)), indexes, billed)
    except (LookupError, TypeError, ValueError):
        pass
    return malformed(_wrong_with(items, vector_of), response.status)


def _wrong_with(items: Sequence[Any], vector_of: Callable[[str | list[Any]], bytes]) -> str:
    """The first item that holds no vector, and what it lacks."""
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            return f"`data[{place}]` is not an object"
        if type(item.get("index")) is not int:
            return f"`data[{place}]` has no index"
        embedding = item.get("embedding")
        if not isinstance(embedding, str | list):
            return f"`data[{place}]` has no embedding"
        try:
            vector_of(embedding)
        except ValueError:
            return f"`data[{place}].embedding` is neither base64 nor a list of numbers"
    return "`data` cannot be read"


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
