"""One entry of LiteLLM's `model_list` in this gateway's words: a target, and what it says of its model.

https://docs.litellm.ai/docs/proxy/configs
https://docs.litellm.ai/docs/embedding/supported_embedding
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway import litellm_credentials, model_rules
from gateway.litellm_credentials import PROVIDERS
from gateway.references import References

_BEDROCK: Final = {
    "amazon.titan-embed-text-v1": "bedrock-titan-v1",
    "amazon.titan-embed": "bedrock-titan",
    "cohere.embed-v4": "bedrock-cohere-v4",
    "cohere.embed": "bedrock-cohere",
    "amazon.nova": "bedrock-nova",
}
_ROLES: Final = {
    **dict.fromkeys(("search_document", "document", "passage", "RETRIEVAL_DOCUMENT"), "document"),
    **dict.fromkeys(("search_query", "query", "RETRIEVAL_QUERY"), "query"),
    **dict.fromkeys(("classification", "CLASSIFICATION"), "classification"),
    **dict.fromkeys(("clustering", "CLUSTERING"), "clustering"),
}
_OF_TARGETS: Final = {
    "api_base": "base_url",
    "base_url": "base_url",
    "api_version": "api_version",
    "project_id": "project",
    "vertex_project": "project",
    "vertex_location": "region",
    "aws_region_name": "region",
    "weight": "weight",
    "order": "priority",
    "max_parallel_requests": "max_concurrency",
    "extra_body": "extra_body",
}
"""Parameters that have the same meaning here, under another name or the same."""
_SECRET_HEADER: Final = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_EMBEDDING: Final = re.compile(r"embed|(?:^|/)(?:bge|e5|gte|multilingual-e5|all-minilm|all-mpnet|voyage|mxbai)-", re.I)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry: its target, what it says of the model, how it is limited, and what could not be kept of it."""

    target: dict[str, Any]
    facts: dict[str, Any]
    rates: dict[str, int]
    space: str | None
    lost: list[str]


class Unconvertible(Exception):
    """An entry that has no like here; the message says why."""


def embeds(model: str, info: Mapping[str, Any]) -> bool:
    """Whether an entry makes embeddings: it says so, the catalogue knows the model, or it has the name of one."""
    if "mode" in info:
        return bool(info["mode"] == "embedding")
    name = model.partition("/")[2] or model
    return any(name == known for _, known in model_rules.catalog()) or _EMBEDDING.search(model) is not None


def deployment(params: Mapping[str, Any], info: Mapping[str, Any], references: References) -> Deployment:
    """Raises Unconvertible."""
    left = {name: value for name, value in params.items() if value is not None}
    prefix, provider, model = _provider(str(left.pop("model")))
    target: dict[str, Any] = {"provider": provider, "model": model}
    for name, own in _OF_TARGETS.items():
        if name in left:
            stand_in = "https://stand-in.example" if own == "base_url" else "STANDIN"
            target[own] = references.value(left.pop(name), stand_in)
    litellm_credentials.add(prefix, target, left, references)
    if "timeout" in left:
        target["timeout"] = f"{left.pop('timeout')}s"
    headers = {**left.pop("extra_headers", {}), **_organization(left)}
    if headers:
        target["headers"] = {name: _header(name, value, references) for name, value in headers.items()}
    if re.fullmatch(r"[A-Za-z0-9._:/-]{1,100}", name := str(info.get("id", ""))):
        target["name"] = name
    facts = _facts(provider, model, left, info)
    rates: dict[str, int] = {name: int(left.pop(name)) for name in ("rpm", "tpm") if name in left}
    space = facts.pop("space", None)
    lost = [f"`{name}`" + _why(name) for name in left if name not in _MEANINGLESS]
    return Deployment(target, facts, rates, space, lost)


_MEANINGLESS: Final = {
    "input_cost_per_token",
    "output_cost_per_token",
    "custom_llm_provider",
    "drop_params",
    "rpm",
    "tpm",
}


def _why(name: str) -> str:
    return {
        "dimensions": ": clients ask for their own `dimensions`",
        "encoding_format": ": clients get what they ask for",
        "azure_ad_token": ": tokens are bought here, with `credentials` of kind `entra`",
        "num_retries": ": retries are the gateway's own",
        "max_retries": ": retries are the gateway's own",
    }.get(name, "")


def _provider(model: str) -> tuple[str, str, str]:
    """LiteLLM's prefix, the provider here, and the model's name there. LiteLLM knows some names without a prefix."""
    prefix, slash, name = model.partition("/")
    if prefix == "bedrock" or re.match(r"(amazon|cohere)\.", model):
        name = name if slash else model
        for start, provider in _BEDROCK.items():
            if start in name:
                return "bedrock", provider, name
        raise Unconvertible(f"`{model}` is none of the models of Bedrock that this gateway knows")
    if slash and prefix in PROVIDERS:
        return prefix, PROVIDERS[prefix][0], name
    for known in ("openai", "cohere", "mistral", "voyage"):
        if (known, model) in model_rules.catalog():
            return known, known, model
    what = f"`{prefix}/`" if slash else f"`{model}`"
    raise Unconvertible(
        f"{what} stands for no provider here; one that speaks OpenAI's endpoint is `provider: openai` with a `base_url`"
    )


def _organization(left: dict[str, Any]) -> dict[str, Any]:
    return {"OpenAI-Organization": left.pop("organization")} if isinstance(left.get("organization"), str) else {}


def _header(name: str, value: Any, references: References) -> str:
    if _SECRET_HEADER.search(name):
        return references.secret(value, re.sub(r"\W+", "_", name).upper())
    return str(references.value(value))


def _facts(provider: str, model: str, left: dict[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """What the entry knows of its model and the catalogue does not; a deployment of Azure tells its `base_model`."""
    catalog = model_rules.catalog()
    facts: dict[str, Any] = {}
    role = _ROLES.get(str(left.get("input_type")))
    if role is not None:
        del left["input_type"]
        facts["default_input_type"] = role
    known = catalog.get((provider, model))
    price = left.get("input_cost_per_token", info.get("input_cost_per_token"))
    if price is not None and (known is None or known.price is None or abs(known.price.input - price * 1e6) > 1e-9):
        facts["price"] = {"input": float(f"{float(price) * 1e6:.9g}")}
    if known is not None:
        return facts
    base = str(info.get("base_model", model)).rpartition("/")[2]
    own = catalog.get(("openai", base)) if provider in ("azure", "openai") else None
    if own is not None:
        lengths = own.dimensions.model_dump(exclude_none=True)
        limits = own.limits.model_dump(include={"input_tokens"}, exclude_none=True)
        said = {"tokenizer": own.tokenizer, "unit_length": own.unit_length}
        return {**facts, "space": own.space, "dimensions": lengths, "limits": limits, **said}
    if (native := info.get("output_vector_size")) is not None:
        facts["dimensions"] = {"native": native}
    if (most := info.get("max_input_tokens", info.get("max_tokens"))) is not None:
        facts["limits"] = {"input_tokens": most}
    return facts
