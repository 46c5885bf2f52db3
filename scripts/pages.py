"""Writes the parts of docs/ that the code knows better: the reference of the YAML, the facts of providers, the metrics.

`python -m scripts.pages` writes them; a test says when they are out of date.
"""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway import schema
from gateway.series import Series
from gateway.wire import INPUT_TYPES
from providers import PROVIDERS
from providers.base import Provider
from providers.engine import LocalProvider

DOCS: Final = pathlib.Path(__file__).parents[1] / "docs"
TOO_LONG: Final = {"refuses": "refused", "obeys": "refused, as told", "cuts": "cut", "unknown": "not said"}
HIDDEN: Final = "*" * 10
"""What a schema shows of a text that hides."""
Schema = Mapping[str, Any]


def facts(provider: Provider | LocalProvider) -> list[str]:
    """What the table has to say of a provider, behind what it reaches and its credentials."""
    if isinstance(provider, LocalProvider):
        return ["", "", "", "refused" if provider.batches else ""]
    limits = provider.limits
    amounts = {
        "input" if limits.inputs == 1 else "inputs": limits.inputs,
        "tokens": limits.request_tokens,
        "bytes": limits.request_bytes,
        "characters each": limits.input_chars,
    }
    takes = {"dimensions": provider.shortens, "token ids": provider.token_ids, "base64": provider.base64}
    return [
        ", ".join(f"{most:,} {unit}" for unit, most in amounts.items() if most) or "no limit known",
        ", ".join(name for name, taken in takes.items() if taken),
        ", ".join(role for role in INPUT_TYPES if role in provider.roles)
        + (" (one is needed)" if provider.needs_role else ""),
        TOO_LONG[provider.overlong],
    ]


def providers_page(page: str) -> str:
    """The page with the facts of each row renewed; what a provider reaches is told by a person."""

    def renewed(row: re.Match[str]) -> str:
        if row[1] not in PROVIDERS:  # the table's head
            return row[0]
        told = [cell.strip() for cell in row[0].split("|")[1:4]]
        return "|" + "|".join(f" {cell} " if cell else " " for cell in (*told, *facts(PROVIDERS[row[1]]))) + "|"

    return re.sub(r"^\| `([\w-]+)` \|.*\|$", renewed, page, flags=re.MULTILINE)


def operations_page(page: str) -> str:
    """The page with the table of metrics renewed."""
    head = "| name | kind | labels | |\n|---|---|---|---|\n"
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.about} |\n"
        for each in Series().declared
    ]
    return re.sub(re.escape(head) + r"(?:\|.*\n)*", lambda _: head + re.sub(r" +\|", " |", "".join(rows)), page)


def yaml_reference() -> str:
    """Every key of the routing file, a table for each mapping, in the order of the file."""
    whole = schema.json_schema()
    parts: dict[str, Schema] = whole["$defs"]
    lines = [
        "# Every key of the YAML",
        "",
        "Made by `scripts/docs` from the schema, which `gateway schema` prints for editors.",
        "[config.example.yaml](../config.example.yaml) shows the keys at work.",
    ]
    for place, part in _sections("", whole, parts, set()):
        lines += ["", f"## {f'`{place}`' if place else 'The file'}", ""]
        if part.get("description"):
            lines += [part["description"], ""]
        lines += ["| key | kind | default | |", "|---|---|---|---|"]
        required = set(part.get("required", ()))
        for key, value in part["properties"].items():
            default = "**required**" if key in required else _default(value)
            about = re.sub(r"\s+", " ", value.get("description", "")).replace("|", "\\|")
            lines.append(f"| `{key}` | {_kind(value, parts)} | {default} | {about} |")
    return re.sub(r" +\|", " |", "\n".join(lines)) + "\n"


def _sections(place: str, part: Schema, parts: Mapping[str, Schema], told: set[str]) -> Iterator[tuple[str, Schema]]:
    """Each mapping where it first stands, before those within it."""
    yield place, part
    for key, value in part["properties"].items():
        for name, ending in _inner(value):
            if name not in told and "properties" in parts[name]:
                told.add(name)
                below = f"{place}.{key}{ending}".lstrip(".")
                kind = parts[name]["properties"].get("kind", {}).get("const")
                yield from _sections(f"{below} of kind {kind}" if kind else below, parts[name], parts, told)


def _inner(value: Schema, ending: str = "") -> Iterator[tuple[str, str]]:
    """The mappings that a value may be or hold, with how their place is written."""
    if "$ref" in value:
        yield value["$ref"].rpartition("/")[2], ending
    for one in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        yield from _inner(one, ending)
    if isinstance(value.get("items"), dict):
        yield from _inner(value["items"], f"{ending}[]")
    if isinstance(value.get("additionalProperties"), dict):
        yield from _inner(value["additionalProperties"], f"{ending}.NAME")


def _default(value: Schema) -> str:
    default = value.get("default")
    if default in (None, [], {}) or isinstance(default, dict):
        return ""
    if default == HIDDEN:
        return f"`{schema.StateShape().url.get_secret_value()}`"  # the one address that is a default
    if (example := value.get("examples", [""])[0]) and not isinstance(default, str):
        return f"`{default / 2**20:g}MiB`" if example.endswith("B") else f"`{default:g}s`"
    return f"`{json.dumps(default)}`"


def _kind(value: Schema, parts: Mapping[str, Schema]) -> str:
    if value.get("examples"):
        return f"like `{value['examples'][0]}`"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        names = [f"`{one}`" for one in value["enum"]]
        return ", ".join(names) if len(names) < 12 else "a [provider](providers.md)"
    if "$ref" in value:
        return "a mapping" if "properties" in parts[value["$ref"].rpartition("/")[2]] else "text"
    options = [one for one in (*value.get("anyOf", ()), *value.get("oneOf", ())) if one.get("type") != "null"]
    kinds = [_kind(one, parts) for one in options if one.get("pattern") != r"\$\{.+\}"]
    if kinds:
        return " or ".join(dict.fromkeys(kinds))
    if value.get("type") == "array":
        items = _kind(value.get("items", {}), parts)
        return f"a list of {'mappings' if items == 'a mapping' else items}"
    if value.get("type") == "object":
        return "a mapping"
    return _plain(value)


def _plain(value: Schema) -> str:
    kind = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    least = value.get("minimum", value.get("exclusiveMinimum"))
    bounds = [f"from {least:g}"] if least else []
    bounds += [f"to {value['maximum']:g}"] if value.get("maximum") and value["maximum"] < 10**12 else []
    return " ".join([kind.get(str(value.get("type")), "anything"), *bounds])


def pages() -> dict[pathlib.Path, str]:
    """What each page that is made, or made in part, should hold."""
    in_part = {DOCS / "providers.md": providers_page, DOCS / "operations.md": operations_page}
    renewed = {page: renew(page.read_text("utf-8")) for page, renew in in_part.items()}
    return {DOCS / "yaml-reference.md": yaml_reference(), **renewed}


if __name__ == "__main__":
    for page, text in pages().items():
        page.write_text(text, "utf-8")
