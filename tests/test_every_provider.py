"""Every remote provider end to end: OpenAI's client, a real gateway process, and a server as strict as the provider."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import openai
import pytest

from gateway.vocabulary import cl100k
from providers import PROVIDERS
from providers.base import Provider
from tests.fakes.wires import WIRES
from tests.fakes.wires.base import Asked, Wire
from tests.fakes.wires.server import Exchange, FakeProviders
from tests.gateway_process import KEY, GatewayProcess

TEXTS = ["The cat sat on the mat", "naïve café ☕", "  ", 'line\nbreak "and" \\', "日本語のテキスト"]
MANY = [f"text {number}, {'and more ' * (number % 5)}" for number in range(300)]
ROLES = ("query", "document", "classification", "clustering", "similarity")

EVERY = pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES)
TAKES_IDS = [wire for wire in WIRES.values() if wire.token_ids]
SPEAKS_BASE64 = [wire for wire in WIRES.values() if wire.base64]


def named(wires: Sequence[Wire]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("wire", wires, ids=[wire.name for wire in wires])


# ── the house and its neighbours ──────────────────────────────────────────────────────────────────────────────────


def routes(wire: Wire, base_url: str) -> dict[str, Any]:
    """A route of the wire's name, and those that differ from it by one fact of their target."""
    target = {
        "provider": wire.provider,
        "model": wire.model,
        "base_url": base_url,
        "api_key": wire.key,
        "base64": False,
        "token_ids": False,
        **wire.configured,
    }
    variants: dict[str, dict[str, Any]] = {"": {}, "/wrong-key": {"api_key": f"{wire.key}-wrong"}}
    if wire.base64:
        variants["/base64"] = {"base64": True}
    if wire.token_ids:
        variants["/ids"] = {"token_ids": True}
    shorten = {"shorten": "native", "allowed": [*wire.lengths]} if wire.lengths else {"shorten": "never"}
    dimensions = {"native": wire.native, **shorten}
    return {
        f"{wire.name}{variant}": {"dimensions": dimensions, "targets": [{**target, **facts}]}
        for variant, facts in variants.items()
    }


@pytest.fixture(scope="module")
def running() -> Iterator[FakeProviders]:
    with FakeProviders() as fakes:
        yield fakes


