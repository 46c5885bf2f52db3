"""`gateway import litellm`: whatever is written loads, keeps its meaning, and tells what it could not keep."""

from __future__ import annotations

import pathlib
import re

import pytest
from click.testing import CliRunner, Result

from gateway import importing, litellm_credentials, loading
from gateway.cli import main
from gateway.config import Config, ModelConfig
from providers import PROVIDERS
from tests.fakes import google_account

STAND_INS = {"AZURE_API_BASE": "https://acme.openai.azure.com", "AWS_REGION_NAME": "eu-west-1"}

# Each is what a proxy of its kind looks like, with the models and targets that it becomes.
CLOUDS = """
model_list:
  - model_name: titan
    litellm_params: {model: bedrock/amazon.titan-embed-text-v2:0, aws_region_name: us-east-1}
  - model_name: titan-old
    litellm_params: {model: amazon.titan-embed-text-v1}
  - model_name: english
    litellm_params:
      model: bedrock/cohere.embed-english-v3
      aws_access_key_id: os.environ/MY_ID
      aws_secret_access_key: os.environ/MY_SECRET
  - model_name: slate
    litellm_params:
      model: watsonx/ibm/slate-125m-english-rtrvr-v2
      api_base: https://eu-de.ml.cloud.ibm.com
      project_id: p-1
      api_key: os.environ/WATSONX_APIKEY
  - model_name: gecko
    litellm_params: {model: vertex_ai/text-embedding-005, vertex_project: p-2, vertex_location: europe-west4}
  - model_name: ada
    litellm_params:
      model: azure/text-embedding-ada-002
      tenant_id: acme.example
      client_id: app-1
      client_secret: os.environ/ENTRA
"""
OWN_SERVERS = """
model_list:
  - model_name: bge
    litellm_params:
      {model: openai/BAAI/bge-m3, api_base: http://10.0.0.1:8000/v1, api_key: none, timeout: 10, weight: 3}
    model_info: {mode: embedding, output_vector_size: 1024, max_input_tokens: 8192, id: gpu-1}
  - model_name: bge
    litellm_params: {model: hosted_vllm/BAAI/bge-m3, api_base: http://10.0.0.2:8000, max_parallel_requests: 8}
    model_info: {mode: embedding, output_vector_size: 1024}
  - model_name: nomic
    litellm_params: {model: ollama/nomic-embed-text, api_base: "http://10.0.0.3:11434"}
  - model_name: codebert
    litellm_params: {model: huggingface/microsoft/codebert-base, api_base: https://tei.example, api_key: hf_abcdefgh}
    model_info: {mode: embedding, output_vector_size: 768, input_cost_per_token: 1.0e-08}
"""
WELL_KNOWN = """
credential_list:
  - credential_name: ours
    credential_values: {api_key: os.environ/OURS, organization: org-1}
model_list:
  - {model_name: small, litellm_params: {model: text-embedding-3-small, litellm_credential_name: ours}}
  - {model_name: cohere, litellm_params: {model: cohere/embed-english-v3.0, input_type: search_query}}
  - {model_name: voyage, litellm_params: {model: voyage/voyage-3-large, extra_headers: {X-Token: sk-secret}}}
  - {model_name: mistral, litellm_params: {model: mistral/mistral-embed}}
  - {model_name: gemini, litellm_params: {model: gemini/gemini-embedding-001}}
  - {model_name: jina, litellm_params: {model: jina_ai/jina-embeddings-v3}}
"""
SHARED = """
model_list:
  - model_name: text-embedding-3-small
    litellm_params: {model: openai/text-embedding-3-small, api_key: sk-one, rpm: 3000, order: 1}
  - model_name: text-embedding-3-small
    litellm_params: {model: openai/text-embedding-3-small, api_key: sk-two, rpm: 500, order: 1}
  - model_name: text-embedding-3-small
    litellm_params:
      {model: azure/small, api_key: os.environ/AZURE_API_KEY, api_version: "2024-10-21", rpm: 1000, order: 2}
    model_info: {mode: embedding, base_model: azure/text-embedding-3-small}
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o}}
router_settings:
  fallbacks: [{text-embedding-3-small: [cohere]}]
  model_group_alias: {ada: text-embedding-3-small, old: {model: text-embedding-3-small, hidden: true}}
general_settings: {master_key: sk-1234, database_url: os.environ/DATABASE_URL}
"""


def converted(text: str, tmp_path: pathlib.Path) -> tuple[importing.Imported, Config]:
    """What a text becomes, and how that loads where all its variables are set."""
    imported = importing.convert(text)
    file = tmp_path / "gateway.yaml"
    file.write_text(imported.text)
    account = tmp_path / "account.json"
    account.write_text(google_account.key_file())
    values = STAND_INS | {"GOOGLE_APPLICATION_CREDENTIALS": str(account)}
    return imported, loading.load(file, {name: values.get(name, "x") for name in imported.variables})


def model(config: Config, alias: str) -> ModelConfig:
    [found] = [model for model in config.models if model.alias == alias]
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            CLOUDS,
            {
                "titan": "bedrock-titan",
                "titan-old": "bedrock-titan-v1",
                "english": "bedrock-cohere",
                "slate": "watsonx",
                "gecko": "vertex",
                "ada": "azure",
            },
        ),
        (OWN_SERVERS, {"bge": "openai vllm", "nomic": "ollama", "codebert": "tei"}),
        (
            WELL_KNOWN,
            {name: name for name in ("cohere", "voyage", "mistral", "gemini", "jina")} | {"small": "openai"},
        ),
        (SHARED, {"text-embedding-3-small": "openai openai azure"}),
    ],
)
def test_loads(text: str, expected: dict[str, str], tmp_path: pathlib.Path) -> None:
    """The result loads, with each model on the providers that it had."""
    imported, config = converted(text, tmp_path)
    providers = {one.alias: " ".join(target.provider for target in one.targets) for one in config.models}

    assert (expected, len(expected), 0) == (providers, imported.converted, imported.left_out)


