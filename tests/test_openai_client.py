"""OpenAI's own client, unchanged but for base URL and key, against a real gateway and a strict fake upstream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import openai
import pytest
import tiktoken

from gateway.vocabulary import cl100k
from tests.fakes.openai_upstream import FakeOpenAI, vector_for
from tests.gateway_process import KEY, GatewayProcess

TEXTS = ["The cat sat on the mat", "naïve café ☕", "  ", "line\nbreak", "日本語のテキスト"]
SMALL = "text-embedding-3-small"


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        yield client


def expected(texts: list[str], dimensions: int = 1536) -> list[list[float]]:
    return [vector_for(text, dimensions).tolist() for text in texts]


def received(answer: openai.types.CreateEmbeddingResponse) -> list[list[float]]:
    """The client's floats as float32 numbers, in which they were sent."""
    return [np.array(item.embedding, np.float32).tolist() for item in answer.data]


@pytest.mark.parametrize("model", [SMALL, "small-floats"])
def test_default_encoding(client: openai.OpenAI, openai_upstream: FakeOpenAI, model: str) -> None:
    """A call that names no encoding gets the upstream's vectors bit for bit, whichever encoding that speaks."""
    answer = client.embeddings.create(model=model, input=TEXTS)

    assert expected(TEXTS) == received(answer)


@pytest.mark.parametrize("model", [SMALL, "small-floats"])
def test_float_encoding(client: openai.OpenAI, openai_upstream: FakeOpenAI, model: str) -> None:
    """A call for floats gets numbers that read back as the float32 values of the upstream."""
    answer = client.embeddings.create(model=model, input=TEXTS, encoding_format="float")

    assert expected(TEXTS) == received(answer)


def test_one_text(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """A single string is one input."""
    answer = client.embeddings.create(model=SMALL, input="hello")

    assert expected(["hello"]) == received(answer)


def test_answer_fields(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """The answer names the model that was asked for, counts indexes from 0, and has OpenAI's usage."""
    answer = client.embeddings.create(model="team/small", input=["hello world", "tiktoken is great!"])

    shown = answer.to_dict()
    for item in shown["data"]:  # type: ignore[attr-defined]
        del item["embedding"]

    assert shown == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0}, {"object": "embedding", "index": 1}],
        "model": "team/small",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }


def test_full_batch(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """2048 inputs travel as one upstream call and come back in their order."""
    texts = [f"text number {number}" for number in range(2048)]
    answer = client.embeddings.create(model=SMALL, input=texts)

    assert (expected(texts), 1) == (received(answer), len(openai_upstream.requests))


def test_token_ids_pass(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """Token ids reach an upstream of the same vocabulary as they came."""
    ids = [cl100k().encode(text) for text in TEXTS]
    answer = client.embeddings.create(model=SMALL, input=ids)

    assert (expected(TEXTS), ids) == (received(answer), openai_upstream.requests[0].body["input"])


def test_token_ids_are_decoded(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """An upstream of another vocabulary gets the text that token ids stand for."""
    ids = [cl100k().encode(text) for text in TEXTS]
    openai_upstream.extra_allowed.add("region")
    answer = client.embeddings.create(model="small-decoding", input=ids)

    assert (expected(TEXTS), TEXTS) == (received(answer), openai_upstream.requests[0].body["input"])


def test_one_list_of_token_ids(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """A flat list of token ids is one input."""
    answer = client.embeddings.create(model=SMALL, input=cl100k().encode("hello world"))

    assert expected(["hello world"]) == received(answer)


def test_half_characters_are_reported(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """An input whose ids end within a character is embedded without that half, and named in a header."""
    encoding: tiktoken.Encoding = cl100k()
    ids = encoding.encode("good 🦄")
    raw = client.embeddings.with_raw_response.create(model="small-decoding", input=[encoding.encode("x"), ids[:-1]])

    assert ("1", expected(["x", "good "])) == (raw.headers["x-embedding-truncated"], received(raw.parse()))


@pytest.mark.parametrize("dimensions", [1, 256, 1536])
@pytest.mark.parametrize("model", [SMALL, "small-cut"])
def test_dimensions(client: openai.OpenAI, openai_upstream: FakeOpenAI, model: str, dimensions: int) -> None:
    """Shorter vectors are the same whether the provider shortens them or the gateway cuts and re-normalises."""
    answer = client.embeddings.create(model=model, input=TEXTS, dimensions=dimensions)

    np.testing.assert_allclose(received(answer), expected(TEXTS, dimensions), rtol=1e-5, atol=1e-7)


def test_native_dimensions_are_not_sent(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """Asking for the native length is asking for nothing, so a model that cannot shorten takes it."""
    answer = client.embeddings.create(model="ada", input=TEXTS, dimensions=1536)

    assert (expected(TEXTS), False) == (received(answer), "dimensions" in openai_upstream.requests[0].body)


def test_user_is_forwarded(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """The end user's id reaches a provider that documents it."""
    client.embeddings.create(model=SMALL, input="x", user="user-1")

    assert openai_upstream.requests[0].body["user"] == "user-1"


def test_nothing_is_sent_unasked(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """The upstream gets the fields of this call and no other."""
    client.embeddings.create(model="small-floats", input="x")

    assert openai_upstream.requests[0].body == {"model": SMALL, "input": ["x"]}


def test_extra_body_is_merged(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """The client's further fields lie over the target's own, object within object."""
    openai_upstream.extra_allowed |= {"region", "service_tier"}
    client.embeddings.create(
        model="small-decoding", input="x", extra_body={"region": {"tier": 2}, "service_tier": "flex"}
    )

    sent = openai_upstream.requests[0].body

    assert {"region": {"zone": "a", "tier": 2}, "service_tier": "flex"} == {
        name: sent[name] for name in ("region", "service_tier")
    }


def test_client_key_stays_here(client: openai.OpenAI, openai_upstream: FakeOpenAI) -> None:
    """The upstream sees its own key in its own header, and nothing of the client's."""
    client.embeddings.create(model=SMALL, input="x", extra_headers={"x-secret": "s", "cookie": "c=1"})

    (request,) = openai_upstream.requests

    assert (f"Bearer {openai_upstream.api_key}", False) == (
        request.headers["authorization"],
        KEY in str(request.headers) or "x-secret" in request.headers or "cookie" in request.headers,
    )


async def test_async_client(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """The asynchronous client gets the same."""
    async with openai.AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
        answer = await client.embeddings.create(model=SMALL, input=TEXTS)

    assert expected(TEXTS) == received(answer)


def test_azure_client(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """Azure's client puts the deployment into the path and the key into `api-key`."""
    with openai.AzureOpenAI(
        azure_endpoint=gateway.root_url, api_key=KEY, api_version="2024-10-21", max_retries=0
    ) as client:
        answer = client.embeddings.create(model=SMALL, input=TEXTS)

    assert expected(TEXTS) == received(answer)


def test_models(client: openai.OpenAI) -> None:
    """The list of models holds every name of every route."""
    listed = [model.id for model in client.models.list()]

    assert listed[:4] == [SMALL, "ada-like", "team/small", "small-floats"]


def test_one_model(client: openai.OpenAI) -> None:
    """A model whose name holds a slash can be retrieved."""
    model = client.models.retrieve("team/small")

    assert model.to_dict() == {
        "id": "team/small",
        "object": "model",
        "created": model.created,
        "owned_by": "gateway",
        "backend": "openai",
        "capabilities": ["embed"],
        "stats": {
            "queue_fraction": 0,
            "queue_absolute": 0,
            "results_pending": 0,
            "batch_size": 2048,
            "targets": {"closed": 1},
        },
        "available": True,
        "dimensions": {"native": 1536, "min": 1, "supported": None},
        "max_input_tokens": 8192,
        "tokenizer": "cl100k_base",
        "space": "openai/text-embedding-3-small",
        "unit_length": True,
        "input_types": [],
    }


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (openai.BadRequestError, {"model": SMALL, "input": ""}),
        (openai.NotFoundError, {"model": "no-such-model", "input": "x"}),
        (openai.BadRequestError, {"model": SMALL, "input": "x", "dimensions": 4000}),
    ],
)
def test_errors_are_the_clients_own(client: openai.OpenAI, error: type[openai.APIStatusError], call: dict) -> None:  # type: ignore[type-arg]
    """Errors arrive as the exceptions that the client's users know, with a request id."""
    with pytest.raises(error) as caught:
        client.embeddings.create(**call)

    assert caught.value.request_id is not None


def test_local_model(client: openai.OpenAI) -> None:
    """The local model answers unit-length vectors whose neighbours make sense."""
    answer = client.embeddings.create(
        model="local", input=["A cat chased the mouse", "The kitten ran after a mouse", "Quarterly tax return"]
    )
    cat, kitten, tax = np.array(received(answer))

    assert (True, True) == (bool(cat @ kitten > 0.5 > cat @ tax), bool(np.allclose(np.linalg.norm(cat), 1)))
