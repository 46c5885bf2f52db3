"""The fakes are right and strict: what passes against them passes against the real ones."""

from __future__ import annotations

import base64
import gzip
import json
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from gateway.vocabulary import cl100k
from tests.fakes import mishaps
from tests.fakes.forward_proxy import ForwardProxy
from tests.fakes.openai_upstream import Behaviour, FakeOpenAI, vector_for
from tests.fakes.raw_client import RawClient, request

SMALL, LARGE, ADA = "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"
INVALID_INPUT = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
PAIR = {"model": SMALL, "input": ["a", "b"]}


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def sdk(fake: FakeOpenAI) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=fake.base_url, api_key=fake.api_key, max_retries=0) as client:
        yield client


@pytest.fixture
def http(fake: FakeOpenAI) -> Iterator[httpx.Client]:
    """A client with the right key, to which a test adds what is wrong."""
    headers = {"authorization": f"Bearer {fake.api_key}"}
    with httpx.Client(base_url=fake.root_url, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def post(http: httpx.Client, body: object = PAIR, **headers: str) -> httpx.Response:
    return http.post("/v1/embeddings", json=body, headers=headers)


def floats(response: httpx.Response) -> list[list[float]]:
    return [item["embedding"] for item in response.json()["data"]]


def right(*texts: str) -> list[list[float]]:
    return [vector_for(text).tolist() for text in texts]


def float32(vectors: list[list[float]]) -> list[list[float]]:
    """What a float32 written as short as possible means again."""
    rows: list[list[float]] = np.asarray(vectors, dtype=np.float32).tolist()
    return rows


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dimensions", [1, 256, 1536])
def test_vectors_have_unit_length(dimensions: int) -> None:
    """A vector has unit length, shortened or not."""

    assert math.isclose(1, float(np.linalg.norm(vector_for("a", dimensions))), rel_tol=1e-6)


def test_shortened_vectors_are_cut() -> None:
    """A shortened vector is the beginning of the native one, made unit length again."""
    cut = vector_for("a")[:256]

    assert (cut / np.linalg.norm(cut)).tolist() == vector_for("a", 256).tolist()


def test_vectors_belong_to_their_text() -> None:
    """Two texts have two vectors."""

    assert vector_for("a").tolist() != vector_for("b").tolist()


def test_vectors_can_be_spoiled_by_their_holder() -> None:
    """Writing into a vector leaves the next one of the same text alone."""
    vector_for("a")[:] = 0

    assert vector_for("a").any()


# ── right answers ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_sdk_default(fake: FakeOpenAI, sdk: openai.OpenAI) -> None:
    """OpenAI's client gets every text's own vector by its default, base64."""
    answer = sdk.embeddings.create(model=SMALL, input=["one", "two"])

    assert right("one", "two") == [item.embedding for item in answer.data]


def test_sdk_default_is_base64(fake: FakeOpenAI, sdk: openai.OpenAI) -> None:
    """What OpenAI's client sends is recorded as it arrived."""
    sdk.embeddings.create(model=SMALL, input="one")

    assert fake.requests[0].body == {"input": "one", "model": SMALL, "encoding_format": "base64"}


def test_sdk_float(sdk: openai.OpenAI) -> None:
    """OpenAI's client gets the same vectors as lists of floats."""
    answer = sdk.embeddings.create(model=SMALL, input=["one", "two"], encoding_format="float")

    assert right("one", "two") == float32([item.embedding for item in answer.data])


def test_sdk_dimensions(sdk: openai.OpenAI) -> None:
    """The large model is shortened as asked."""
    answer = sdk.embeddings.create(model=LARGE, input="one", dimensions=256)

    assert vector_for("one", 256, native=3072).tolist() == answer.data[0].embedding


@pytest.mark.parametrize(("model", "native"), [(SMALL, 1536), (LARGE, 3072), (ADA, 1536)])
def test_native_dimensions(sdk: openai.OpenAI, model: str, native: int) -> None:
    """Every model answers in its native dimensions unless asked otherwise."""
    answer = sdk.embeddings.create(model=model, input="one")

    assert vector_for("one", native, native).tolist() == answer.data[0].embedding


@pytest.mark.parametrize("shape", ["one sequence", "sequences"])
def test_token_ids(sdk: openai.OpenAI, shape: str) -> None:
    """Token ids get the vector of the text that they spell."""
    ids = cl100k().encode("naïve café")
    answer = sdk.embeddings.create(model=SMALL, input=ids if shape == "one sequence" else [ids])

    assert right("naïve café") == [item.embedding for item in answer.data]


def test_token_ids_that_spell_half_a_character(sdk: openai.OpenAI) -> None:
    """Token ids that spell no UTF-8 get the vector of their bytes."""
    half = cl100k().encode_single_token(b"\xf0\x9f")
    answer = sdk.embeddings.create(model=SMALL, input=[half])

    assert vector_for(b"\xf0\x9f").tolist() == answer.data[0].embedding


def test_answer_shape(http: httpx.Client) -> None:
    """Beside the vectors an answer holds what the real one holds, and nothing else."""
    answer = post(http, {"model": SMALL, "input": ["hello world", "a"], "encoding_format": "base64"}).json()
    kinds = [type(item.pop("embedding")) for item in answer["data"]]

    assert (
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0}, {"object": "embedding", "index": 1}],
            "model": SMALL,
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        },
        [str, str],
    ) == (answer, kinds)


