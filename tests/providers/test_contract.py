"""One contract that every remote provider keeps, whatever its wire."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from gateway import contract
from providers import PROVIDERS, codec
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, InputType, Provider, Response
from tests.fakes.backends import vector
from tests.providers.samples import SAMPLES, SHAPED, Wire

KEY = "key-of-the-target-0123456789"
SECRET = "a text that nobody else may see"
HTML = b"<!DOCTYPE html>\n<html><head><title>503</title></head><body><h1>nginx</h1></body></html>"

REMOTE: Mapping[str, Provider] = {
    name: provider for name, provider in PROVIDERS.items() if isinstance(provider, Provider)
}
NAMES = sorted(REMOTE)
INDEXED = sorted(SHAPED)
BASE64 = [name for name in INDEXED if REMOTE[name].base64]
EVERY = pytest.mark.parametrize("name", NAMES)
VECTORS: Sequence[Wire] = [[0.5, -0.5], [0.25, 0.75], [1.0, 0.125]]
INSIDE = [vector(0.5, -0.5), vector(0.25, 0.75), vector(1.0, 0.125)]


def inside(name: str) -> list[bytes]:
    return contract.unit_length(INSIDE) if SAMPLES[name].unit_length else INSIDE


def size(name: str) -> int:
    """How many inputs the calls to a provider have here."""
    return min(len(VECTORS), REMOTE[name].limits.inputs or len(VECTORS))


def endpoint(name: str, **fields: Any) -> Endpoint:
    base_url = REMOTE[name].base_url or ""
    return Endpoint(**{"base_url": base_url, **SAMPLES[name].endpoint, **fields})


def least(name: str, **fields: Any) -> EmbedCall:
    """The call with nothing that it could do without."""
    role: InputType | None = "document" if REMOTE[name].needs_role else None
    return EmbedCall("m", ["one", "two", "three"][: size(name)], input_type=role, **fields)


def calls(name: str) -> Iterator[EmbedCall]:
    """Calls with all that the provider says it takes, one for each of its roles."""
    provider = REMOTE[name]
    for role in (None, *sorted(provider.roles)):
        dimensions = 256 if provider.shortens else None
        yield EmbedCall("m", ["one", "two", "three"][: size(name)], dimensions, role, user="u-1")


def body(name: str, call: EmbedCall, **fields: Any) -> dict[str, Any]:
    request = REMOTE[name].build_request(call, endpoint(name, **fields))
    sent = json.loads(request.body)
    assert isinstance(sent, dict)
    return sent


def response(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Response(status, headers or {}, raw)


def answer(name: str, tokens: int | None = 5, vectors: Sequence[Wire] | None = None) -> Response:
    sample = SAMPLES[name]
    headers = {} if sample.usage_header is None or tokens is None else {sample.usage_header: str(tokens)}
    return response(sample.answer(VECTORS[: size(name)] if vectors is None else vectors, tokens), 200, headers)


def judged(name: str, given: Response) -> list[bytes] | Fault:
    """What the gateway makes of an answer."""
    found = REMOTE[name].parse_response(given)
    return found if isinstance(found, Fault) else contract.check(found, size(name), 2)


def kind(name: str, given: Response) -> FaultKind | None:
    found = judged(name, given)
    return found.kind if isinstance(found, Fault) else None


def fault(name: str, payload: object, status: int, headers: Mapping[str, str] | None = None) -> Fault:
    return REMOTE[name].parse_error(response(payload, status, headers))


def test_every_provider_has_a_sample() -> None:
    """No remote provider escapes the contract."""
    assert NAMES == sorted(SAMPLES)


@EVERY
def test_name(name: str) -> None:
    """A provider is found by its own name."""
    assert name == REMOTE[name].name


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_same_request_twice(name: str) -> None:
    """Building a request twice gives the same request."""
    build = REMOTE[name].build_request
    where = endpoint(name, api_key=KEY, headers={"X-Team": "search"}, extra_body={"zone": {"a": 1}})

    assert [build(call, where) for call in calls(name)] == [build(call, where) for call in calls(name)]


@EVERY
def test_only_documented_fields(name: str) -> None:
    """Nothing is sent that the provider does not document, and base64 is asked for where it says that it is good."""
    sent = {key for call in calls(name) for key in body(name, call, base64=REMOTE[name].base64)}

    assert set() == sent - SAMPLES[name].documented


@EVERY
def test_no_roles_by_themselves(name: str) -> None:
    """A call without an input type sends as much as one with it, but for the role."""
    bare, *others = calls(name)

    assert [set()] * len(others) == [set(body(name, bare)) - set(body(name, other)) for other in others]


SWITCHES = {"truncate", "truncation", "autoTruncate", "truncationMode"}


def switches(value: Any) -> set[Any]:
    """Every value of a switch against cutting, wherever in a body."""
    if isinstance(value, list):
        return set().union(*map(switches, value))
    if not isinstance(value, dict):
        return set()
    return {value[name] for name in SWITCHES & set(value)}.union(*map(switches, value.values()))


@EVERY
def test_switch_against_cutting(name: str) -> None:
    """Every call tells a provider not to cut what is too long, where it obeys, and none where it knows no such word."""
    obeys = REMOTE[name].overlong == "obeys"
    sent = [switches(body(name, call)) for call in calls(name)]

    assert all((len(found) == 1 and found <= {False, "NONE"}) if obeys else not found for found in sent)


@EVERY
@pytest.mark.parametrize("layer", ["target", "client"])
def test_no_null(name: str, layer: str) -> None:
    """No null is sent, whoever set it."""
    nulls = {"seed": None, "zone": {"a": None}}
    call = least(name, extra=nulls if layer == "client" else {})
    request = REMOTE[name].build_request(call, endpoint(name, extra_body=nulls if layer == "target" else {}))

    assert b"null" not in request.body


@EVERY
def test_all_that_it_builds_is_owned(name: str) -> None:
    """A client may set no field that the adapter itself builds."""
    built = {key for call in calls(name) for key in body(name, call, base64=True)}

    assert set() == built - REMOTE[name].owned


@EVERY
@pytest.mark.parametrize("layer", ["target", "client"])
def test_further_fields(name: str, layer: str) -> None:
    """Further fields are sent beside the adapter's own, which win."""
    own = body(name, least(name))
    further = {**dict.fromkeys(own, "another"), "seed": 7}
    call = least(name, extra=further if layer == "client" else {})

    assert {**own, "seed": 7} == body(name, call, extra_body=further if layer == "target" else {})


