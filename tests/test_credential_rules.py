"""What a target authorizes itself with: one key, or credentials of a kind that fits its provider."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest

from gateway import target_rules
from gateway.config import TargetConfig
from gateway.document import Document
from gateway.model_shape import ModelShape
from gateway.reading import Reading
from providers import PROVIDERS, token_grants
from providers.aws_signature import AwsKeys
from providers.base import EmbedCall, Endpoint, Provider
from tests.fakes.google_account import key_file

PLACES = {"region": "eu-west-1", "project": "p", "base_url": "https://h"}
GOOGLE = {"kind": "google", "service_account_file": "sa.json"}
IBM = {"kind": "ibm", "api_key": "key-1"}
ENTRA = {"kind": "entra", "tenant": "acme.com", "client_id": "app-1", "client_secret": "secret-1"}
AWS = {"kind": "aws", "access_key_id": "AKID", "secret_access_key": "secret-1"}
FITTING = {
    "azure": ENTRA,
    "vertex": GOOGLE,
    "vertex-embed-content": GOOGLE,
    "watsonx": IBM,
    "bedrock-titan-v1": AWS,
    "bedrock-titan": AWS,
    "bedrock-cohere": AWS,
    "bedrock-cohere-v4": AWS,
    "bedrock-nova": AWS,
}

UNFIT = "is empty, or holds blanks or characters that no key has"
NO_FILE = "cannot be read: No such file or directory"
TWICE = "stands beside `api_key`; give one of them"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """With all files that these targets name."""
    (tmp_path / "sa.json").write_text(key_file())
    (tmp_path / "secret").write_text("from-a-file\n")
    (tmp_path / "blank").write_text("a b")
    return tmp_path


def resolve(folder: pathlib.Path, provider: str, **keys: Any) -> tuple[Reading, TargetConfig]:
    environ = keys.pop("environ", {})
    reading = Reading(Document(), folder, environ)
    shape = ModelShape.model_validate({"targets": [{"provider": provider, **PLACES, **keys}]})
    [made] = target_rules.resolve(reading, "m", shape, [None], ())
    return reading, made


def target(folder: pathlib.Path, provider: str, **keys: Any) -> TargetConfig:
    reading, made = resolve(folder, provider, **keys)
    assert not reading.document.problems
    return made


def problems(folder: pathlib.Path, provider: str, **keys: Any) -> dict[str, str]:
    reading, _ = resolve(folder, provider, **keys)
    return {problem.place.removeprefix("targets[0]."): problem.message for problem in reading.document.problems}


# ── what is right ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_google(folder: pathlib.Path) -> None:
    """A service account is its key file."""
    assert token_grants.service_account(key_file()) == target(folder, "vertex", credentials=GOOGLE).credentials


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"api_key": "key-1"}, token_grants.ibm("key-1")),
        ({"api_key_file": "secret"}, token_grants.ibm("from-a-file")),
        ({"api_key": "k", "token_url": "https://iam.test/token"}, token_grants.ibm("k", "https://iam.test/token")),
    ],
)
def test_ibm(folder: pathlib.Path, keys: dict[str, str], expected: object) -> None:
    """IBM's key buys tokens at IBM's cloud, or where the file says."""
    assert expected == target(folder, "watsonx", credentials={"kind": "ibm", **keys}).credentials


@pytest.mark.parametrize(
    ("keys", "secret", "scope", "authority"),
    [
        (
            {"client_secret": "s"},
            "s",
            "https://cognitiveservices.azure.com/.default",
            "https://login.microsoftonline.com",
        ),
        (
            {"client_secret_file": "secret", "scope": "api://x/.default", "authority": "https://login.test"},
            "from-a-file",
            "api://x/.default",
            "https://login.test",
        ),
    ],
)
def test_entra(folder: pathlib.Path, keys: dict[str, str], secret: str, scope: str, authority: str) -> None:
    """An application's secret buys tokens for Azure's models at the public cloud, or what the file says."""
    given = {"kind": "entra", "tenant": "acme.com", "client_id": "app-1", **keys}
    expected = token_grants.entra("acme.com", "app-1", secret, scope, authority)

    assert expected == target(folder, "azure", credentials=given).credentials


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"secret_access_key": "s"}, AwsKeys("AKID", "s")),
        ({"secret_access_key_file": "secret"}, AwsKeys("AKID", "from-a-file")),
        ({"secret_access_key": "s", "session_token": "t"}, AwsKeys("AKID", "s", "t")),
        ({"secret_access_key": "s", "session_token_file": "secret"}, AwsKeys("AKID", "s", "from-a-file")),
    ],
)
def test_aws(folder: pathlib.Path, keys: dict[str, str], expected: object) -> None:
    """An access key of AWS may be lent for a time."""
    given = {"kind": "aws", "access_key_id": "AKID", **keys}

    assert expected == target(folder, "bedrock-titan", credentials=given).credentials


@pytest.mark.parametrize(
    ("keys", "environ", "expected"),
    [
        ({"proxy": "http://own:1"}, {"HTTPS_PROXY": "http://env:1"}, ("http://own:1", "http://own:1")),
        ({}, {"HTTPS_PROXY": "http://env:1"}, ("http://env:1", "http://env:1")),
        ({}, {"HTTPS_PROXY": "http://env:1", "NO_PROXY": "h"}, (None, "http://env:1")),
        ({}, {"HTTPS_PROXY": "http://env:1", "NO_PROXY": "iam.cloud.ibm.com"}, ("http://env:1", None)),
        ({}, {}, (None, None)),
    ],
)
def test_proxy(
    folder: pathlib.Path, keys: dict[str, str], environ: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    """The target's own proxy is the way to the token endpoint, too; the environment's is chosen for each address."""
    made = target(folder, "watsonx", credentials=IBM, environ=environ, **keys)

    assert expected == (made.proxy, made.token_proxy)


# ── what does not fit ─────────────────────────────────────────────────────────────────────────────────────────────


def test_fitting() -> None:
    """These providers take credentials that are no key, each of one kind."""
    expected = {name: {given["kind"]} for name, given in FITTING.items()}
    actual = {name: one.credentials for name, one in PROVIDERS.items() if isinstance(one, Provider) and one.credentials}

    assert expected == actual


@pytest.mark.parametrize("provider", FITTING)
@pytest.mark.parametrize("given", [GOOGLE, IBM, ENTRA, AWS], ids=lambda given: str(given["kind"]))
def test_kinds(folder: pathlib.Path, provider: str, given: dict[str, str]) -> None:
    """Credentials of another kind are refused with the providers that they are for."""
    fitting = ", ".join(f"`{name}`" for name in PROVIDERS if FITTING.get(name) == given)
    sentence = f"these are credentials for {fitting}, not for `{provider}`"
    expected = {} if FITTING[provider] == given else {"credentials.kind": sentence}

    assert expected == problems(folder, provider, credentials=given)


def test_provider_without_credentials(folder: pathlib.Path) -> None:
    """A provider that takes nothing but a key is told so."""
    sentence = "these are credentials for `watsonx`, not for `openai`"

    assert {"credentials.kind": sentence} == problems(folder, "openai", credentials=IBM)


def test_local_model(folder: pathlib.Path) -> None:
    """A local model needs none."""
    sentence = "only services have this; a local model is not called over a network"

    assert sentence == problems(folder, "static", path="wordllama", credentials=IBM)["credentials"]


@pytest.mark.parametrize("name", ["api_key", "api_key_file"])
def test_beside_a_key(folder: pathlib.Path, name: str) -> None:
    """A key beside credentials is refused."""
    found = problems(folder, "watsonx", credentials=IBM, **{name: "secret"})

    assert {name: "stands beside `credentials`; give one of them"} == found


@pytest.mark.parametrize(
    ("provider", "credentials", "keys", "header"),
    [
        ("openai", {}, {"api_key": "k"}, "Authorization"),
        ("openai", {}, {"api_key_file": "secret"}, "authorization"),
        ("azure", {}, {"api_key": "k"}, "API-Key"),
        ("gemini", {}, {"api_key": "k"}, "x-goog-api-key"),
        ("azure", {"credentials": ENTRA}, {}, "Authorization"),
    ],
)
def test_beside_a_header(
    folder: pathlib.Path, provider: str, credentials: dict[str, Any], keys: dict[str, str], header: str
) -> None:
    """A header that the key or the credentials would replace is refused."""
    given = next(iter(keys), "credentials")
    found = problems(folder, provider, headers={header: "Bearer x"}, **credentials, **keys)

    assert {f"headers.{header}": f"stands beside `{given}`, which sets this header; give one of them"} == found


@pytest.mark.parametrize(
    ("provider", "keys"),
    [("azure", {"api_key": "k"}), ("gemini", {"api_key": "k"}), ("openai", {}), ("azure", {})],
)
def test_another_header(folder: pathlib.Path, provider: str, keys: dict[str, str]) -> None:
    """A header that nothing replaces is sent."""
    made = target(folder, provider, headers={"Authorization": "Bearer x"}, **keys)

    assert {"Authorization": "Bearer x"} == made.headers


@pytest.mark.parametrize("name", [name for name, one in PROVIDERS.items() if isinstance(one, Provider)])
def test_key_header(name: str) -> None:
    """A provider's key goes out in the header that it names, and without a key there is no authorization."""
    provider = PROVIDERS[name]
    assert isinstance(provider, Provider)
    call = EmbedCall("m", ["a"], input_type="document" if provider.needs_role else None)
    with_key, without = (
        provider.build_request(call, Endpoint("https://h", key, region="r", project="p")).headers
        for key in ("the-key", None)
    )

    assert ("the-key" in with_key[provider.key_header], provider.key_header in without) == (True, False)
    assert "authorization" not in without


