"""A configuration of LiteLLM's proxy becomes a routing file, with a comment for everything that has no like here.

Whatever is written was checked by the gateway's own rules; a model that they refuse is written as a comment, with
what they say. https://docs.litellm.ai/docs/proxy/configs
"""

from __future__ import annotations

import json
import pathlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway import checks, document, loading
from gateway.config import ConfigError
from gateway.document import Problem
from gateway.litellm import Deployment, Unconvertible, deployment, embeds
from gateway.references import References


@dataclass(frozen=True, slots=True)
class Imported:
    """`text` is the routing file, `variables` what it reads from the environment; `converted` counts its models."""

    text: str
    converted: int
    left_out: int
    variables: Sequence[str]
    moved: Sequence[str]
    """The variables that stand for secrets which stood in LiteLLM's file."""


class ImportRefused(Exception):
    """The file is no configuration of LiteLLM; the message says why."""


def convert(text: str) -> Imported:
    """Reads no environment: a variable has a stand-in while the result is checked. Raises ImportRefused."""
    read = document.parse(text, {})
    values = read.values
    if not isinstance(values, dict) or not isinstance(values.get("model_list"), list):
        fault = next((problem.message for problem in read.problems), "it has no `model_list`")
        raise ImportRefused(f"this is no configuration of LiteLLM's proxy: {fault}")
    references = References()
    groups, lost = _groups(values, references)
    aliases = _aliases(values, groups)
    lines, converted, left_out = [], 0, 0
    for name, entries in groups.items():
        model, notes = _model(entries, aliases.get(name, []))
        problems = _problems(name, model, references)
        if any("`space` is missing" in problem.message for problem in problems):
            model = {"space": next((entry.space for entry in entries if entry.space), name), **model}
            notes.append(
                "make sure that all of these serve the same vectors: LiteLLM does not ask, and nobody else can"
            )
            problems = _problems(name, model, references)
        notes += [f"not converted: {one}" for entry in entries for one in entry.lost]
        block = [*(f"# {note}" for note in dict.fromkeys(notes)), *_yaml({name: model})]
        if problems:
            left_out += 1
            why = [f"# Left out: {problem.place}: {problem.message}." for problem in problems]
            block = [*why, *(f"# {line}" for line in block)]
        else:
            converted += 1
        lines += [f"  {line}" for line in block] + [""]
    head = [
        "# Made from a configuration of LiteLLM's proxy by `gateway import litellm`.",
        *(f"# {one}" for one in lost),
    ]
    body = [*head, "", "models:", *lines] if groups else head
    return Imported("\n".join(body).rstrip() + "\n", converted, left_out, sorted(references.names), references.moved)


def _groups(values: Mapping[str, Any], references: References) -> tuple[dict[str, list[Deployment]], list[str]]:
    """The entries of each name, and what could not be kept of the file."""
    groups: dict[str, list[Deployment]] = {}
    lost, others = [], []
    stored = {one.get("credential_name"): one.get("credential_values", {}) for one in values.get("credential_list", [])}
    for place, entry in enumerate(values["model_list"]):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if not isinstance(params, dict) or not isinstance(params.get("model"), str) or "model_name" not in entry:
            lost.append(f"Not converted: model_list[{place}] has no `model_name` or no `litellm_params.model`.")
            continue
        name, info = str(entry["model_name"]), entry.get("model_info") or {}
        if not embeds(params["model"], info):
            others.append(name)
            continue
        try:
            checks.model_name(name)
            if "*" in name + params["model"]:
                raise Unconvertible("wildcards name no model; write down the models that you use")
            params = {**stored.get(params.get("litellm_credential_name"), {}), **params}
            params.pop("litellm_credential_name", None)
            converted = deployment(params, info, references)
            groups.setdefault(name, []).append(converted)
        except (Unconvertible, ValueError, TypeError) as error:
            lost.append(f"Not converted: model_list[{place}] ({name}): {error}.")
    if others:
        listed = ", ".join(dict.fromkeys(others))
        lost.append(
            f"Left out, as nothing says that they make embeddings (`model_info.mode: embedding` would): {listed}."
        )
    return groups, lost + _settings(values, groups)


