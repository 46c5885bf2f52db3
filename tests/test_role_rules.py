"""Which input types a model knows, which of them is the default, and which target is told."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import pytest

from gateway import role_rules
from gateway.document import Document
from gateway.model_shape import CatalogFacts, ModelShape
from gateway.reading import Reading
from providers import PROVIDERS
from providers.base import InputType

ALL = ("query", "document", "classification", "clustering", "similarity")
NONE = CatalogFacts(input_types=[])
QUERY = CatalogFacts(input_types=["query"])
Q = {"query": "q: {text}"}
D = {"document": "{text}"}
CLUSTERING = {"clustering": "{text}"}
Known = Sequence[CatalogFacts | None]


def resolve(
    *providers: str, known: Known | None = None, **keys: Any
) -> tuple[tuple[tuple[InputType, ...], InputType | None], list[tuple[str, str]]]:
    """What is resolved, and the problems."""
    reading = Reading(Document(), pathlib.Path("/etc/gateway"), {})
    shape = ModelShape.model_validate({"targets": [{"provider": name} for name in providers], **keys})
    found = role_rules.resolve(reading, shape, known or [None] * len(providers), ("m",))
    return found, [(problem.place, problem.message) for problem in reading.document.problems]


@pytest.mark.parametrize(
    ("providers", "known", "expected"),
    [
        (["openai"], None, ()),
        (["static"], None, ()),
        (["voyage"], None, ("query", "document")),
        (["jina"], None, ALL),
        (["jina"], [NONE], ()),
        (["jina"], [QUERY], ("query",)),
        (["jina"], [CatalogFacts()], ALL),
        (["jina", "voyage"], None, ("query", "document")),
        (["jina", "voyage"], [None, QUERY], ("query",)),
        (["jina", "openai"], None, ()),
        (["jina", "static"], None, ()),
    ],
)
def test_told_by_provider(providers: list[str], known: Known | None, expected: tuple[InputType, ...]) -> None:
    """Without prompts, a model knows the input types that every target can be told."""
    actual = resolve(*providers, known=known)

    assert ((expected, None), []) == actual


@pytest.mark.parametrize("provider", ["openai", "static", "voyage", "jina"])
@pytest.mark.parametrize(
    ("prompts", "expected"),
    [(D, ("document",)), (D | Q, ("query", "document")), ({"clustering": "{text}"} | D, ("document", "clustering"))],
)
def test_prompts(provider: str, prompts: dict[str, str], expected: tuple[InputType, ...]) -> None:
    """With prompts, a model knows just the input types that have one, whatever its provider can be told."""
    actual = resolve(provider, prompts=prompts)

    assert ((expected, "document"), []) == actual


@pytest.mark.parametrize(
    ("providers", "known", "prompts", "default", "expected"),
    [
        (["openai"], None, Q, "query", "query"),
        (["voyage"], None, {}, None, None),
        (["voyage"], None, {}, "document", "document"),
        (["cohere"], None, {}, None, "document"),
        (["cohere"], None, {}, "query", "query"),
        (["nvidia"], None, {}, None, "document"),
        (["nvidia"], [NONE], {}, None, None),
        (["nvidia"], [QUERY], {}, "query", "query"),
        (["jina", "cohere"], None, {}, None, "document"),
        (["cohere"], None, Q | D, None, "document"),
        (["cohere"], None, Q, "query", "query"),
        (["nvidia"], [NONE], Q | D, None, "document"),
        (["openai"], None, Q | D, None, "document"),
        (["openai", "cohere"], None, D, None, "document"),
    ],
)
def test_default(
    providers: list[str], known: Known | None, prompts: dict[str, str], default: str | None, expected: str | None
) -> None:
    """The default is the routing file's; else `document` where there are prompts, or a provider has to be told."""
    (_, actual), problems = resolve(*providers, known=known, prompts=prompts, default_input_type=default)

    assert (expected, []) == (actual, problems)


@pytest.mark.parametrize(
    ("providers", "prompts", "default"),
    [
        (["openai"], {}, "query"),
        (["static"], {}, "document"),
        (["openai"], D, "query"),
        (["voyage"], {}, "clustering"),
        (["voyage"], Q, "document"),
    ],
)
def test_default_that_is_none_of_them(providers: list[str], prompts: dict[str, str], default: str) -> None:
    """A default that the model does not know is refused."""
    _, actual = resolve(*providers, prompts=prompts, default_input_type=default)

    assert [("m.default_input_type", "is none of this model's input types; give it a prompt")] == actual


@pytest.mark.parametrize(
    ("known", "prompts"), [([QUERY], {}), ([None], Q)], ids=["the model knows no document", "no prompt for documents"]
)
def test_default_is_required(known: Known, prompts: dict[str, str]) -> None:
    """A provider that has to be told needs a default where inputs cannot be taken for documents."""
    _, actual = resolve("nvidia", known=known, prompts=prompts)

    assert [
        ("m.default_input_type", "is missing: nvidia has to be told one, and this model has no `document`")
    ] == actual


@pytest.mark.parametrize("provider", ["openai", "voyage", "static"])
def test_default_among_prompts_is_required(provider: str) -> None:
    """Where none of the prompts is for documents, one has to be the default: no input goes out bare."""
    _, actual = resolve(provider, prompts=Q)

    assert [("m", "`default_input_type` is missing: which of the prompts is it, if the client names none?")] == actual


@pytest.mark.parametrize("other", ["openai", "static"])
def test_targets_that_differ(other: str) -> None:
    """A target that has to be told does not go with one that cannot be: their vectors would differ."""
    message = "cohere has to be told the input type, and another target cannot be; give each a model of its own"
    _, actual = resolve("cohere", other)

    assert [("m.targets", message)] == actual


def test_prompt_that_cannot_be_told() -> None:
    """A provider that has to be told must know every input type that there is a prompt for."""
    _, actual = resolve("openai", "nvidia", prompts=D | {"clustering": "{text}"})

    assert [("m.prompts.clustering", "nvidia has to be told the input type, and does not know this one")] == actual


@pytest.mark.parametrize(
    ("provider", "facts", "expected"),
    [
        ("cohere", None, True),
        ("cohere", CatalogFacts(), True),
        ("nvidia", QUERY, True),
        ("nvidia", NONE, False),
        ("voyage", None, False),
        ("openai", None, False),
        ("static", None, False),
    ],
)
def test_needs(provider: str, facts: CatalogFacts | None, expected: bool) -> None:
    """A provider that has to be told has to be told for every model but those that know no input type."""
    actual = role_rules.needs(PROVIDERS[provider], facts)

    assert expected is actual
