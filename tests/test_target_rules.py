"""The targets of a model become their configurations."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

from gateway import target_rules
from gateway.config import TargetConfig
from gateway.document import Document
from gateway.model_shape import CatalogFacts, ModelShape
from gateway.reading import Reading
from providers.base import Limits

PUBLIC = "https://api.openai.com/v1"
CL100K = CatalogFacts(tokenizer="cl100k_base")
KEY_WORDS = "is empty, or holds blanks or characters that no key has"
PROXY = "http://proxy:3128"


def resolve(
    *targets: dict[str, Any],
    folder: pathlib.Path = pathlib.Path("/etc/gateway"),
    environ: Mapping[str, str] | None = None,
    facts: CatalogFacts | None = None,
    client_tokens: str = "cl100k_base",
    prompts: Mapping[str, str] | None = None,
) -> tuple[Reading, tuple[TargetConfig, ...]]:
    reading = Reading(Document(), folder, environ or {})
    keys = {"targets": list(targets), "client_tokens": client_tokens, "prompts": prompts or {}}
    shape = ModelShape.model_validate(keys)
    return reading, target_rules.resolve(reading, "m", shape, [facts] * len(targets), ("models", "m"))


def target(
    folder: pathlib.Path = pathlib.Path("/etc/gateway"),
    environ: Mapping[str, str] | None = None,
    facts: CatalogFacts | None = None,
    client_tokens: str = "cl100k_base",
    **keys: object,
) -> TargetConfig:
    """The only target, which is right."""
    given = {"provider": "openai"} | keys
    reading, [made] = resolve(given, folder=folder, environ=environ, facts=facts, client_tokens=client_tokens)
    assert not reading.document.problems
    return made


def problems(
    *targets: dict[str, Any],
    folder: pathlib.Path = pathlib.Path("/etc/gateway"),
    environ: Mapping[str, str] | None = None,
) -> list[tuple[str, str]]:
    reading, _ = resolve(*({"provider": "openai"} | keys for keys in targets), folder=folder, environ=environ)
    return [(problem.place.removeprefix("models.m."), problem.message) for problem in reading.document.problems]


# ── plain values ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("name", "openai-0"),
        ("provider", "openai"),
        ("model", "m"),
        ("path", None),
        ("base_url", PUBLIC),
        ("api_key", None),
        ("headers", {}),
        ("extra_body", {}),
        ("proxy", None),
        ("ca_file", None),
        ("weight", 1.0),
        ("priority", 0),
        ("max_concurrency", 64),
        ("timeout", None),
        ("api_version", None),
        ("region", None),
        ("project", None),
        ("limits", Limits(inputs=2048, request_tokens=300_000)),
        ("counts_alike", False),
        ("takes_role", True),
        ("base64", True),
        ("token_ids", False),
    ],
)
def test_defaults(key: str, expected: object) -> None:
    """What a target leaves out has the default that the schema names."""
    actual = getattr(target(), key)

    assert expected == actual


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("name", "azure-west", "azure-west"),
        ("model", "bge", "bge"),
        ("base_url", "http://h:1/v1/", "http://h:1/v1/"),
        ("api_key", "sk-1", "sk-1"),
        ("api_key", "00123", "00123"),
        ("headers", {"X-Team": "search"}, {"X-Team": "search"}),
        ("extra_body", {"a": {"b": [1]}}, {"a": {"b": [1]}}),
        ("weight", 3, 3.0),
        ("priority", -1, -1),
        ("max_concurrency", 1, 1),
        ("timeout", "500ms", 0.5),
        ("api_version", "2024-10-21", "2024-10-21"),
        ("region", "westeurope", "westeurope"),
        ("project", "p-1", "p-1"),
    ],
)
def test_given(key: str, given: Any, expected: object) -> None:
    """What a target says arrives."""
    actual = getattr(target(**{key: given}), key)

    assert expected == actual


def test_names() -> None:
    """A target without a name is called by its provider with its position."""
    _, made = resolve({"provider": "openai"}, {"provider": "openai", "name": "x"}, {"provider": "openai"})

    assert ["openai-0", "x", "openai-2"] == [one.name for one in made]


@pytest.mark.parametrize("names", [["x", "x"], ["openai-1", None]])
def test_equal_names(names: list[str | None]) -> None:
    """Two targets of a route with one name are refused at the second."""
    actual = problems(*({"name": name} for name in names))

    assert [("targets[1].name", "another target of this route has this name")] == actual


@pytest.mark.parametrize("key", ["model", "input", "encoding_format", "dimensions", "user"])
def test_fields_of_the_gateway(key: str) -> None:
    """A field of the upstream body that the gateway sets is refused in `extra_body`."""
    actual = problems({"extra_body": {key: 1, "truncate": True}})

    assert [(f"targets[0].extra_body.{key}", "the gateway itself sets this field")] == actual


# ── local models ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("provider", "path", "expected"),
    [
        ("static", "wordllama", "wordllama"),
        ("static", "models/x", "/etc/gateway/models/x"),
        ("static", "/models/x", "/models/x"),
        ("onnx", "models/x", "/etc/gateway/models/x"),
        ("onnx", "wordllama", "/etc/gateway/wordllama"),
    ],
)
def test_path(provider: str, path: str, expected: str) -> None:
    """A local model's folder starts at the routing file's; `wordllama` is no folder, but a static model's name."""
    actual = target(provider=provider, path=path).path

    assert expected == actual