@EVERY
def test_client_over_target(name: str) -> None:
    """A client's further field wins over a target's."""
    assert 2 == body(name, least(name, extra={"seed": 2}), extra_body={"seed": 1})["seed"]


@EVERY
def test_key_only_in_headers(name: str) -> None:
    """The key is in exactly one header, nowhere else in the request."""
    request = REMOTE[name].build_request(least(name), endpoint(name, api_key=KEY))
    holding = [header for header, value in request.headers.items() if KEY in value]

    assert (1, False) == (len(holding), KEY in f"{request.url} {request.body!r}")


@EVERY
def test_no_key(name: str) -> None:
    """A target without a key sends no credentials."""
    request = REMOTE[name].build_request(least(name), endpoint(name))

    assert {"content-type": "application/json", "accept": "application/json"} == request.headers


@EVERY
def test_nothing_secret_is_shown(name: str) -> None:
    """Neither key nor text is in what a log line could show of an exchange."""
    where = endpoint(name, api_key=KEY)
    call = EmbedCall("m", [SECRET], input_type=least(name).input_type, user=SECRET)
    request = REMOTE[name].build_request(call, where)
    failure = fault(name, SAMPLES[name].error(f"{SECRET} {KEY}"), 400)
    shown = repr((where, call, request, answer(name), failure, REMOTE[name].parse_response(answer(name))))

    assert [] == [word for word in (KEY, SECRET, "0.125") if word in shown]


@EVERY
def test_address(name: str) -> None:
    """The address is one that can be called, without double slashes or gaps."""
    url = REMOTE[name].build_request(least(name), endpoint(name)).url

    assert ("http", "") == (url[:4], "".join(part for part in ("//", "{", "}", " ") if part in url.split("://", 1)[1]))


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
def test_vectors(name: str) -> None:
    """An answer's vectors are read in the order of the inputs."""
    assert inside(name)[: size(name)] == judged(name, answer(name))


@pytest.mark.parametrize("name", BASE64)
def test_base64(name: str) -> None:
    """Vectors behind base64 are those behind numbers."""
    texts = [codec.vector_to_base64(one).decode() for one in INSIDE]

    assert INSIDE == judged(name, answer(name, vectors=texts))


@pytest.mark.parametrize("name", INDEXED)
def test_order_is_restored(name: str) -> None:
    """Where the wire has indexes, they tell the order."""
    payload = SAMPLES[name].answer(VECTORS, 5)
    payload["data"] = [payload["data"][place] for place in (2, 0, 1)]

    assert inside(name) == judged(name, response(payload))