# ── what is wrong with it ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("provider", "given", "place", "sentence"),
    [
        ("watsonx", {"kind": "ibm"}, "", "`api_key` or `api_key_file` is missing"),
        ("azure", {**ENTRA, "client_secret": None}, "", "`client_secret` or `client_secret_file` is missing"),
        (
            "bedrock-nova",
            {"kind": "aws", "access_key_id": "AKID"},
            "",
            "`secret_access_key` or `secret_access_key_file` is missing",
        ),
        ("watsonx", {**IBM, "api_key_file": "secret"}, ".api_key_file", TWICE),
        ("watsonx", {**IBM, "api_key": "S3 cret"}, ".api_key", UNFIT),
        (
            "watsonx",
            {"kind": "ibm", "api_key_file": "blank"},
            ".api_key_file",
            UNFIT,
        ),
        ("azure", {**ENTRA, "client_secret": ""}, ".client_secret", UNFIT),
        ("bedrock-nova", {**AWS, "session_token": "é"}, ".session_token", UNFIT),
        ("watsonx", {"kind": "ibm", "api_key_file": "none"}, ".api_key_file", NO_FILE),
        ("vertex", {**GOOGLE, "service_account_file": "none"}, ".service_account_file", NO_FILE),
        ("vertex", {**GOOGLE, "service_account_file": "blank"}, ".service_account_file", "is not JSON"),
    ],
)
def test_problems(folder: pathlib.Path, provider: str, given: dict[str, Any], place: str, sentence: str) -> None:
    """What is missing, unfit or given twice is named with its place."""
    assert {f"credentials{place}": sentence} == problems(folder, provider, credentials=given)


