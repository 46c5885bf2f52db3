"""Which provider a prefix of LiteLLM's stands for, and what its calls are authorized with there and here.

https://docs.litellm.ai/docs/providers
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.references import References

PROVIDERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "openai": ("openai", "OPENAI_API_KEY"),
    "azure": ("azure", "AZURE_API_KEY"),
    "cohere": ("cohere", "COHERE_API_KEY"),
    "cohere_chat": ("cohere", "COHERE_API_KEY"),
    "voyage": ("voyage", "VOYAGE_API_KEY"),
    "jina_ai": ("jina", "JINA_AI_API_KEY"),
    "mistral": ("mistral", "MISTRAL_API_KEY"),
    "gemini": ("gemini", "GEMINI_API_KEY"),
    "vertex_ai": ("vertex", None),
    "bedrock": ("bedrock-titan", None),  # by the model, in fact
    "watsonx": ("watsonx", None),
    "nvidia_nim": ("nvidia", "NVIDIA_NIM_API_KEY"),
    "together_ai": ("together", "TOGETHERAI_API_KEY"),
    "fireworks_ai": ("fireworks", "FIREWORKS_AI_API_KEY"),
    "deepinfra": ("deepinfra", "DEEPINFRA_API_KEY"),
    "databricks": ("databricks", "DATABRICKS_API_KEY"),
    "openrouter": ("openrouter", "OPENROUTER_API_KEY"),
    "github": ("github", "GITHUB_API_KEY"),
    "dashscope": ("dashscope", "DASHSCOPE_API_KEY"),
    "volcengine": ("volcengine", "VOLCENGINE_API_KEY"),
    "nebius": ("nebius", "NEBIUS_API_KEY"),
    "huggingface": ("huggingface", "HUGGINGFACE_API_KEY"),
    "ollama": ("ollama", None),
    "infinity": ("infinity", None),
    "lm_studio": ("lmstudio", None),
    "hosted_vllm": ("vllm", None),
    "vllm": ("vllm", None),
    "xinference": ("openai", None),
    "openai_like": ("openai", None),
    "litellm_proxy": ("openai", None),
}
"""LiteLLM's prefix of a model: the provider here, and the variable that LiteLLM takes its key from by itself."""


def add(prefix: str, target: dict[str, Any], left: dict[str, Any], references: References) -> None:
    """Adds to `target` what it authorizes itself with, and takes that from `left`, the parameters still to be read."""
    variable = PROVIDERS[prefix][1]
    if prefix == "azure":
        target.setdefault("base_url", references.reference("AZURE_API_BASE", "https://stand-in.example"))
        if "tenant_id" in left and "client_id" in left:
            target["credentials"] = {
                "kind": "entra",
                "tenant": references.value(left.pop("tenant_id")),
                "client_id": references.value(left.pop("client_id")),
                "client_secret": references.secret(left.pop("client_secret", None), "AZURE_CLIENT_SECRET"),
            }
            return
    if prefix == "bedrock":
        target.setdefault("region", references.reference("AWS_REGION_NAME"))
        if "api_key" not in left:
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
            given = [left.pop(name.lower(), f"os.environ/{name}") for name in names]
            target["credentials"] = {
                "kind": "aws",
                "access_key_id": references.value(given[0]),
                "secret_access_key": references.secret(given[1], names[1]),
            }
            return
    if prefix == "vertex_ai":
        file = left.pop("vertex_credentials", "os.environ/GOOGLE_APPLICATION_CREDENTIALS")
        target["credentials"] = {"kind": "google", "service_account_file": references.value(file)}
        return
    if prefix == "watsonx":
        region = re.match(r"https://([a-z-]+)\.ml\.cloud\.ibm\.com", str(target.pop("base_url", "")))
        target["region"] = region[1] if region else references.reference("WATSONX_REGION")
        if "space_id" in left:
            target["space_id"] = references.value(left.pop("space_id"))
        key = references.secret(left.pop("api_key", "os.environ/WATSONX_APIKEY"), "WATSONX_APIKEY")
        target["credentials"] = {"kind": "ibm", "api_key": key}
        return
    if prefix == "huggingface" and "base_url" in target:
        target["provider"] = "tei"  # which is what runs on an endpoint of one's own
    key = left.pop("api_key", None)
    if isinstance(key, str) and key.lower() in ("none", "dummy", "fake", "anything", "empty", ""):
        return  # what people write because LiteLLM wants something there
    if key is not None:
        target["api_key"] = references.secret(key, variable or f"{prefix.upper()}_API_KEY")
    elif variable is not None:
        target["api_key"] = references.reference(variable)