@pytest.mark.parametrize("key", ["base_url", "proxy", "api_key"])
def test_local_models_have_no_address(key: str) -> None:
    """A local model is reached over no network, whatever the environment's proxies."""
    actual = getattr(target(provider="static", path="wordllama", environ={"ALL_PROXY": PROXY}), key)

    assert actual is None


@pytest.mark.parametrize("key", ["base64", "token_ids"])
def test_local_models_have_no_wire(key: str) -> None:
    """A local model answers vectors as they are for texts as they are."""
    actual = getattr(target(provider="static", path="wordllama", facts=CL100K), key)

    assert actual is False


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"provider": "static"}, "targets[0]"),
        ({"provider": "openai", "path": "wordllama"}, "targets[0].path"),
        ({"provider": "static", "path": "x", "base_url": "http://h"}, "targets[0].base_url"),
        ({"provider": "static", "path": "x", "api_key": "k"}, "targets[0].api_key"),
        ({"provider": "static", "path": "x", "headers": {"a": "b"}}, "targets[0].headers"),
        ({"provider": "static", "path": "x", "extra_body": {"a": "b"}}, "targets[0].extra_body"),
        ({"provider": "static", "path": "x", "proxy": PROXY}, "targets[0].proxy"),
        ({"provider": "static", "path": "x", "base64": True}, "targets[0].base64"),
        ({"provider": "static", "path": "x", "token_ids": True}, "targets[0].token_ids"),
        ({"provider": "static", "path": "x", "batch": {"inputs": 1}}, "targets[0].batch"),
        ({"provider": "static", "path": "x", "api_version": "1"}, "targets[0].api_version"),
        ({"provider": "static", "path": "x", "region": "eu"}, "targets[0].region"),
        ({"provider": "static", "path": "x", "project": "p"}, "targets[0].project"),
        ({"provider": "onnx", "path": "x", "base_url": "http://h"}, "targets[0].base_url"),
        ({"provider": "onnx", "path": "x", "max_concurrency": 64}, "targets[0].max_concurrency"),
        ({"provider": "fastembed"}, "targets[0]"),
    ],
)
def test_keys_of_the_other_kind(keys: dict[str, Any], place: str) -> None:
    """A key that means nothing to this kind of backend is refused, as is the lack of one that it needs."""
    actual = [where for where, _ in problems(keys)]

    assert [place] == actual


def test_no_token_ids() -> None:
    """A provider that takes no token ids is not asked to."""
    textual = {"provider": "voyage"}
    actual = problems(textual, {**textual, "token_ids": True}, {**textual, "token_ids": False})

    assert [("targets[1].token_ids", "this provider takes no token ids")] == actual


# ── credentials ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [b"sk-1", b"sk-1\n", b"  sk-1\r\n\n"])
def test_key_file(tmp_path: pathlib.Path, content: bytes) -> None:
    """A key in a file beside the routing file is read without the blanks around it."""
    (tmp_path / "key").write_bytes(content)
    actual = target(folder=tmp_path, api_key_file="key").api_key

    assert "sk-1" == actual