def test_clouds(tmp_path: pathlib.Path) -> None:
    """What a cloud wants besides a key is kept, else taken from LiteLLM's own variables."""
    imported, config = converted(CLOUDS, tmp_path)
    titan, english, slate, ada = (model(config, name).targets[0] for name in ("titan", "english", "slate", "ada"))

    assert ("us-east-1", "eu-west-1", "eu-de") == (titan.region, english.region, slate.region)
    assert ("p-1", "https://acme.openai.azure.com") == (slate.project, ada.base_url)
    assert all(target.credentials for target in (titan, english, slate, ada))
    assert {"AWS_ACCESS_KEY_ID", "MY_ID", "MY_SECRET", "WATSONX_APIKEY", "ENTRA"} <= set(imported.variables)


def test_own_servers(tmp_path: pathlib.Path) -> None:
    """Several servers become one model's targets, with their weights, limits, names and times."""
    imported, config = converted(OWN_SERVERS, tmp_path)
    bge = model(config, "bge")
    [first, second] = bge.targets

    assert ("bge", 1024, 8192) == (bge.space, bge.dimensions.native, bge.limits.input_tokens)
    assert ("gpu-1", 10.0, 3.0, None) == (first.name, first.timeout, first.weight, first.api_key)
    assert ("http://10.0.0.2:8000", 8) == (second.base_url, second.max_concurrency)
    assert 0.01 == model(config, "codebert").price
    assert "make sure that all of these serve the same vectors" in imported.text


def test_well_known(tmp_path: pathlib.Path) -> None:
    """A stored credential is looked up, and an input type becomes the model's default."""
    imported, config = converted(WELL_KNOWN, tmp_path)

    assert {"OpenAI-Organization": "org-1"} == model(config, "small").targets[0].headers
    assert "query" == model(config, "cohere").default_input_type
    assert {"OURS", "COHERE_API_KEY", "MISTRAL_API_KEY"} <= set(imported.variables)


def test_shared(tmp_path: pathlib.Path) -> None:
    """Limits of entries become one of the model, `order` the priority, and other names of a group its aliases."""
    _, config = converted(SHARED, tmp_path)
    small = model(config, "text-embedding-3-small")

    assert (4500, ("ada", "old")) == (small.rates.rpm, small.aliases)
    assert [(1, 3000.0), (1, 500.0), (2, 1000.0)] == [(target.priority, target.weight) for target in small.targets]
    assert "openai/text-embedding-3-small" == small.space


def test_secrets() -> None:
    """No secret of the old file stands in the new one: each becomes a variable of its own."""
    made = [importing.convert(text) for text in (SHARED, WELL_KNOWN, OWN_SERVERS)]

    assert not re.search(r"sk-(one|two|secret|1234)|hf_abc", "".join(imported.text for imported in made))
    assert [
        ["OPENAI_API_KEY_FROM_FILE", "OPENAI_API_KEY_FROM_FILE_2"],
        ["X_TOKEN_FROM_FILE"],
        ["HUGGINGFACE_API_KEY_FROM_FILE"],
    ] == [imported.moved for imported in made]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("router_settings.fallbacks (text-embedding-3-small to cohere)", SHARED),
        ("nothing says that they make embeddings (`model_info.mode: embedding` would): gpt-4o", SHARED),
        ("general_settings.master_key", SHARED),
        ("keys and usage in its database", SHARED),
        (
            "`sagemaker/` stands for no provider here",
            SHARED.replace("openai/gpt-4o", "sagemaker/my-embedder"),
        ),
        ("wildcards name no model", SHARED.replace("gpt-4o", "embed-*")),
        (
            "# Left out: models.bge.dimensions: `native` is missing",
            OWN_SERVERS.replace("output_vector_size: 1024", "x: 1"),
        ),
        ("`dimensions`: clients ask for their own", SHARED.replace("order: 2", "order: 2, dimensions: 256")),
        ("different vector spaces", SHARED.replace("azure/small", "cohere/embed-english-v3.0")),
    ],
)
def test_told(told: str, text: str) -> None:
    """What has no like here is told in a comment; models that the gateway's rules refuse are comments as a whole."""
    imported = importing.convert(text)

    assert any(told in line for line in imported.text.splitlines() if line.lstrip().startswith("#"))


def test_providers() -> None:
    """Each prefix stands for a provider that there is."""
    assert {provider for provider, _ in litellm_credentials.PROVIDERS.values()} <= set(PROVIDERS)


def run(tmp_path: pathlib.Path, text: str) -> Result:
    file = tmp_path / "litellm.yaml"
    file.write_text(text)
    return CliRunner().invoke(main, ["import", "litellm", str(file)])


def test_command(tmp_path: pathlib.Path) -> None:
    """The command prints the routing file alone on its standard output, and what to set besides."""
    result = run(tmp_path, WELL_KNOWN)

    assert (0, importing.convert(WELL_KNOWN).text) == (result.exit_code, result.stdout)
    assert "6 models converted, 0 left out" in result.stderr
    assert "X_TOKEN_FROM_FILE" in result.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model_list: [{model_name: chat, litellm_params: {model: openai/gpt-4o}}]", "0 models converted"),
        ("models: {}", "no `model_list`"),
        ("model_list: [", "not valid YAML"),
        ("", "no `model_list`"),
    ],
)
def test_nothing(tmp_path: pathlib.Path, text: str, told: str) -> None:
    """Where nothing can be converted the exit code is 1."""
    result = run(tmp_path, text)

    assert result.exit_code == 1
    assert told in result.stderr