def test_base64_is_little_endian_float32(http: httpx.Client) -> None:
    """Base64 holds the vector's four-byte floats, the lowest byte first."""
    answer = post(http, {"model": SMALL, "input": "a", "encoding_format": "base64"}).json()

    assert vector_for("a").astype("<f4").tobytes() == base64.b64decode(answer["data"][0]["embedding"], validate=True)


def test_answers_are_pretty_printed(http: httpx.Client) -> None:
    """A float answer is written like the real one, a number a line."""
    lines = post(http, {"model": SMALL, "input": "a", "dimensions": 2}).text.splitlines()

    assert lines[:4] == ["{", '  "object": "list",', '  "data": [', "    {"]


@pytest.mark.parametrize(
    "name", ["x-request-id", "openai-processing-ms", "openai-version", "x-ratelimit-remaining-tokens", "date"]
)
def test_turn_headers(http: httpx.Client, name: str) -> None:
    """An answer has the real one's headers."""

    assert name in post(http).headers


def test_model_header(http: httpx.Client) -> None:
    """An answer's header names the model."""

    assert post(http).headers["openai-model"] == SMALL


def test_extra_fields_that_are_allowed(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A field that the test allows is let through."""
    fake.extra_allowed.add("late_chunking")

    assert post(http, {**PAIR, "late_chunking": None}).status_code == 200


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────

TOO_LONG = "a " * 8192 + "a"
REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"input": "a"}, "you must provide a model parameter"),
    "null model": ({"input": "a", "model": None}, "you must provide a model parameter"),
    "number for a model": ({"input": "a", "model": 3}, "3 is not of type 'string' - 'model'"),
    "unknown field": ({**PAIR, "task": "x"}, "Additional properties are not allowed ('task' was unexpected)"),
    "unknown fields": ({**PAIR, "b": 1, "c": 1}, "Additional properties are not allowed ('b', 'c' were unexpected)"),
    "null dimensions": ({**PAIR, "dimensions": None}, "None is not of type 'integer' - 'dimensions'"),
    "null encoding": ({**PAIR, "encoding_format": None}, "None is not of type 'string' - 'encoding_format'"),
    "null user": ({**PAIR, "user": None}, "None is not of type 'string' - 'user'"),
    "boolean dimensions": ({**PAIR, "dimensions": True}, "True is not of type 'integer' - 'dimensions'"),
    "no dimensions": ({**PAIR, "dimensions": 0}, "0 is less than the minimum of 1 - 'dimensions'"),
    "dimensions before encoding": (
        {**PAIR, "dimensions": -1, "encoding_format": "md5"},
        "-1 is less than the minimum of 1 - 'dimensions'",
    ),
    "too many dimensions": (
        {**PAIR, "dimensions": 1537},
        "Invalid value for 'dimensions' = 1537. Must be less than or equal to 1536.",
    ),
    "dimensions of ada": (
        {**PAIR, "model": ADA, "dimensions": 1536},
        "This model does not support specifying dimensions.",
    ),
    "other encoding": (
        {**PAIR, "encoding_format": "md5"},
        "Invalid value for 'encoding_format' = md5. Supported values: ['float', 'base64'].",
    ),
    "no input": ({"model": SMALL}, INVALID_INPUT),
    "null input": ({"model": SMALL, "input": None}, INVALID_INPUT),
    "number": ({"model": SMALL, "input": 5}, INVALID_INPUT),
    "object": ({"model": SMALL, "input": {}}, INVALID_INPUT),
    "empty array": ({"model": SMALL, "input": []}, INVALID_INPUT),
    "mixed": ({"model": SMALL, "input": ["a", 1]}, INVALID_INPUT),
    "text and ids": ({"model": SMALL, "input": ["a", [1]]}, INVALID_INPUT),
    "booleans": ({"model": SMALL, "input": [True]}, INVALID_INPUT),
    "floats": ({"model": SMALL, "input": [1.5]}, INVALID_INPUT),
    "nested text": ({"model": SMALL, "input": [["a"]]}, INVALID_INPUT),
    "empty ids": ({"model": SMALL, "input": [[1], []]}, INVALID_INPUT),
    "negative id": ({"model": SMALL, "input": [-1]}, INVALID_INPUT),
    "id out of the vocabulary": ({"model": SMALL, "input": [[100_300]]}, INVALID_INPUT),
    "id in the vocabulary's gap": ({"model": SMALL, "input": [[100_256]]}, INVALID_INPUT),
    "huge id": ({"model": SMALL, "input": [[2**40]]}, INVALID_INPUT),
    "empty text": ({"model": SMALL, "input": ""}, "Invalid 'input': input cannot be an empty string."),
    "empty item": ({"model": SMALL, "input": ["a", ""]}, "Invalid 'input[1]': input cannot be an empty string."),
    "many items": ({"model": SMALL, "input": ["a"] * 2049}, "Invalid 'input': array length must be 2048 or less."),
    "many ids": ({"model": SMALL, "input": [1] * 2049}, "Invalid 'input': array length must be 2048 or less."),
    "long text": ({"model": SMALL, "input": TOO_LONG}, "Invalid 'input': maximum input length is 8192 tokens."),
    "long item": (
        {"model": SMALL, "input": ["a", TOO_LONG]},
        "Invalid 'input[1]': maximum input length is 8192 tokens.",
    ),
    "long ids": ({"model": SMALL, "input": [[1] * 8193]}, "Invalid 'input[0]': maximum input length is 8192 tokens."),
}


@pytest.mark.parametrize(("body", "message"), REFUSALS.values(), ids=REFUSALS)
def test_refusal(http: httpx.Client, body: dict[str, Any], message: str) -> None:
    """A body that breaks one of OpenAI's rules is a 400 in OpenAI's words."""
    response = post(http, body)
    envelope = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

    assert (400, envelope) == (response.status_code, response.json())


@pytest.mark.parametrize(
    "input",
    [[" "] * 2048, [1] * 2048, [[1]] * 2048, [[1] * 8192], "a " * 8191, [[1] * 8192] * 36 + [[1] * 5088]],
    ids=["items", "ids", "lists", "long ids", "long text", "sum"],
)
def test_limits_are_inclusive(http: httpx.Client, input: Any) -> None:
    """An input at a limit is within it."""

    assert post(http, {"model": SMALL, "input": input, "dimensions": 1}).status_code == 200


def test_request_over_its_token_sum(http: httpx.Client) -> None:
    """More than 300,000 tokens in a request are a 400 with a type and code of its own."""
    response = post(http, {"model": SMALL, "input": [[1] * 8192] * 36 + [[1] * 5089]})
    envelope = {
        "message": "Requested 300001 tokens, max 300000 tokens per request",
        "type": "max_tokens_per_request",
        "param": None,
        "code": "max_tokens_per_request",
    }

    assert (400, {"error": envelope}) == (response.status_code, response.json())


def test_unknown_model(sdk: openai.OpenAI) -> None:
    """A model that OpenAI does not serve is a 404."""
    with pytest.raises(openai.NotFoundError, match="`nope` does not exist") as caught:
        sdk.embeddings.create(model="nope", input="a")

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"a"', b'{"model": NaN}', b'{"input": "\\ud800"}', b'{"input": "\xff"}']
)
def test_malformed_json(http: httpx.Client, raw: bytes) -> None:
    """A body that is no JSON object is a 400."""
    response = http.post("/v1/embeddings", content=raw, headers={"content-type": "application/json"})

    assert response.json()["error"]["message"].startswith("We could not parse the JSON body of your request.")


def test_body_of_another_type(http: httpx.Client) -> None:
    """JSON that is not labelled as JSON is not read."""
    response = http.post("/v1/embeddings", content=json.dumps(PAIR))

    assert response.json()["error"]["message"] == "you must provide a model parameter"


@pytest.mark.parametrize(
    ("given", "message", "code"),
    [
        ("", "You didn't provide an API key.", None),
        ("Basic c2s6", "You didn't provide an API key.", None),
        ("Bearer", "You didn't provide an API key.", None),
        ("Bearer sk-bad", "Incorrect API key provided: sk-bad.", "invalid_api_key"),
        ("Bearer sk-gateway-0123456789", "Incorrect API key provided: sk-gatew*********6789.", "invalid_api_key"),
    ],
)
def test_keys(http: httpx.Client, given: str, message: str, code: str | None) -> None:
    """Any key but the right one, as a bearer, is a 401 that shows no long key."""
    response = post(http, authorization=given)
    error = response.json()["error"]

    assert (401, True, code) == (response.status_code, error["message"].startswith(message), error["code"])


def test_other_methods(http: httpx.Client) -> None:
    """GET is a 405."""
    response = http.get("/v1/embeddings")

    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_supported")


@pytest.mark.parametrize("path", ["/embeddings", "/v1/embeddings/", "/v1//embeddings", "/v1/v1/embeddings"])
def test_other_paths(http: httpx.Client, path: str) -> None:
    """Only the one path is served."""
    response = http.post(path, json=PAIR)

    assert (404, f"Invalid URL (POST {path})") == (response.status_code, response.json()["error"]["message"])


def test_path_of_choice() -> None:
    """The fake can be served elsewhere, and its base URL follows."""
    with (
        FakeOpenAI(path="/api/openai/v1/embeddings") as fake,
        openai.OpenAI(base_url=fake.base_url, api_key=fake.api_key) as sdk,
    ):
        answer = sdk.embeddings.create(model=SMALL, input="a")

    assert right("a") == [item.embedding for item in answer.data]


def test_key_of_choice() -> None:
    """The fake can want another key."""
    with (
        FakeOpenAI(api_key="sk-other") as fake,
        openai.OpenAI(base_url=fake.base_url, api_key="sk-other") as sdk,
    ):
        answer = sdk.embeddings.create(model=SMALL, input="a")

    assert right("a") == [item.embedding for item in answer.data]


# ── what is recorded, and what is lined up ────────────────────────────────────────────────────────────────────────


def test_recorded_request(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A request is recorded with its method, path, query, headers and body."""
    http.post("/v1/embeddings?a=b", json=PAIR, headers=[("X-One", "1"), ("x-one", "2")])
    seen = fake.requests[0]

    assert (
        seen.method,
        seen.path,
        seen.query,
        seen.headers["x-one"],
        seen.body,
        json.loads(seen.raw),
    ) == ("POST", "/v1/embeddings", "a=b", "1, 2", PAIR, PAIR)


def test_refused_requests_are_recorded(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A request is recorded even when it is refused, its body None when it is no JSON."""
    http.post("/elsewhere", content=b"{")

    assert [(seen.path, seen.body, seen.raw) for seen in fake.requests] == [("/elsewhere", None, b"{")]


def test_mishaps_are_lined_up(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Mishaps befall as many requests as they were told, in the order they were told."""
    fake.behave(mishaps.error(503), times=2)
    fake.behave(mishaps.error(500))

    assert [post(http).status_code for _ in range(4)] == [503, 503, 500, 200]


def test_mishaps_for_ever(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A mishap for ever befalls whatever has no other lined up."""
    fake.behave(mishaps.error(503), times=None)
    fake.behave(mishaps.error(500))

    assert [post(http).status_code for _ in range(3)] == [500, 503, 503]


def test_clear(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Clearing forgets every mishap."""
    fake.behave(mishaps.error(503), times=None)
    fake.behave(mishaps.error(500))
    fake.clear()

    assert post(http).status_code == 200


def test_clear_forgets_requests(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Clearing forgets every request."""
    post(http)
    fake.clear()

    assert (fake.requests, fake.bytes_sent) == ([], 0)


def test_refusals_use_no_mishap_up(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A request that OpenAI would refuse is refused, and leaves the mishap to the next one."""
    fake.behave(mishaps.error(503))

    assert [post(http, body).status_code for body in ({"model": SMALL, "input": ""}, PAIR)] == [400, 503]


def test_many_requests_at_once(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Concurrent requests each get their own text's vector."""
    texts = [f"text {number}" for number in range(32)]

    def embedded(text: str) -> list[float]:
        return floats(post(http, {"model": SMALL, "input": text}))[0]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(embedded, texts))

    assert right(*texts) == float32(answers)


# ── mishaps: other answers ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", mishaps.ERRORS)
def test_error(fake: FakeOpenAI, http: httpx.Client, status: int) -> None:
    """An error has its status and OpenAI's envelope with all four keys."""
    fake.behave(mishaps.error(status))
    response = post(http)

    assert (status, {"message", "type", "param", "code"}) == (response.status_code, set(response.json()["error"]))


def test_error_of_ones_own_words(fake: FakeOpenAI, http: httpx.Client) -> None:
    """An error's fields can be chosen."""
    fake.behave(mishaps.error(400, message="no", type="t", param="p", code="c"))

    assert post(http).json() == {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}}


def test_rate_limited(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A 429 says when to come back."""
    fake.behave(mishaps.rate_limited(retry_after="1", retry_after_ms="1250"))
    response = post(http)

    assert (
        response.status_code,
        response.headers["retry-after"],
        response.headers["retry-after-ms"],
    ) == (429, "1", "1250")


def test_rate_limited_without_hints(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A 429 need not say when to come back."""
    fake.behave(mishaps.rate_limited())

    assert {"retry-after", "retry-after-ms"}.isdisjoint(post(http).headers)


def test_insufficient_quota(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Spent credit is a 429 with a code of its own."""
    fake.behave(mishaps.insufficient_quota())
    response = post(http)

    assert (response.status_code, response.json()["error"]["code"]) == (429, "insufficient_quota")


@pytest.mark.parametrize("status", [200, 503])
def test_html(fake: FakeOpenAI, http: httpx.Client, status: int) -> None:
    """A web page comes instead of JSON."""
    fake.behave(mishaps.html(status))
    response = post(http)

    assert (status, "text/html; charset=utf-8", "<!DOCTYPE") == (
        response.status_code,
        response.headers["content-type"],
        response.text[:9],
    )


def test_empty_200(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A 200 has no body."""
    fake.behave(mishaps.empty_200())
    response = post(http)

    assert (response.status_code, response.content) == (200, b"")


def test_error_with_200(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A 200 holds an error's envelope."""
    fake.behave(mishaps.error_with_200())
    response = post(http)

    assert (response.status_code, list(response.json())) == (200, ["error"])


def test_redirect(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A redirect names another URL."""
    fake.behave(mishaps.redirect("http://127.0.0.1:9/v1/embeddings"))
    response = post(http)

    assert (response.status_code, response.headers["location"]) == (307, "http://127.0.0.1:9/v1/embeddings")


def test_answers(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Any status, body and headers can be had."""
    fake.behave(mishaps.answers(424, {"error": "x"}, {"x-a": "b"}))
    response = post(http)

    assert (response.status_code, response.json(), response.headers["x-a"]) == (424, {"error": "x"}, "b")


# ── mishaps: spoiled answers ──────────────────────────────────────────────────────────────────────────────────────


def spoiled(fake: FakeOpenAI, http: httpx.Client, behaviour: Behaviour, encoding: str = "float") -> Any:
    fake.behave(behaviour)
    return post(http, {"model": SMALL, "input": ["a", "b", "c"], "encoding_format": encoding}).json()


def lengths(answer: Any) -> list[int]:
    return [len(item["embedding"]) for item in answer["data"]]


def indexes(answer: Any) -> list[Any]:
    return [item.get("index") for item in answer["data"]]


def decoded(answer: Any) -> list[Any]:
    return [np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in answer["data"]]


def firsts(answer: Any) -> list[float]:
    return [item["embedding"][0] for item in answer["data"]]


SPOILED: dict[str, tuple[Behaviour, Callable[[Any], Any], Any]] = {
    "one_too_few": (mishaps.one_too_few(), indexes, [0, 1]),
    "one_too_many": (mishaps.one_too_many(), indexes, [0, 1, 2, 3]),
    "shuffled": (mishaps.shuffled(), indexes, [2, 1, 0]),
    "duplicate_index": (mishaps.duplicate_index(), indexes, [0, 1, 1]),
    "missing_index": (mishaps.missing_index(1), indexes, [0, None, 2]),
    "string_index": (mishaps.string_index(1), indexes, [0, "1", 2]),
    "nan": (mishaps.nan(1), lambda answer: [math.isnan(first) for first in firsts(answer)], [False, True, False]),
    "infinity": (mishaps.infinity(1), lambda answer: firsts(answer)[1], math.inf),
    "zero_vector": (mishaps.zero_vector(1), lambda answer: [any(v["embedding"]) for v in answer["data"]], [1, 0, 1]),
    "wrong_length": (mishaps.wrong_length(), lengths, [256, 256, 256]),
    "longer": (mishaps.wrong_length(3072), lengths, [3072, 3072, 3072]),
    "one_wrong_length": (mishaps.one_wrong_length(), lengths, [1536, 1536, 256]),
    "null_embedding": (mishaps.null_embedding(1), lambda answer: answer["data"][1]["embedding"], None),
    "bad_base64": (mishaps.bad_base64(1), lambda answer: answer["data"][1]["embedding"], "no base64!"),
    "no_usage": (mishaps.no_usage(), list, ["object", "data", "model"]),
    "zero_usage": (mishaps.zero_usage(), lambda answer: answer["usage"], {"prompt_tokens": 0, "total_tokens": 0}),
}


@pytest.mark.parametrize(("behaviour", "look", "expected"), SPOILED.values(), ids=SPOILED)
def test_spoiled_answer(
    fake: FakeOpenAI, http: httpx.Client, behaviour: Behaviour, look: Callable[[Any], Any], expected: Any
) -> None:
    """An answer is spoiled in the one respect that its mishap is named for."""

    assert expected == look(spoiled(fake, http, behaviour))


def test_shuffled_vectors_keep_their_index(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Shuffled items have their own text's index still."""
    answer = spoiled(fake, http, mishaps.shuffled())
    in_order = sorted(answer["data"], key=lambda item: item["index"])

    assert right("a", "b", "c") == float32([item["embedding"] for item in in_order])


def test_one_bad_item_leaves_the_others(fake: FakeOpenAI, http: httpx.Client) -> None:
    """The neighbours of a spoiled item are right."""
    answer = spoiled(fake, http, mishaps.zero_vector(1))

    assert right("a", "c") == float32([answer["data"][place]["embedding"] for place in (0, 2)])


@pytest.mark.parametrize(("mishap", "literal"), [(mishaps.nan, b"NaN"), (mishaps.infinity, b"Infinity")])
def test_not_finite_in_floats(
    fake: FakeOpenAI, http: httpx.Client, mishap: Callable[[], Behaviour], literal: bytes
) -> None:
    """What is not finite is a bare literal in a list of floats."""
    fake.behave(mishap())

    assert literal in post(http).content


@pytest.mark.parametrize(("mishap", "first"), [(mishaps.nan, math.nan), (mishaps.infinity, math.inf)])
def test_not_finite_in_base64(
    fake: FakeOpenAI, http: httpx.Client, mishap: Callable[[], Behaviour], first: float
) -> None:
    """What is not finite is a float's bits in base64."""
    vector = decoded(spoiled(fake, http, mishap(), "base64"))[0]

    np.testing.assert_equal(vector[0], np.float32(first))


@pytest.mark.parametrize(("asked", "given", "kind"), [("base64", "float", list), ("float", "base64", str)])
def test_ignored_encoding(fake: FakeOpenAI, http: httpx.Client, asked: str, given: str, kind: type) -> None:
    """An upstream with a mind of its own answers in its own encoding."""
    answer = spoiled(fake, http, mishaps.ignored_encoding(given), asked)

    assert [kind] * 3 == [type(item["embedding"]) for item in answer["data"]]


@pytest.mark.parametrize("behaviour", mishaps.BREACHES.values(), ids=mishaps.BREACHES)
def test_breaches_are_framed_rightly(fake: FakeOpenAI, http: httpx.Client, behaviour: Behaviour) -> None:
    """A breach of contract looks like any other answer from outside."""

    assert spoiled(fake, http, behaviour, "base64")["object"] == "list"


@pytest.mark.parametrize("behaviour", mishaps.MALFORMED.values(), ids=mishaps.MALFORMED)
def test_malformed_answers_are_framed_rightly(fake: FakeOpenAI, http: httpx.Client, behaviour: Behaviour) -> None:
    """A malformed answer is a whole 200 to HTTP."""
    fake.behave(behaviour)

    assert post(http).status_code == 200


# ── mishaps: reworked bytes ───────────────────────────────────────────────────────────────────────────────────────


def test_cut_json(fake: FakeOpenAI, http: httpx.Client) -> None:
    """Half a JSON document comes in a whole HTTP message."""
    fake.behave(mishaps.cut_json())
    half, whole = post(http).content, post(http).content

    assert whole[: len(whole) // 2] == half


def test_leading_whitespace(fake: FakeOpenAI, http: httpx.Client) -> None:
    """White space precedes the right answer."""
    fake.behave(mishaps.leading_whitespace())
    response = post(http)

    assert (b"\n   ", right("a", "b")) == (response.content[:4], float32(floats(response)))


def test_gzipped(fake: FakeOpenAI, http: httpx.Client) -> None:
    """The right answer comes compressed, asked or unasked."""
    fake.behave(mishaps.gzipped())
    with http.stream("POST", "/v1/embeddings", json=PAIR, headers={"accept-encoding": "identity"}) as response:
        raw = b"".join(response.iter_raw())

    assert (response.headers["content-encoding"], json.loads(gzip.decompress(raw))["object"]) == ("gzip", "list")


def test_set_cookie(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A client that keeps cookies is found out by its next request."""
    fake.behave(mishaps.set_cookie("crumb=1; Path=/"))
    post(http)
    post(http)

    assert [seen.headers.get("cookie") for seen in fake.requests] == [None, "crumb=1"]


# ── mishaps: the wire itself ──────────────────────────────────────────────────────────────────────────────────────


def test_cut_connection(fake: FakeOpenAI, http: httpx.Client) -> None:
    """The connection is closed in the middle of the body."""
    fake.behave(mishaps.cut_connection())

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        post(http)


def test_closed_unanswered(fake: FakeOpenAI, http: httpx.Client) -> None:
    """The connection is closed before a status came."""
    fake.behave(mishaps.closed_unanswered())

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        post(http)


def test_connection_after_a_cut_one(fake: FakeOpenAI, http: httpx.Client) -> None:
    """After a cut connection the next one is answered."""
    fake.behave(mishaps.cut_connection())
    with pytest.raises(httpx.RemoteProtocolError):
        post(http)

    assert post(http).status_code == 200


def asked_by_hand(fake: FakeOpenAI) -> RawClient:
    """A client that has asked, and waits no longer than it is told to."""
    lines = (f"authorization: Bearer {fake.api_key}", "content-type: application/json")
    client = RawClient(fake.port)
    client.send(request("/v1/embeddings", "POST", *lines, body=json.dumps(PAIR).encode()))
    return client


def test_never_answers(fake: FakeOpenAI) -> None:
    """A request is held until the client gives up."""
    fake.behave(mishaps.never_answers())
    with asked_by_hand(fake) as client:
        assert fake.wait_until(lambda: len(fake.requests) == 1)
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.some(1)

    assert fake.wait_until(lambda: len(fake.abandoned) == 1)


def test_never_finishes(fake: FakeOpenAI) -> None:
    """Half an answer comes, then nothing."""
    fake.behave(mishaps.never_finishes())
    with asked_by_hand(fake) as client:
        length = int(dict(client.head()[1])["content-length"])
        client.some(length // 2)
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.some(length // 2 + 1)

    assert fake.wait_until(lambda: len(fake.abandoned) == 1)


def test_stopping_with_a_request_held() -> None:
    """The fake stops at once though a request hangs."""
    failures: list[Exception] = []

    def ask(fake: FakeOpenAI) -> None:
        try:
            httpx.post(
                f"{fake.base_url}/embeddings",
                json=PAIR,
                headers={"authorization": f"Bearer {fake.api_key}"},
                trust_env=False,
                timeout=60,
            )
        except httpx.HTTPError as error:
            failures.append(error)

    with FakeOpenAI() as fake:
        fake.behave(mishaps.never_answers())
        client = threading.Thread(target=ask, args=(fake,))
        client.start()
        assert fake.wait_until(lambda: len(fake.requests) == 1)
        stopping = time.perf_counter()
    took = time.perf_counter() - stopping
    client.join()

    assert (True, [httpx.RemoteProtocolError]) == (took < 30, [type(failure) for failure in failures])


def test_slow(fake: FakeOpenAI, http: httpx.Client) -> None:
    """An answer comes late."""
    fake.behave(mishaps.slow(0.05))
    began = time.perf_counter()
    response = post(http)

    assert (True, right("a", "b")) == (time.perf_counter() - began >= 0.05, float32(floats(response)))


def test_slow_mishap(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A mishap, too, can come late."""
    fake.behave(mishaps.slow(0.01, then=mishaps.error(500)))

    assert post(http).status_code == 500


def test_endless_body(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A body without end stops when the client has had enough."""
    fake.behave(mishaps.huge_body(None))
    with http.stream("POST", "/v1/embeddings", json=PAIR) as response:
        next(response.iter_raw())

    assert fake.wait_until(lambda: len(fake.abandoned) == 1)


def test_huge_body_is_counted(fake: FakeOpenAI, http: httpx.Client) -> None:
    """The fake knows how much of a huge body was sent, which is little more than the client took."""
    fake.behave(mishaps.huge_body())
    with http.stream("POST", "/v1/embeddings", json=PAIR) as response:
        next(response.iter_raw())
    assert fake.wait_until(lambda: len(fake.abandoned) == 1)

    assert 60_000 < fake.bytes_sent < 16 * 2**20


def test_huge_body_ends(fake: FakeOpenAI, http: httpx.Client) -> None:
    """A huge body that is taken whole is counted whole."""
    fake.behave(mishaps.huge_body(10**6))
    taken = len(post(http).content)

    assert (True, taken) == (taken > 900_000, fake.bytes_sent)


# ── TLS and the proxy ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as proxy:
        yield proxy


def ask(fake: FakeOpenAI, *, proxy: str | None = None, verify: ssl.SSLContext | bool = True) -> httpx.Response:
    """One request on a connection of its own."""
    headers = {"authorization": f"Bearer {fake.api_key}"}
    with httpx.Client(headers=headers, proxy=proxy, verify=verify, trust_env=False, timeout=60) as client:
        return client.post(f"{fake.base_url}/embeddings", json=PAIR)


def trusting(fake: FakeOpenAI) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=fake.ca_file)


def test_tls() -> None:
    """With TLS the fake answers those who trust its authority."""
    with FakeOpenAI(tls=True) as fake:
        response = ask(fake, verify=trusting(fake))

    assert right("a", "b") == float32(floats(response))


def test_tls_of_a_stranger() -> None:
    """With TLS nobody else trusts the fake."""
    with FakeOpenAI(tls=True) as fake, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(fake)


def test_tls_cut_connection() -> None:
    """With TLS, too, a connection can be closed in the middle of the body."""
    with FakeOpenAI(tls=True) as fake:
        fake.behave(mishaps.cut_connection())

        with pytest.raises(httpx.RemoteProtocolError):
            ask(fake, verify=trusting(fake))


def test_ca_file_is_removed() -> None:
    """The authority's file goes when the fake stops."""
    with FakeOpenAI(tls=True) as fake:
        pass

    assert not fake.ca_file.exists()


def test_proxied_http(fake: FakeOpenAI, proxy: ForwardProxy) -> None:
    """A plain request goes through the proxy."""
    response = ask(fake, proxy=proxy.url)

    assert right("a", "b") == float32(floats(response))


def test_proxied_http_is_seen(fake: FakeOpenAI, proxy: ForwardProxy) -> None:
    """The proxy sees a plain request's whole URL."""
    ask(fake, proxy=proxy.url)

    assert [f"{fake.base_url}/embeddings"] == proxy.seen


def test_proxied_http_arrives_in_origin_form(fake: FakeOpenAI, proxy: ForwardProxy) -> None:
    """The upstream sees a path, as from anyone."""
    ask(fake, proxy=proxy.url)

    assert [seen.path for seen in fake.requests] == ["/v1/embeddings"]


def test_proxied_https(proxy: ForwardProxy) -> None:
    """An encrypted request goes through a tunnel, and the proxy sees no more than where to."""
    with FakeOpenAI(tls=True) as fake:
        response = ask(fake, proxy=proxy.url, verify=trusting(fake))

    assert (right("a", "b"), [f"127.0.0.1:{fake.port}"]) == (float32(floats(response)), proxy.seen)


def test_proxied_requests_in_a_row(fake: FakeOpenAI, proxy: ForwardProxy) -> None:
    """Several requests of one client are all seen."""
    headers = {"authorization": f"Bearer {fake.api_key}"}
    with httpx.Client(headers=headers, proxy=proxy.url, trust_env=False, timeout=60) as client:
        for _ in range(3):
            client.post(f"{fake.base_url}/embeddings", json=PAIR)

    assert [f"{fake.base_url}/embeddings"] * 3 == proxy.seen


def test_proxied_to_nowhere(proxy: ForwardProxy) -> None:
    """An upstream that does not listen is the proxy's 502."""
    with FakeOpenAI() as gone:
        pass

    assert ask(gone, proxy=proxy.url).status_code == 502