def test_key_file_elsewhere(tmp_path: pathlib.Path) -> None:
    """A key file may have an absolute path."""
    (tmp_path / "key").write_text("sk-1")
    actual = target(api_key_file=str(tmp_path / "key")).api_key

    assert "sk-1" == actual


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", KEY_WORDS),
        (b" \n", KEY_WORDS),
        (b"sk 1", KEY_WORDS),
        (b"sk-1\nsk-2", KEY_WORDS),
        ("\ufeffsk-1".encode(), KEY_WORDS),
        ("schlüssel".encode(), KEY_WORDS),
        ("schlüssel".encode("latin-1"), "is not UTF-8 text"),
    ],
)
def test_bad_key_file(tmp_path: pathlib.Path, content: bytes | None, message: str) -> None:
    """A file that holds no key is refused."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    actual = problems({"api_key_file": "key"}, folder=tmp_path)

    assert [("targets[0].api_key_file", message)] == actual


@pytest.mark.parametrize("key", ["", " ", "sk 1", "sk-1\n", "schlüssel", "sk\x00"])
def test_bad_key(key: str) -> None:
    """A text that cannot be a key is refused."""
    actual = problems({"api_key": key})

    assert [("targets[0].api_key", KEY_WORDS)] == actual


def test_two_keys(tmp_path: pathlib.Path) -> None:
    """A key beside a key file is refused."""
    (tmp_path / "key").write_text("sk-1")
    actual = problems({"api_key": "sk-2", "api_key_file": "key"}, folder=tmp_path)

    assert [("targets[0].api_key_file", "stands beside `api_key`; give one of them")] == actual


def test_certificates(tmp_path: pathlib.Path) -> None:
    """A file of certificates starts at the routing file's folder."""
    (tmp_path / "ca.pem").write_text("")
    actual = target(folder=tmp_path, ca_file="ca.pem").ca_file

    assert str(tmp_path / "ca.pem") == actual


@pytest.mark.parametrize("name", ["missing.pem", "", ".", "a\0b"])
def test_missing_certificates(tmp_path: pathlib.Path, name: str) -> None:
    """A file of certificates that is not there is refused."""
    actual = problems({"ca_file": name}, folder=tmp_path)

    assert [("targets[0].ca_file", "there is no such file")] == actual


@pytest.mark.parametrize(
    "keys",
    [
        {"api_key": "S3cret"},
        {"proxy": "http://user:S3cret@proxy:3128"},
        {"headers": {"Authorization": "S3cret"}},
        {"extra_body": {"token": "S3cret"}},
        {"environ": {"HTTPS_PROXY": "http://user:S3cret@proxy:3128"}},
    ],
)
def test_secrets_hide(keys: dict[str, Any]) -> None:
    """A target does not show its secrets."""
    environ = keys.pop("environ", None)
    made = target(environ=environ if isinstance(environ, dict) else None, **keys)

    assert "S3cret" not in f"{made!r} {made}"


# ── where the service lives ───────────────────────────────────────────────────────────────────────────────────────

TITAN: dict[str, Any] = {"provider": "bedrock-titan"}
VERTEX = {"provider": "vertex"}
WATSONX = {"provider": "watsonx"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (TITAN | {"region": "eu-west-1"}, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        (TITAN | {"region": "eu-west-1", "base_url": "https://vpce.h"}, "https://vpce.h"),
        (TITAN | {"region": "eu-west-1", "base_url": "https://b.{region}.h/x"}, "https://b.eu-west-1.h/x"),
        (VERTEX | {"region": "europe-west4", "project": "p"}, "https://europe-west4-aiplatform.googleapis.com"),
        (WATSONX | {"region": "eu-de", "project": "p"}, "https://eu-de.ml.cloud.ibm.com"),
        (WATSONX | {"base_url": "https://cpd.h", "project": "p"}, "https://cpd.h"),
        ({"base_url": "https://{region}.h", "region": "eu"}, "https://eu.h"),
        ({"region": "eu"}, PUBLIC),
    ],
)
def test_region(keys: dict[str, Any], expected: str) -> None:
    """The region fills its place in the base URL."""
    actual = target(**keys).base_url

    assert expected == actual


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        (TITAN, "`region` is"),
        (TITAN | {"base_url": "https://vpce.h"}, "`region` is"),
        (VERTEX, "`project` and `region` are"),
        (VERTEX | {"region": "europe-west4"}, "`project` is"),
        (VERTEX | {"project": "p"}, "`region` is"),
        (WATSONX | {"base_url": "https://cpd.h"}, "`project` or `space_id` is"),
        (WATSONX | {"project": "p"}, "`region` is"),
        (WATSONX | {"space_id": "s"}, "`region` is"),
        ({"provider": "openai", "base_url": "https://{region}.h"}, "`region` is"),
    ],
)
def test_what_a_provider_needs(keys: dict[str, Any], missing: str) -> None:
    """What a provider cannot be reached without has to be there."""
    actual = problems(keys)

    assert [("targets[0]", f"{missing} missing: {keys['provider']} is not reached without")] == actual


