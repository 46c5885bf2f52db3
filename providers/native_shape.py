"""Reading the answers of services with a wire of their own; which field means what, each service's file says.

A wire without an index answers in the order of the inputs. Whether the vectors are right is checked later.
"""

from __future__ import annotations

from providers import codec, excerpt
from providers.base import Embeddings, Endpoint, Fault, Response
from providers.openai_shape import malformed


def root(endpoint: Endpoint) -> str:
    """The base URL without its last slash; that of a service which lives in regions holds `{region}`."""
    return endpoint.base_url.replace("{region}", endpoint.region or "").rstrip("/")


def json_of(response: Response) -> object:
    """The JSON of an answer, or None for anything else, such as the page of a proxy."""
    try:
        return codec.parse_json(response.body)
    except codec.JSONError:
        return None


def answer_of(response: Response) -> object:
    """The same with each list of numbers as the vector that it is."""
    found = excerpt.of_numbers(response.body)
    filled = None if found is None else found.filled()
    return json_of(response) if filled is None else filled


def at(value: object, *path: str) -> object:
    """What lies under these keys, or None as soon as one is missing."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def embeddings(
    answer: object, response: Response, place: str, *path: str, prompt_tokens: int | None = None
) -> Embeddings | Fault:
    """The vectors of the list at this place, like `embeddings.float`; the answer itself has the place "".

    `path` leads from an item of the list to its numbers, or its vector.
    """
    items = at(answer, *place.split(".")) if place else answer
    if isinstance(items, bytes):  # numbers, where their lists were to come
        items = [None]
    if not isinstance(items, list):
        missing = f"the answer has no list `{place}`" if place else "the answer is not a list"
        return malformed("the answer is not JSON" if answer is None else missing, response.status)
    vectors: list[bytes] = []
    for index, item in enumerate(items):
        vector = _vector(at(item, *path))
        if vector is None:
            name = ".".join((f"{place}[{index}]", *path))
            return malformed(f"`{name}` is not a list of numbers", response.status)
        vectors.append(vector)
    return Embeddings(vectors, prompt_tokens=prompt_tokens)


def one_embedding(
    answer: object, response: Response, *path: str, prompt_tokens: int | None = None
) -> Embeddings | Fault:
    """The vector of an answer that holds just one."""
    vector = _vector(at(answer, *path))
    if vector is None:
        missing = f"the answer has no list of numbers `{'.'.join(path)}`"
        return malformed("the answer is not JSON" if answer is None else missing, response.status)
    return Embeddings([vector], prompt_tokens=prompt_tokens)


def _vector(numbers: object) -> bytes | None:
    if isinstance(numbers, bytes):
        return numbers
    try:
        return codec.vector_from_numbers(numbers) if isinstance(numbers, list) else None
    except ValueError:
        return None


def tokens(value: object) -> int | None:
    """What the upstream counted; a zero, which no input costs, counts as not said."""
    return value if type(value) is int and value > 0 else None


def header_tokens(response: Response, name: str) -> int | None:
    text = response.headers.get(name, "")
    return tokens(int(text)) if text.isascii() and text.isdigit() and len(text) < 16 else None
