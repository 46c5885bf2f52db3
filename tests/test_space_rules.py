"""Which vector space a model serves, where the file does not name it. What must agree is tried with whole models."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from gateway import space_rules
from gateway.document import Document
from gateway.model_shape import CatalogFacts, ModelShape
from gateway.reading import Reading

QUERY = {"query": "query: {text}", "document": "{text}"}
KNOWN = CatalogFacts(space="acme/one")


def space(unit_length: bool | None = None, **keys: Any) -> str | None:
    reading = Reading(Document(), pathlib.Path(), {})
    shape = ModelShape.model_validate({"targets": [{"provider": "openai"}], **keys})
    return space_rules.resolve(reading, "m", shape, [KNOWN], unit_length, ("models", "m"))


def test_as_it_comes() -> None:
    """A route that adds nothing serves the model's own space."""
    assert "acme/one" == space()


@pytest.mark.parametrize(
    ("unit_length", "expected"), [(True, "acme/one"), (False, "acme/one+unit"), (None, "acme/one+unit")]
)
def test_made_unit_length(unit_length: bool | None, expected: str) -> None:
    """Vectors that are made unit length here are of another space, unless they come so."""
    assert expected == space(unit_length, normalize=True)


def test_prompts() -> None:
    """Other prompts make another space; the same ones, in whatever order, the same."""
    reordered = dict(reversed(QUERY.items()))
    other = QUERY | {"query": "q: {text}"}

    assert "acme/one+prompts-36dc1c3a" == space(prompts=QUERY) == space(prompts=reordered)
    assert space(prompts=QUERY) != space(prompts=other) != "acme/one"


def test_prompts_and_unit_length() -> None:
    """A recipe names all that it does."""
    assert "acme/one+unit+prompts-36dc1c3a" == space(prompts=QUERY, normalize=True)


def test_named() -> None:
    """A space that the file names has that name, whatever is done to the vectors."""
    assert "mine" == space(space="mine", prompts=QUERY, normalize=True)