def test_project_and_space() -> None:
    """Of two places that a call can belong to only one is given."""
    actual = problems(WATSONX | {"region": "us-south", "project": "p", "space_id": "s"})

    assert [("targets[0].space_id", "stands beside `project`; give one of them")] == actual


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"api_key": "pa-1"}, "https://api.voyageai.com/v1"),
        ({"api_key": "al-1"}, "https://ai.mongodb.com/v1"),
        ({"api_key": "al-1", "base_url": "http://10.1.2.3"}, "http://10.1.2.3"),
        ({}, "https://api.voyageai.com/v1"),
    ],
)
def test_address_of_a_key(keys: dict[str, Any], expected: str) -> None:
    """A key that belongs to another of the provider's addresses is sent there, unless the file names one."""
    assert expected == target(provider="voyage", **keys).base_url


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, False),
        ({"base_url": "http://127.0.0.1:8001"}, True),
        ({"provider": "gemini"}, True),
        ({"provider": "tei", "base_url": "http://127.0.0.1:8001"}, True),
        ({"provider": "tei-embed", "base_url": "http://127.0.0.1:8001"}, False),
        ({"provider": "together"}, True),
        ({"provider": "vllm", "base_url": "http://127.0.0.1:8001"}, False),
        ({"provider": "voyage", "base_url": "https://proxy.h/v1"}, False),
        ({"provider": "static", "path": "wordllama"}, False),
    ],
)
def test_may_cut(keys: dict[str, Any], expected: bool) -> None:
    """A target may cut unless its provider refuses what is too long: by a switch anywhere, by itself only at home."""
    assert expected is target(**keys).may_cut


@pytest.mark.parametrize("provider", ["azure", "tei", "databricks"])
def test_no_public_address(provider: str) -> None:
    """A provider without a public address needs a base URL."""
    actual = problems({"provider": provider})

    assert [("targets[0]", "`base_url` is missing: this provider has no public address")] == actual


def test_no_proxy_for_a_region() -> None:
    """NO_PROXY is asked for the host with its region."""
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": "bedrock-runtime.eu-west-1.amazonaws.com"}
    actual = target(**TITAN, region="eu-west-1", environ=environ).proxy

    assert actual is None


# ── how much one call holds ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("provider", ["bedrock-titan", "bedrock-nova", "vertex"])
def test_batches_of_one(provider: str) -> None:
    """A provider whose call holds one input alone cannot be sent more."""
    where = {"region": "eu-west-1", "project": "p", "api_key": "k"}
    [found] = problems({"provider": provider, **where, "batch": {"inputs": 5}})

    assert ("targets[0].batch.inputs", f"{provider} takes one input in a call, and no list") == found


BATCHED = CatalogFacts.model_validate({"batch": {"inputs": 25, "tokens": 500, "bytes": "4KiB"}})