@pytest.fixture(scope="module")
def house(running: FakeProviders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    models: dict[str, Any] = {}
    for wire in WIRES.values():
        models |= routes(wire, running.base_url(wire))
    lines = [f"{json.dumps(name)}: {json.dumps(model)}" for name, model in models.items()]
    with GatewayProcess(tmp_path_factory.mktemp("every-provider"), "\n".join(lines)) as process:
        yield process


@pytest.fixture
def fakes(running: FakeProviders) -> FakeProviders:
    running.clear()
    return running


@pytest.fixture(scope="module")
def client(house: GatewayProcess) -> Iterator[openai.OpenAI]:
    """No answer to it holds the key of any provider."""

    def look(answer: Any) -> None:
        assert "upstream-secret" not in f"{answer.headers}{answer.read().decode()}"

    with (
        openai.DefaultHttpxClient(event_hooks={"response": [look]}, trust_env=False, timeout=60) as http,
        openai.OpenAI(base_url=house.url, api_key=KEY, max_retries=0, http_client=http) as client,
    ):
        yield client


def exchanges(fakes: FakeProviders, wire: Wire) -> list[Exchange]:
    """What came to this wire. To no other came anything, and what came held nothing of the client's key."""
    assert set(fakes.exchanges) <= {wire.name}
    assert not any(KEY in exchange.raw for exchange in fakes.exchanges[wire.name])
    return fakes.exchanges[wire.name]


def expected(wire: Wire, texts: Sequence[str], dimensions: int | None = None, role: str | None = None) -> list[bytes]:
    """The vectors of these texts as little-endian float32 bytes."""
    asked = Asked([text.encode() for text in texts], dimensions, role or wire.default_role)
    return [vector.astype("<f4").tobytes() for vector in wire.vectors(asked)]


def received(answer: openai.types.CreateEmbeddingResponse) -> list[bytes]:
    """The vectors as the client has them: floats, or base64 where it asked for that itself."""
    return [_float32(item.embedding) for item in answer.data]


def _float32(embedding: Any) -> bytes:
    return base64.b64decode(embedding) if isinstance(embedding, str) else np.array(embedding, "<f4").tobytes()


# ── the inputs ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_provider_has_a_wire() -> None:
    """No remote provider goes untried."""
    remote = {name for name, provider in PROVIDERS.items() if isinstance(provider, Provider)}

    assert remote == {wire.provider for wire in WIRES.values()}


@EVERY
def test_one_input(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """One text is one call, and its vector comes back bit for bit."""
    answer = client.embeddings.create(model=wire.name, input=TEXTS[0])

    assert expected(wire, TEXTS[:1]) == received(answer)
    assert 1 == len(exchanges(fakes, wire))


@EVERY
def test_300_inputs(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """More inputs than a call may hold become the fewest calls that hold them, and come back in their order."""
    length = min((length for length in wire.lengths if length >= 64), default=wire.native)  # the shortest, to be quick
    answer = client.embeddings.create(model=wire.name, input=MANY, dimensions=length)

    calls = exchanges(fakes, wire)

    assert expected(wire, MANY, length) == received(answer)
    if wire.max_inputs is not None:
        assert math.ceil(len(MANY) / wire.max_inputs) == len(calls)


@named([wire for wire in WIRES.values() if wire.max_bytes or 0 < (wire.max_tokens or 0) < 300_000])
def test_large_inputs(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """Inputs that are too much for one call together are packed by what they hold, too."""
    number = wire.max_inputs or 100
    bytes_of_each = (wire.max_bytes or 3 * (wire.max_tokens or 0)) * 4 // 3 // number
    texts = [f"{place}{('x' + 79 * ' ') * (bytes_of_each // 80)}" for place in range(number)]  # few tokens, many bytes
    answer = client.embeddings.create(model=wire.name, input=texts)

    assert expected(wire, texts) == received(answer)
    assert len(exchanges(fakes, wire)) > 1


@EVERY
def test_token_ids_are_decoded(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A provider whose vocabulary is another, or unknown, gets the texts that the client's token ids stand for."""
    answer = client.embeddings.create(model=wire.name, input=[cl100k().encode(text) for text in TEXTS])

    assert expected(wire, TEXTS) == received(answer)


@named(TAKES_IDS)
def test_token_ids_pass(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A provider that is said to read the client's token ids gets them as they came."""
    ids = [cl100k().encode(text) for text in TEXTS]
    answer = client.embeddings.create(model=f"{wire.name}/ids", input=ids)

    (call,) = exchanges(fakes, wire)

    assert expected(wire, TEXTS) == received(answer)
    assert ids in call.arrived.body.values()


# ── the vectors ───────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_encodings(client: openai.OpenAI, fakes: FakeProviders, wire: Wire, encoding: Any) -> None:
    """The client gets the encoding that it asked for, from an upstream that answers with decimal numbers."""
    answer = client.embeddings.create(model=wire.name, input=TEXTS[:2], encoding_format=encoding)

    assert expected(wire, TEXTS[:2]) == received(answer)
    assert not any(call.asked is None or call.asked.base64 for call in exchanges(fakes, wire))


@named(SPEAKS_BASE64)
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_base64_upstream(client: openai.OpenAI, fakes: FakeProviders, wire: Wire, encoding: Any) -> None:
    """An upstream that is said to speak base64 is asked for it, whatever the client wants."""
    answer = client.embeddings.create(model=f"{wire.name}/base64", input=TEXTS[:2], encoding_format=encoding)

    assert expected(wire, TEXTS[:2]) == received(answer)
    assert all(call.asked is not None and call.asked.base64 for call in exchanges(fakes, wire))


@EVERY
def test_dimensions(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A length that the provider can be asked for is its own to make; the native one is not asked for."""
    for length in wire.lengths:
        answer = client.embeddings.create(model=wire.name, input=TEXTS[:2], dimensions=length)

        assert expected(wire, TEXTS[:2], length) == received(answer)

    fakes.clear()
    answer = client.embeddings.create(model=wire.name, input=TEXTS[:2], dimensions=wire.native)

    assert expected(wire, TEXTS[:2]) == received(answer)
    assert all(call.asked is not None and call.asked.dimensions is None for call in exchanges(fakes, wire))


@EVERY
def test_other_dimensions(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A length that the model cannot have is refused before any call, with those that it can have."""
    with pytest.raises(openai.BadRequestError, match=rf"\b{wire.native}\b") as caught:
        client.embeddings.create(model=wire.name, input=TEXTS, dimensions=wire.native - 1)

    assert "dimensions" == caught.value.param
    assert [] == exchanges(fakes, wire)


@pytest.mark.parametrize("role", ROLES)
@named([wire for wire in WIRES.values() if wire.roles])
def test_input_type(client: openai.OpenAI, fakes: FakeProviders, wire: Wire, role: str) -> None:
    """An input type reaches the provider in its own word; one that it lacks is refused before any call."""
    if role not in wire.roles:
        with pytest.raises(openai.BadRequestError, match=f"it has no `{role}`"):
            client.embeddings.create(model=wire.name, input=TEXTS, extra_body={"input_type": role})
        assert [] == exchanges(fakes, wire)
        return

    answer = client.embeddings.create(model=wire.name, input=TEXTS, extra_body={"input_type": role})

    assert expected(wire, TEXTS, role=wire.roles[role]) == received(answer)


@named([wire for wire in WIRES.values() if not wire.roles])
def test_ignored_input_type(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A provider that tells no roles apart is told none, and the client that names one is served all the same."""
    answer = client.embeddings.create(model=wire.name, input=TEXTS, extra_body={"input_type": "query"})

    assert expected(wire, TEXTS) == received(answer)


# ── further fields ────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_extra_body(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """Fields that a provider documents and that do no harm arrive at the top of its body."""
    answer = client.embeddings.create(model=wire.name, input=TEXTS[0], extra_body=dict(wire.extra))

    (call,) = exchanges(fakes, wire)

    assert expected(wire, TEXTS[:1], role=wire.extra.get("prompt_name")) == received(answer)
    assert wire.extra == {name: call.arrived.body[name] for name in wire.extra}


@EVERY
def test_user(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """The end user's id reaches a provider that documents it, and no other."""
    client.embeddings.create(model=wire.name, input=TEXTS[0], user="user-1")

    (call,) = exchanges(fakes, wire)

    assert ("user-1" if "user" in wire.optional else None) == call.arrived.body.get("user")


@EVERY
def test_unknown_extra_body(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A field that nobody knows is the provider's to refuse, and its words reach the client in a 400."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=wire.name, input=TEXTS[0], extra_body={"no_such_field": {"a": 1}})

    (call,) = exchanges(fakes, wire)

    assert {"a": 1} == call.arrived.body["no_such_field"]
    assert call.sent.words.strip()
    assert call.sent.words.strip() in caught.value.message


@EVERY
def test_owned_fields(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """Every other documented field decides which vectors come back: a client that sets it is refused by its name."""
    for name in {*wire.required, *wire.optional} - set(wire.extra):
        with pytest.raises(openai.BadRequestError, match=f"`{name}`") as caught:
            client.embeddings.create(model=wire.name, input=TEXTS[0], extra_body={"extra_body": {name: "x"}})

        assert name == caught.value.param

    assert [] == exchanges(fakes, wire)


# ── what it costs, and who pays ───────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_usage(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """Usage is the sum of what the provider billed; where it tells none, an estimate that says so, and never zero."""
    raw = client.embeddings.with_raw_response.create(model=wire.name, input=TEXTS)
    usage, source = raw.parse().usage, raw.headers["x-embedding-usage"]
    billed = sum(call.asked.tokens for call in exchanges(fakes, wire) if call.asked is not None)

    assert wire.reports_usage is (source == "reported")
    assert 0 < usage.prompt_tokens == usage.total_tokens
    assert billed == usage.prompt_tokens or not wire.reports_usage


@EVERY
def test_wrong_key(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A key that the provider refuses is the operator's fault: the client sees a 502, and nothing of the key."""
    with pytest.raises(openai.InternalServerError) as caught:
        client.embeddings.create(model=f"{wire.name}/wrong-key", input=TEXTS[0])

    (call,) = exchanges(fakes, wire)

    assert (None, 502) == (call.asked, caught.value.status_code)


@EVERY
def test_headers(client: openai.OpenAI, fakes: FakeProviders, wire: Wire) -> None:
    """A provider gets the headers that it asks for, those of its format, and nothing of the client's."""
    secrets = {"x-secret": "s", "cookie": "c=1", "openai-organization": "org-client", "x-request-id": "client-1"}
    client.embeddings.create(model=wire.name, input=TEXTS[0], extra_headers=secrets)

    (call,) = exchanges(fakes, wire)

    own = {"host", "user-agent", "accept", "accept-encoding", "content-type", "content-length"}

    assert {*own, wire.key_header, *wire.headers} == set(call.arrived.headers)