def _settings(values: Mapping[str, Any], groups: Mapping[str, object]) -> list[str]:
    """What the rest of the file says and this gateway does otherwise."""
    lost = []
    settings = {name: values.get(name) or {} for name in ("router_settings", "litellm_settings", "general_settings")}
    for section, kinds in settings.items():
        for kind in ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks"):
            steps = [step for each in kinds.get(kind) or [] for step in each.items()]
            told = [f"{one} to {', '.join(others)}" for one, others in steps if one in groups]
            if told:
                lost.append(
                    f"Left out: {section}.{kind} ({'; '.join(told)}): another model's vectors cannot be compared. "
                    "Targets of one model stand in for each other here."
                )
    if "master_key" in settings["general_settings"]:
        lost.append("Not converted: general_settings.master_key; here it is `auth.admin_key`, for operators only.")
    if "database_url" in settings["general_settings"]:
        lost.append("Not converted: keys and usage in its database; `gateway keys create` makes new keys.")
    if settings["litellm_settings"].get("cache"):
        lost.append("Not converted: litellm_settings.cache.")
    if values.get("environment_variables"):
        lost.append(f"Not converted: set these in the environment: {', '.join(values['environment_variables'])}.")
    return lost


def _aliases(values: Mapping[str, Any], groups: Mapping[str, object]) -> dict[str, list[str]]:
    """Other names of each model, from `router_settings.model_group_alias`."""
    aliases: dict[str, list[str]] = {}
    for alias, of in ((values.get("router_settings") or {}).get("model_group_alias") or {}).items():
        name = str(of.get("model") if isinstance(of, dict) else of)
        if name in groups and alias not in groups:
            aliases.setdefault(name, []).append(alias)
    return aliases


def _model(entries: Sequence[Deployment], aliases: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The model of some entries, and what is to be said of it."""
    notes = []
    model: dict[str, Any] = {"aliases": list(aliases)} if aliases else {}
    for entry in reversed(entries):
        model |= entry.facts
    prices = {entry.facts["price"]["input"] for entry in entries if "price" in entry.facts}
    if len(prices) > 1:
        model["price"] = {"input": max(prices)}
        notes.append("its entries have different prices; this is the dearest")
    targets = [dict(entry.target) for entry in entries]
    for kind in ("rpm", "tpm"):
        rates = [entry.rates[kind] for entry in entries if kind in entry.rates]
        if len(rates) == len(entries):
            model["limits"] = {**model.get("limits", {}), kind: sum(rates)}
            if len(rates) > 1 and not any("weight" in target for target in targets):
                targets = [{**target, "weight": rate} for target, rate in zip(targets, rates, strict=True)]
                notes.append(
                    f"`{kind}` was each entry's own; here it is the sum for all callers, and the weights' ratio"
                )
        elif rates:
            notes.append(f"not converted: `{kind}`, which only some of its entries have")
    return {**model, "targets": targets}, notes


def _problems(name: str, model: Mapping[str, Any], references: References) -> list[Problem]:
    """What the gateway's own rules say of one model. Files that it names may be on another machine."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "gateway.yaml")
        file.write_text("\n".join(["models:", *(f"  {line}" for line in _yaml({name: model}))]), "utf-8")
        try:
            loading.load(file, references.names)
        except ConfigError as error:
            return [problem for problem in error.problems if problem.path[-1] != "service_account_file"]
    return []


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def _yaml(value: Mapping[str, Any]) -> list[str]:
    """Mappings as blocks, one line a value; lists of mappings likewise, other lists on one line."""
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            lines += [f"{_scalar(key)}:", *(f"  {line}" for line in _yaml(item))]
        elif isinstance(item, list) and item and all(isinstance(one, Mapping) for one in item):
            lines.append(f"{_scalar(key)}:")
            for one in item:
                first, *rest = _yaml(one)
                lines += [f"  - {first}", *(f"    {line}" for line in rest)]
        else:
            lines.append(f"{_scalar(key)}: {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    """JSON is YAML; texts that YAML takes for nothing else go without quotes."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