@pytest.mark.parametrize(
    ("keys", "facts", "expected"),
    [
        ({}, None, Limits(inputs=2048, request_tokens=300_000)),
        ({}, CatalogFacts(), Limits(inputs=2048, request_tokens=300_000)),
        ({}, BATCHED, Limits(25, None, 500, 4096)),
        ({"batch": {"inputs": 32}}, None, Limits(inputs=32, request_tokens=300_000)),
        ({"batch": {"inputs": 32}}, BATCHED, Limits(32, None, 500, 4096)),
        ({"batch": {"inputs": 1, "tokens": 2, "bytes": "3KiB"}}, BATCHED, Limits(1, None, 2, 3072)),
        ({"batch": {"inputs": 5000}}, None, Limits(inputs=5000, request_tokens=300_000)),
        (TITAN | {"region": "eu-west-1"}, None, Limits(inputs=1)),
        ({"provider": "vllm", "base_url": "http://h"}, None, Limits()),
        ({"provider": "static", "path": "wordllama"}, None, Limits()),
    ],
)
def test_limits(keys: dict[str, Any], facts: CatalogFacts | None, expected: Limits) -> None:
    """Each limit of one call is the routing file's, else the model's, else the provider's."""
    actual = target(facts=facts, **keys).limits

    assert expected == actual


def test_limits_of_a_client() -> None:
    """What a client may send in one request limits no call."""
    facts = CatalogFacts.model_validate({"limits": {"inputs": 7, "input_tokens": 8, "request_tokens": 9}})
    actual = target(facts=facts).limits

    assert Limits(inputs=2048, request_tokens=300_000) == actual


@pytest.mark.parametrize(
    ("facts", "expected"),
    [(CL100K, True), (CatalogFacts(tokenizer="own"), False), (CatalogFacts(), False), (None, False)],
)
def test_counts_alike(facts: CatalogFacts | None, expected: bool) -> None:
    """A target counts as the gateway does where its model is known to."""
    actual = target(facts=facts).counts_alike

    assert expected is actual


# ── what the provider can do ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, True),
        ({"base_url": PUBLIC}, True),
        ({"base_url": "https://api.openai.com"}, True),
        ({"base_url": "https://API.openai.com:443/v1/"}, True),
        ({"base_url": "https://eu.api.openai.com/v1"}, False),
        ({"base_url": "http://127.0.0.1:8001"}, False),
        ({"base_url": "http://h/api.openai.com"}, False),
        ({"base64": False}, False),
        ({"base_url": "http://h", "base64": True}, True),
        ({"provider": "azure", "base_url": "https://x.openai.azure.com"}, True),
        ({"provider": "tei", "base_url": "http://127.0.0.1:8001"}, True),
        ({"provider": "lmstudio", "base_url": "http://127.0.0.1:1234"}, False),
        ({"provider": "voyage"}, True),
        ({"provider": "voyage", "base_url": "https://ai.mongodb.com/v1"}, True),
        ({"provider": "voyage", "base_url": "https://proxy.h/v1"}, False),
        ({"provider": "cohere"}, False),
        ({"provider": "cohere", "base64": True}, True),
    ],
)
def test_base64(keys: dict[str, Any], expected: bool) -> None:
    """Base64 is asked for where the provider is known to answer it, at its own address or on people's own servers."""
    actual = target(**keys).base64

    assert expected is actual


@pytest.mark.parametrize(
    ("facts", "client_tokens", "given", "expected"),
    [
        (CL100K, "cl100k_base", None, True),
        (CL100K, "reject", None, False),
        (CatalogFacts(tokenizer="o200k_base"), "cl100k_base", None, False),
        (CatalogFacts(), "cl100k_base", None, False),
        (None, "cl100k_base", None, False),
        (None, "cl100k_base", True, True),
        (CL100K, "cl100k_base", False, False),
    ],
)
def test_token_ids(facts: CatalogFacts | None, client_tokens: str, given: bool | None, expected: bool) -> None:
    """Token ids go to a target whose model is known to count in the clients' tokens, or that says so."""
    actual = target(facts=facts, client_tokens=client_tokens, token_ids=given).token_ids

    assert expected is actual


@pytest.mark.parametrize(
    ("provider", "prompts", "facts", "expected"),
    [
        ("voyage", {}, None, True),
        ("voyage", {"query": "q: {text}"}, None, False),
        ("openai", {"query": "q: {text}"}, None, False),
        ("cohere", {}, None, True),
        ("cohere", {"query": "q: {text}"}, None, True),
        ("nvidia", {"query": "q: {text}"}, CatalogFacts(input_types=[]), False),
    ],
)
def test_takes_role(provider: str, prompts: dict[str, str], facts: CatalogFacts | None, expected: bool) -> None:
    """A provider is not told what the prompts say already, unless it refuses a call without."""
    _, [made] = resolve({"provider": provider}, facts=facts, prompts=prompts)

    assert expected is made.takes_role