@pytest.mark.parametrize("name", INDEXED)
def test_duplicate_index(name: str) -> None:
    """Two vectors for one input are a breach, even from a relay that numbers all of them 0."""
    payload = SAMPLES[name].answer(VECTORS, 5)
    for item in payload["data"]:
        item["index"] = 0

    assert FaultKind.MALFORMED is kind(name, response(payload))


@EVERY
def test_usage(name: str) -> None:
    """Tokens are those that the provider tells, where what it tells can be trusted."""
    found = REMOTE[name].parse_response(answer(name, 5))
    expected = 5 if SAMPLES[name].tells_usage else None

    assert isinstance(found, Embeddings)
    assert expected == found.prompt_tokens


@EVERY
@pytest.mark.parametrize("tokens", [None, 0])
def test_usage_not_told(name: str, tokens: int | None) -> None:
    """Tokens that are missing or zero are not told, and never a number."""
    found = REMOTE[name].parse_response(answer(name, tokens))

    assert isinstance(found, Embeddings)
    assert found.prompt_tokens is None


BAD_BODIES: Mapping[str, Callable[[str], bytes]] = {
    "empty": lambda name: b"",
    "cut": lambda name: answer(name).body[:-2],
    "html": lambda name: HTML,
    "null": lambda name: b"null",
    "object": lambda name: b"{}",
    "error": lambda name: json.dumps(SAMPLES[name].error(SECRET)).encode(),
    "one too few": lambda name: answer(name, vectors=VECTORS[: size(name) - 1]).body,
    "one too many": lambda name: answer(name, vectors=[*VECTORS[: size(name)], [0.5, 0.5]]).body,
    "one too long": lambda name: answer(name, vectors=[[0.5, 0.5, 0.5], *VECTORS[1 : size(name)]]).body,
    "not finite": lambda name: answer(name, vectors=[[math.nan, 0.5], *VECTORS[1 : size(name)]]).body,
    "zeros": lambda name: answer(name, vectors=[[0.0, 0.0], *VECTORS[1 : size(name)]]).body,
    "text": lambda name: answer(name, vectors=["no vector!", *VECTORS[1 : size(name)]]).body,
}


@EVERY
@pytest.mark.parametrize("bad", BAD_BODIES)
def test_bad_answer(name: str, bad: str) -> None:
    """An answer that is not exactly the vectors asked for is malformed, and gives none."""
    assert FaultKind.MALFORMED is kind(name, response(BAD_BODIES[bad](name)))


@pytest.mark.parametrize("name", BASE64)
def test_not_finite_behind_base64(name: str) -> None:
    """What is not finite is found behind base64 as well."""
    texts = [codec.vector_to_base64(vector(math.nan, 0.5)).decode(), *VECTORS[1:]]

    assert FaultKind.MALFORMED is kind(name, answer(name, vectors=texts))


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────


@EVERY
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, FaultKind.MISCONFIGURED),
        (400, FaultKind.REJECTED),
        (401, FaultKind.MISCONFIGURED),
        (402, FaultKind.EXHAUSTED),
        (403, FaultKind.MISCONFIGURED),
        (404, FaultKind.MISCONFIGURED),
        (413, FaultKind.REJECTED),
        (422, FaultKind.REJECTED),
        (429, FaultKind.THROTTLED),
        (500, FaultKind.BROKEN),
        (502, FaultKind.OVERLOADED),
        (503, FaultKind.OVERLOADED),
        (504, FaultKind.OVERLOADED),
        (529, FaultKind.OVERLOADED),
    ],
)
def test_status(name: str, status: int, expected: FaultKind) -> None:
    """A status has its kind of fault, and the message is found in the provider's own shape."""
    assert Fault(expected, "No.", status, divisible=status == 413) == fault(name, SAMPLES[name].error("No."), status)


@EVERY
@pytest.mark.parametrize("payload", [HTML, b"", b'{"error": {"mess', b"null", b"[]", b"\xff\xfe"], ids=str)
def test_no_words(name: str, payload: bytes) -> None:
    """A page, or half an object, is told by its status alone."""
    assert Fault(FaultKind.OVERLOADED, "", 503) == fault(name, payload, 503)


@EVERY
@pytest.mark.parametrize("headers", [{"retry-after": "7"}, {"retry-after-ms": "7000", "retry-after": "1"}], ids=str)
def test_wait(name: str, headers: dict[str, str]) -> None:
    """The wait that a throttling provider asks for is read from its headers."""
    assert 7.0 == fault(name, SAMPLES[name].error("Slow."), 429, headers).retry_after