def test_address_in_the_file(folder: pathlib.Path) -> None:
    """A service account's token endpoint has to be an address that can be called."""
    (folder / "sa.json").write_text(key_file(token_uri="ftp://x"))
    sentence = "its `token_uri` must be an http:// or https:// URL without credentials, query or fragment"

    assert {"credentials.service_account_file": sentence} == problems(folder, "vertex", credentials=GOOGLE)


def test_missing_extra(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without botocore nothing can be signed, and the configuration says so at once."""
    monkeypatch.setitem(sys.modules, "botocore", None)
    sentence = 'needs the package\'s extra: `pip install ".[aws]"` in its folder installs botocore'

    assert {"credentials.kind": sentence} == problems(folder, "bedrock-nova", credentials=AWS)


def test_secrets_hide(folder: pathlib.Path) -> None:
    """No configuration shows its credentials."""
    (folder / "secret").write_text("S3cret")
    secrets = {"client_secret": "client_secret_file", "api_key": "api_key_file"}
    secrets |= {"secret_access_key": "secret_access_key_file"}
    shown = ""
    for provider, given in FITTING.items():
        kept = {secrets.get(key, key): "secret" if key in secrets else value for key, value in given.items()}
        shown += repr(target(folder, provider, credentials=kept))

    assert ("S3cret" in shown, "PRIVATE KEY" in shown) == (False, False)