# ── proxies ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_own_proxy() -> None:
    """A target's own proxy comes before the environment's."""
    actual = target(proxy=PROXY, environ={"HTTPS_PROXY": "http://other", "NO_PROXY": "*"}).proxy

    assert PROXY == actual


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://h", {}, None),
        ("https://h", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://h", {"https_proxy": PROXY}, PROXY),
        ("https://h", {"ALL_PROXY": PROXY}, PROXY),
        ("https://h", {"all_proxy": PROXY}, PROXY),
        ("https://h", {"HTTP_PROXY": PROXY}, None),
        ("http://h", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://h", {"http_proxy": PROXY}, PROXY),
        ("http://h", {"HTTPS_PROXY": PROXY}, None),
        ("https://h", {"https_proxy": PROXY, "HTTPS_PROXY": "http://upper"}, PROXY),
        ("https://h", {"https_proxy": "", "HTTPS_PROXY": PROXY}, PROXY),
        ("https://h", {"HTTPS_PROXY": PROXY, "all_proxy": "http://all"}, PROXY),
        ("https://h", {"HTTPS_PROXY": "proxy:3128"}, PROXY),
        ("https://h", {"HTTPS_PROXY": ""}, None),
        ("https://h", {"HTTPS_PROXY": "http://u:p%40@proxy"}, "http://u:p%40@proxy"),
    ],
)
def test_environment_proxy(url: str, environ: dict[str, str], expected: str | None) -> None:
    """The environment's proxy for the URL's scheme is used, else the one for all."""
    actual = target(base_url=url, environ=environ).proxy

    assert expected == actual


def test_environment_proxy_of_the_public_address() -> None:
    """The environment's proxy is used for the provider's own address, too."""
    actual = target(environ={"HTTPS_PROXY": PROXY}).proxy

    assert PROXY == actual


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://h.example.com", "example.com", None),
        ("https://h.example.com", ".example.com", None),
        ("https://example.com", ".example.com", None),
        ("https://h.example.com", "h.example.com", None),
        ("https://H.Example.com", "EXAMPLE.com", None),
        ("https://h.example.com:8443", "example.com", None),
        ("https://h.example.com:8443", "h.example.com:8443", None),
        ("https://h.example.com", "a, example.com ,b", None),
        ("https://h.example.com", "*", None),
        ("https://h.example.com", "a,*", None),
        ("https://10.0.0.1:8000/v1", "10.0.0.1", None),
        ("https://[::1]:8000/v1", "::1", None),
        ("https://[::1]:8000/v1", "[::1]", None),
        ("https://[::1]:8000/v1", "[::1]:8000", None),
        ("https://example.com", "h.example.com", PROXY),
        ("https://badexample.com", "example.com", PROXY),
        ("https://example.com.evil", "example.com", PROXY),
        ("https://h.example.com", "", PROXY),
        ("https://h.example.com", ",, ,.,:", PROXY),
        ("https://h.", ",", PROXY),
        ("https://[::2]", "::1", PROXY),
        ("https://110.0.0.1", "10.0.0.1", PROXY),
    ],
)
def test_no_proxy(url: str, no_proxy: str, expected: str | None) -> None:
    """NO_PROXY lists hosts with their subdomains, which are reached directly."""
    actual = target(base_url=url, environ={"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}).proxy

    assert expected == actual


def test_lower_case_no_proxy() -> None:
    """The lower-case no_proxy wins."""
    actual = target(base_url="https://h", environ={"ALL_PROXY": PROXY, "no_proxy": "other", "NO_PROXY": "h"}).proxy

    assert PROXY == actual


@pytest.mark.parametrize("proxy", ["socks5://proxy:1080", "http://proxy:port", "http://user:p@ss@proxy", "http://"])
def test_environment_proxy_that_cannot_be_used(proxy: str) -> None:
    """An environment's proxy that cannot be used is a problem of the targets that it is for."""
    actual = problems({}, {"proxy": PROXY}, {"base_url": "http://h"}, environ={"https_proxy": proxy})

    assert [
        (
            "targets[0].proxy",
            "the environment's proxy for this target must be the http:// or https:// URL of a proxy; special "
            "characters in a password as %XX; or set NO_PROXY",
        )
    ] == actual
