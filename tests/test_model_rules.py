"""A model of the routing file, and what the catalogue knows, become one route's configuration."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from gateway import loading, model_rules
from gateway.config import ConfigError, ModelConfig
from gateway.dimensions import Dimensions
from gateway.document import Document, parse
from gateway.inputs import MAX_INPUTS
from gateway.model_shape import CatalogFacts, ModelShape
from gateway.reading import Reading
from providers import PROVIDERS
from providers.base import Limits, Provider

PATH = ("models", "m")

KNOWN: dict[str, dict[str, Any]] = {
    "small": {
        "space": "openai/small",
        "dimensions": {"native": 1536, "min": 2, "shorten": "native"},
        "limits": {"input_tokens": 8192, "inputs": 2048, "request_tokens": 300_000},
        "tokenizer": "cl100k_base",
    },
    "small-elsewhere": {
        "space": "openai/small",
        "dimensions": {"native": 1536, "min": 2, "shorten": "native"},
        "limits": {"input_tokens": 4096, "inputs": 256},
        "tokenizer": "cl100k_base",
    },
    "listed": {"space": "listed", "dimensions": {"native": 1024, "shorten": "truncate", "allowed": [256, 512]}},
    "small-untold": {"space": "openai/small", "dimensions": {"native": 1536}},
    "plain": {"space": "plain", "dimensions": {"native": 768}},
    "longer": {"space": "longer", "dimensions": {"native": 1024, "shorten": "native", "allowed": [512, 2048]}},
    "public": {"dimensions": {"native": 1536}, "tokenizer": "own"},
    "public-short": {"dimensions": {"native": 384}},
    "bare": {"dimensions": {"native": 3}},
}
CATALOG = {("openai", name): CatalogFacts.model_validate(facts) for name, facts in KNOWN.items()} | {
    ("static", "wordllama"): CatalogFacts.model_validate({"space": "words", "dimensions": {"native": 256}})
}
REAL = model_rules.catalog()


def reading() -> Reading:
    return Reading(Document(), pathlib.Path("/etc/gateway"), {})


def openai(*models: str) -> list[dict[str, str]]:
    return [{"provider": "openai", "model": model} for model in models]


def resolved(alias: str = "m", **keys: object) -> ModelConfig:
    made = reading()
    model = model_rules.resolve(made, CATALOG, alias, ModelShape.model_validate(keys), ("models", alias))
    assert not made.document.problems
    assert model is not None
    return model


def problems(**keys: object) -> list[tuple[str, str]]:
    made = reading()
    model_rules.resolve(made, CATALOG, "m", ModelShape.model_validate(keys), PATH)
    return [(problem.place, problem.message) for problem in made.document.problems]


def places(**keys: object) -> list[str]:
    return [place for place, _ in problems(**keys)]


# ── the space ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"targets": openai("small")}, "openai/small"),
        ({"targets": openai("small", "small-elsewhere")}, "openai/small"),
        ({"targets": openai("small"), "space": "mine"}, "mine"),
        ({"targets": openai("small", "other"), "space": "mine"}, "mine"),
        ({"targets": openai("other", "another"), "space": "mine", "dimensions": {"native": 3}}, "mine"),
        ({"targets": openai("public", "public"), "space": "mine"}, "mine"),
        ({"targets": openai("public")}, "openai/public"),
        ({"targets": openai("other"), "dimensions": {"native": 3}}, "openai/other"),
        ({"targets": [{"provider": "openai"}], "dimensions": {"native": 3}}, "openai/m"),
        ({"targets": openai("bare")}, "openai/bare"),
        ({"targets": [{"provider": "static", "path": "wordllama"}]}, "words"),
        ({"targets": [{"provider": "static", "path": "models/x"}], "dimensions": {"native": 3}}, "static/m"),
    ],
)
def test_space(keys: dict[str, Any], expected: str) -> None:
    """The space is the routing file's, else the catalogue's, else that of the only target."""
    actual = resolved(**keys).space

    assert expected == actual


@pytest.mark.parametrize("space", [None, "mine"])
def test_mixed_spaces(space: str | None) -> None:
    """Targets whose known spaces differ are refused, by whatever name."""
    actual = problems(targets=openai("small", "listed", "other"), space=space)

    assert [
        (
            "models.m.targets",
            "the targets serve different vector spaces (listed, openai/small), whose vectors cannot be compared; "
            "give each space a model of its own",
        )
    ] == actual


@pytest.mark.parametrize(
    "models", [("small", "other"), ("other", "small"), ("other", "another"), ("public", "public"), ("small", "public")]
)
def test_space_is_required(models: tuple[str, ...]) -> None:
    """Several targets need the name of their space where the catalogue does not know that of each."""
    [(place, message)] = problems(targets=openai(*models), dimensions={"native": 1536})

    assert ("models.m", "`space` is missing") == (place, message.partition(":")[0])


def test_alias_finds_the_catalogue() -> None:
    """A target without a model's name is looked up by the alias."""
    actual = resolved("small", targets=[{"provider": "openai"}]).space

    assert "openai/small" == actual


def test_provider_belongs_to_the_name() -> None:
    """A model's name is known only at the provider that the catalogue gives it to."""
    actual = places(targets=[{"provider": "static", "path": "small"}])

    assert ["models.m.dimensions"] == actual


# ── dimensions ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("small", {}, Dimensions(1536, 2, "native")),
        ("small", {"native": 1536}, Dimensions(1536, 2, "native")),
        ("small", {"min": 64}, Dimensions(1536, 64, "native")),
        ("small", {"shorten": "truncate"}, Dimensions(1536, 2, "truncate")),
        ("small", {"allowed": [256]}, Dimensions(1536, 2, "native", [256])),
        ("listed", {}, Dimensions(1024, 1, "truncate", [256, 512])),
        ("listed", {"allowed": [128]}, Dimensions(1024, 1, "truncate", [128])),
        ("listed", {"allowed": []}, Dimensions(1024, 1, "truncate", [])),
        ("longer", {}, Dimensions(1024, 1, "native", [512, 2048])),
        ("longer", {"allowed": [2048]}, Dimensions(1024, 1, "native", [2048])),
        ("longer", {"shorten": "truncate"}, Dimensions(1024, 1, "truncate", [512])),
        ("plain", {}, Dimensions(768, 1, "never")),
        ("plain", {"shorten": "native", "allowed": [768, 1]}, Dimensions(768, 1, "native", [768, 1])),
        ("other", {"native": 3}, Dimensions(3, 1, "never")),
        ("other", {"native": 3, "min": 3, "shorten": "truncate"}, Dimensions(3, 3, "truncate")),
    ],
)
def test_dimensions(model: str, given: dict[str, Any], expected: Dimensions) -> None:
    """What the routing file says of dimensions comes before what the catalogue says."""
    actual = resolved(targets=openai(model), dimensions=given).dimensions

    assert expected == actual


def test_dimensions_of_the_target_that_is_known() -> None:
    """Of several targets one that is known is enough."""
    actual = resolved(targets=openai("other", "small"), space="mine").dimensions

    assert Dimensions(1536, 2, "native") == actual


def test_native_dimensions_are_required() -> None:
    """Native dimensions that nobody knows are refused, never learned from traffic."""
    actual = problems(targets=openai("other"), dimensions={"shorten": "truncate", "min": 2})

    assert [
        (
            "models.m.dimensions",
            "`native` is missing: the catalogue does not know this model; say how long its vectors are",
        )
    ] == actual


def test_contradicted_catalogue() -> None:
    """Other native dimensions than the catalogue's are refused."""
    actual = problems(targets=openai("small"), dimensions={"native": 512})

    assert [
        ("models.m.dimensions.native", "the catalogue says 1536; a route cannot change what a model makes")
    ] == actual


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"shorten": "truncate", "min": 769}, "models.m.dimensions.min"),
        ({"shorten": "truncate", "allowed": [1, 769, 2]}, "models.m.dimensions.allowed[1]"),
    ],
)
def test_longer_than_native(given: dict[str, Any], place: str) -> None:
    """A length beyond the native one is refused."""
    actual = problems(targets=openai("plain"), dimensions=given)

    assert [(place, "is more than the native 768")] == actual


@pytest.mark.parametrize("native", [None, 384, 1536])
def test_different_lengths(native: int | None) -> None:
    """Targets whose vectors are known to differ in length are refused, whatever the routing file says of them."""
    actual = problems(targets=openai("public", "public-short", "other"), space="mine", dimensions={"native": native})

    assert [("models.m.targets", "the targets make vectors of different lengths (384, 1536)")] == actual


@pytest.mark.parametrize(
    ("targets", "unable"),
    [
        ([{"provider": "static", "path": "wordllama"}], "static"),
        ([{"provider": "together", "model": "x"}], "together"),
        ([{"provider": "openai"}, {"provider": "together"}, {"provider": "huggingface"}], "huggingface, together"),
    ],
)
def test_who_cannot_shorten(targets: object, unable: str) -> None:
    """A length can be asked only of providers that have a field for it."""
    actual = problems(targets=targets, space="mine", dimensions={"native": 256, "shorten": "native"})

    assert [
        ("models.m.dimensions.shorten", f"{unable} cannot be asked to shorten; `truncate` cuts its vectors here")
    ] == actual


@pytest.mark.parametrize("shorten", ["truncate", "never"])
def test_others_need_not_shorten(shorten: str) -> None:
    """What the gateway does itself needs no field of the provider."""
    actual = resolved(targets=[{"provider": "together"}], dimensions={"native": 256, "shorten": shorten}).dimensions

    assert Dimensions(256, 1, shorten) == actual  # type: ignore[arg-type]


# ── limits and tokens ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("models", "given", "expected"),
    [
        (["small"], {}, Limits(2048, 8192, 300_000)),
        (["small", "small-elsewhere"], {}, Limits(256, 4096, 300_000)),
        (["small-elsewhere", "small"], {}, Limits(256, 4096, 300_000)),
        (["small", "small-elsewhere"], {"inputs": 2000}, Limits(2000, 4096, 300_000)),
        (["small"], {"input_tokens": 9000, "request_tokens": 1}, Limits(2048, 9000, 1)),
        (["plain"], {}, Limits(2048, None, None)),
        (["plain"], {"inputs": 1, "input_tokens": 2, "request_tokens": 3}, Limits(1, 2, 3)),
    ],
)
def test_limits(models: list[str], given: dict[str, int], expected: Limits) -> None:
    """Each limit is the routing file's, else the smallest that the catalogue knows of the targets."""
    actual = resolved(targets=openai(*models), limits=given).limits

    assert expected == actual


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("small", None, ("cl100k_base", True)),
        ("small", "o200k_base", ("o200k_base", True)),
        ("plain", None, ("cl100k_base", False)),
        ("public", None, ("own", True)),
        ("plain", "cl100k_base", ("cl100k_base", True)),
        ("plain", "bge/tokenizer.json", ("/etc/gateway/bge/tokenizer.json", True)),
        ("plain", "/bge/tokenizer.json", ("/bge/tokenizer.json", True)),
    ],
)
def test_tokenizer(model: str, given: str | None, expected: tuple[str, bool]) -> None:
    """The tokenizer is the routing file's, else the catalogue's, else one that only estimates."""
    actual = resolved(targets=openai(model), tokenizer=given)

    assert expected == (actual.tokenizer, actual.tokenizer_known)


def test_tokenizer_of_the_target_that_is_known() -> None:
    """Of several targets one whose tokenizer is known is enough."""
    actual = resolved(targets=openai("small-untold", "small"))

    assert actual.tokenizer_known


# ── what the routing file alone says ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("aliases", ()),
        ("client_tokens", "cl100k_base"),
        ("prompts", {}),
        ("input_types", ()),
        ("default_input_type", None),
        ("normalize", False),
        ("client_extra", "any"),
    ],
)
def test_defaults(key: str, expected: object) -> None:
    """What the routing file leaves out has the default that its schema names."""
    actual = getattr(resolved(targets=openai("small")), key)

    assert expected == actual


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("aliases", ["a", "b"], ("a", "b")),
        ("client_tokens", "reject", "reject"),
        ("prompts", {"document": "d: {text}"}, {"document": "d: {text}"}),
        ("prompts", {}, {}),
        ("normalize", True, True),
        ("client_extra", "none", "none"),
        ("client_extra", ["a", "b"], ("a", "b")),
        ("client_extra", [], ()),
    ],
)
def test_given(key: str, given: Any, expected: object) -> None:
    """What the routing file says arrives."""
    actual = getattr(resolved(targets=openai("small"), **{key: given}), key)

    assert expected == actual


def test_input_types() -> None:
    """A route has the input types that its prompts or its providers give it, and a default among them."""
    actual = resolved(targets=openai("small"), prompts={"query": "q: {text}"}, default_input_type="query")

    assert (("query",), "query") == (actual.input_types, actual.default_input_type)


@pytest.mark.parametrize("models", [["other"], ["small", "listed"]])
def test_no_half_routes(models: list[str]) -> None:
    """A model whose length or space is not certain is no route."""
    actual = model_rules.resolve(reading(), CATALOG, "m", ModelShape.model_validate({"targets": openai(*models)}), PATH)

    assert actual is None


def test_all_problems_of_a_model() -> None:
    """What is wrong with the space does not hide what is wrong with the rest."""
    actual = places(
        targets=[*openai("other", "another"), {"provider": "static"}],
        dimensions={"min": 2},
        default_input_type="query",
    )

    assert {"models.m", "models.m.dimensions", "models.m.targets[2]", "models.m.default_input_type"} == set(actual)


# ── characters, lengths and prices ────────────────────────────────────────────────────────────────────────────────

V3 = {"provider": "bedrock-cohere", "model": "cohere.embed-english-v3", "region": "eu-west-1"}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"targets": openai("other")}, None),
        ({"targets": [V3]}, 2048),
        ({"targets": [V3], "limits": {"input_chars": 3000}}, 3000),
        ({"targets": [V3 | {"model": "arn:aws:bedrock:eu:1:profile"}]}, 2048),
    ],
)
def test_characters(keys: dict[str, Any], expected: int | None) -> None:
    """Characters are limited by the routing file, else by what a provider limits for all its models."""
    assert expected == resolved(dimensions={"native": 1024}, **keys).limits.input_chars


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        ([True], None, True),
        ([False], None, False),
        ([None], None, None),
        ([True, True], None, True),
        ([True, None], None, None),
        ([None, False], None, False),
        ([False], True, True),
        ([None], False, False),
    ],
)
def test_unit_length(facts: list[bool | None], given: bool | None, expected: bool | None) -> None:
    """Vectors come with unit length where the file says so, or where it is known of every target."""
    catalog = {
        ("openai", str(number)): CatalogFacts(unit_length=fact, dimensions={"native": 3})  # type: ignore[arg-type]
        for number, fact in enumerate(facts)
    }
    shape = ModelShape.model_validate(
        {"space": "s", "unit_length": given, "targets": openai(*map(str, range(len(facts))))}
    )
    model = model_rules.resolve(reading(), catalog, "m", shape, PATH)

    assert model is not None
    assert expected is model.unit_length


@pytest.mark.parametrize(("provider", "expected"), [("tei", True), ("fireworks", False), ("vllm", None)])
def test_unit_length_of_a_provider(provider: str, expected: bool | None) -> None:
    """A provider that makes all its vectors alike speaks for models that nobody knows."""
    targets = [{"provider": provider, "base_url": "http://h"}]

    assert expected is resolved(targets=targets, dimensions={"native": 3}).unit_length


def test_price() -> None:
    """The price is the routing file's, else that of the dearest target, else unknown."""

    def price(*models: str, **keys: object) -> float | None:
        shape = ModelShape.model_validate({"space": "s", "targets": openai(*models), **keys})
        made = model_rules.resolve(reading(), REAL, "m", shape, PATH)
        assert made is not None
        return made.price

    small = "text-embedding-3-small"
    assert [0.02, 0.02, 0.5, 0.0] == [
        price(small),
        price(small, "unknown"),
        price(small, price={"input": 0.5}),
        price(small, price={"input": 0}),
    ]
    assert price("unknown", dimensions={"native": 3}) is None


@pytest.mark.parametrize(
    ("model", "input_types", "default"),
    [
        ("nvidia/nv-embedqa-e5-v5", ("query", "document"), "document"),
        ("nvidia/nv-embedqa-e5-v5-query", (), None),
        ("nvidia/nv-embedqa-e5-v5-passage", (), None),
    ],
)
def test_role_in_the_name(model: str, input_types: tuple[str, ...], default: str | None) -> None:
    """A model whose name ends in its role has no roles to choose from, and all else that the catalogue knows of it."""
    made = reading()
    shape = ModelShape.model_validate({"targets": [{"provider": "nvidia", "model": model}]})
    found = model_rules.resolve(made, REAL, "m", shape, PATH)

    assert found is not None
    assert not made.document.problems
    assert (input_types, default, 1024, 512, f"nvidia/{model}") == (
        found.input_types,
        found.default_input_type,
        found.dimensions.native,
        found.limits.input_tokens,
        found.space,
    )


# ── the catalogue ─────────────────────────────────────────────────────────────────────────────────────────────────

ENTRIES = sorted(REAL)


def test_catalogue_is_sound_yaml() -> None:
    """Nothing in the catalogue is given twice or in vain."""
    document = parse(model_rules.CATALOG_FILE.read_text("utf-8"), {})

    assert [] == document.problems


def test_catalogue_has_entries() -> None:
    """The catalogue knows OpenAI's models beside the embedded default's, and those of many others."""
    expected = {
        ("openai", "text-embedding-3-small"),
        ("openai", "text-embedding-3-large"),
        ("openai", "text-embedding-ada-002"),
        ("cohere", "embed-v4.0"),
        ("voyage", "voyage-4"),
        ("bedrock-titan", "amazon.titan-embed-text-v2:0"),
        ("static", "wordllama"),
    }

    assert expected <= set(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=":".join)
def test_catalogue_names_providers(entry: tuple[str, str]) -> None:
    """Every entry is of a provider that there is."""
    provider, _ = entry

    assert provider in PROVIDERS


def target_of(entry: tuple[str, str]) -> dict[str, str]:
    """The least that a target of this entry says: of itself, and of whose cloud it lives in."""
    name, model = entry
    provider = PROVIDERS[name]
    if not isinstance(provider, Provider):
        return {"provider": name, "path": model}
    places = {"region": "eu-west-1", "project": "p-1"}
    base_url = provider.base_url or "https://our.host"
    needs = {need.partition(" or ")[0] for need in provider.needs}
    needed = {key: places[key] for key in sorted(places) if key in needs or f"{{{key}}}" in base_url}
    return {"provider": name, "model": model, "base_url": base_url} | needed


@pytest.mark.parametrize("entry", ENTRIES, ids=":".join)
def test_catalogue_is_enough(entry: tuple[str, str]) -> None:
    """Of every entry a route can be made with no help but the place to reach it."""
    made = reading()
    shape = ModelShape.model_validate({"targets": [target_of(entry)]})
    model_rules.resolve(made, REAL, "m", shape, PATH)

    assert [] == made.document.problems


WITHOUT_SPACES = {
    *("nvidia", "together", "fireworks", "deepinfra", "siliconflow", "qianfan", "cloudflare", "watsonx", "databricks"),
    *("snowflake", "nebius", "ollama", "upstage"),
}
"""Providers of models that others serve too, in whatever revision and normalisation; Upstage's roles are models."""


@pytest.mark.parametrize("entry", [one for one in ENTRIES if one[0] not in WITHOUT_SPACES], ids=":".join)
def test_catalogue_knows_spaces(entry: tuple[str, str]) -> None:
    """Every entry names its space, but those whose name alone does not tell it."""
    facts = REAL[entry]

    assert facts.space is not None


LONGER = {"voyage": [2048], "text-embedding-v4": [1536, 2048]}
"""Where a provider makes longer vectors than it does unasked."""


@pytest.mark.parametrize("entry", ENTRIES, ids=":".join)
def test_catalogue_lengths(entry: tuple[str, str]) -> None:
    """No entry has a length beyond its native one, but for a provider that makes longer ones when asked."""
    of_it = REAL[entry].dimensions
    native = of_it.native or 0
    longer = [length for length in (of_it.min or 1, *(of_it.allowed or ())) if length > native]

    assert longer in ([], LONGER.get(entry[0] if entry[0] == "voyage" else entry[1]))


@pytest.mark.parametrize("entry", ENTRIES, ids=":".join)
def test_catalogue_inputs(entry: tuple[str, str]) -> None:
    """A client may send as many inputs as to OpenAI, whatever one call takes: they go in several calls."""
    promised = REAL[entry].limits.inputs

    assert MAX_INPUTS == promised


OLD_JINA = tuple(f"v2-base-{language}" for language in ("en", "de", "es", "zh", "code"))


def test_catalogue_batches() -> None:
    """No call holds more than the provider's limits, but for models that are known to take more than its others."""
    larger: dict[tuple[str, str], dict[str, int]] = {}
    for entry, facts in REAL.items():
        provider = PROVIDERS[entry[0]]
        own = provider.limits if isinstance(provider, Provider) else Limits()
        pairs = {
            "inputs": (facts.batch.inputs, own.inputs),
            "tokens": (facts.batch.tokens, own.request_tokens),
            "bytes": (facts.batch.bytes, own.request_bytes),
        }
        for key, (given, most) in pairs.items():
            if given is not None and most is not None and given > most:
                larger.setdefault(entry, {})[key] = given
    expected = {
        ("dashscope", "text-embedding-v1"): {"inputs": 25},
        ("dashscope", "text-embedding-v2"): {"inputs": 25},
        **{("jina", f"jina-embeddings-{name}"): {"inputs": 2048} for name in (*OLD_JINA, "v3")},
        ("vertex", "text-embedding-004"): {"inputs": 250},
        ("vertex", "text-embedding-005"): {"inputs": 250},
        ("vertex", "text-multilingual-embedding-002"): {"inputs": 250},
        ("voyage", "voyage-3.5"): {"tokens": 320_000},
        ("voyage", "voyage-3.5-lite"): {"tokens": 1_000_000},
        ("voyage", "voyage-4"): {"tokens": 320_000},
        ("voyage", "voyage-4-lite"): {"tokens": 1_000_000},
    }

    assert expected == larger


@pytest.mark.parametrize("entry", ENTRIES, ids=":".join)
def test_catalogue_input_types(entry: tuple[str, str]) -> None:
    """A model knows no input type that its provider cannot be told."""
    provider = PROVIDERS[entry[0]]
    tellable = provider.roles if isinstance(provider, Provider) else frozenset()

    assert set(REAL[entry].input_types or ()) <= tellable


@pytest.mark.parametrize("entry", ENTRIES, ids=":".join)
def test_catalogue_tokenizers(entry: tuple[str, str]) -> None:
    """Token ids are for OpenAI's models alone; every other's tokenizer is its own, and counts are an estimate."""
    expected = "cl100k_base" if "text-embedding-3-" in entry[1] or entry in CL100K else "own"

    assert expected == REAL[entry].tokenizer


CL100K = {("openai", "text-embedding-ada-002"), ("static", "wordllama")}


def test_catalogue_spaces_agree() -> None:
    """Models of one space make vectors of one length."""
    lengths: dict[str, set[int | None]] = {}
    for facts in REAL.values():
        if facts.space is not None:
            lengths.setdefault(facts.space, set()).add(facts.dimensions.native)

    assert dict.fromkeys(lengths, 1) == {space: len(different) for space, different in lengths.items()}


def test_catalogue_roles_of_jina() -> None:
    """Clustering is `separation` for the third version alone: later models do not get another's word for it."""
    tasks = {name: facts.input_types for (provider, name), facts in REAL.items() if provider == "jina"}

    assert ["jina-embeddings-v3"] == [name for name, known in tasks.items() if known is None or "clustering" in known]


NO_UNIT = {("databricks", "databricks-gte-large-en"), ("static", "wordllama")}


def test_catalogue_unit_length() -> None:
    """The catalogue knows which models' vectors are not of unit length, and says it of no others."""
    known = {entry for entry, facts in REAL.items() if facts.unit_length is False}

    assert NO_UNIT == known


def test_every_entry_is_enough_for_a_file(tmp_path: pathlib.Path) -> None:
    """Provider, model and a key, with the place in the provider's cloud, are all that a routing file needs."""
    models = {":".join(entry): {"targets": [target_of(entry) | key_of(entry)]} for entry in ENTRIES}
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps({"models": models}))

    assert list(models) == [model.alias for model in loading.load(file, {}).models]


def key_of(entry: tuple[str, str]) -> dict[str, str]:
    return {"api_key": "key-0123456789"} if isinstance(PROVIDERS[entry[0]], Provider) else {}


# ── what the catalogue can vouch for ──────────────────────────────────────────────────────────────────────────────

SMALL = {"provider": "openai", "model": "text-embedding-3-small"}
ELSEWHERE = {**SMALL, "base_url": "http://127.0.0.1:8080"}


def loaded(text: str, folder: pathlib.Path) -> ModelConfig:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return loading.load(file, {}).models[0]


def complaints(text: str, folder: pathlib.Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(text, folder)
    return [line.partition("gateway.yaml:")[2] for line in caught.value.lines()]


def test_elsewhere_ids_are_decoded(tmp_path: pathlib.Path) -> None:
    """A known name at another address may be another model, so its token ids are not trusted."""
    model = loaded(json.dumps({"models": {"m": {"targets": [ELSEWHERE]}}}), tmp_path)

    assert [False] == [target.token_ids for target in model.targets]


def test_elsewhere_lengths_are_the_operators(tmp_path: pathlib.Path) -> None:
    """At another address the routing file's own length holds against the catalogue's."""
    given = {"dimensions": {"native": 384}, "targets": [ELSEWHERE]}
    model = loaded(json.dumps({"models": {"m": given}}), tmp_path)

    assert 384 == model.dimensions.native


def test_elsewhere_needs_a_space(tmp_path: pathlib.Path) -> None:
    """A known name at two addresses is one space only if somebody says so."""
    (line,) = complaints(json.dumps({"models": {"m": {"targets": [SMALL, ELSEWHERE]}}}), tmp_path)

    assert "models.m: `space` is missing" in line


def test_space_fits_a_header(tmp_path: pathlib.Path) -> None:
    """A space that would be called by a name that no header can hold has to be named."""
    text = 'models: {模型: {dimensions: {native: 4}, targets: [{provider: openai, base_url: "http://h"}]}}'
    (line,) = complaints(text, tmp_path)

    assert "`space` is missing" in line


def test_prompts_apply_by_default(tmp_path: pathlib.Path) -> None:
    """With prompts an input that is told no type is a document, as bare texts would be another recipe."""
    given = {"prompts": {"query": "q: {text}", "document": "d: {text}"}, "targets": [SMALL]}

    assert "document" == loaded(json.dumps({"models": {"m": given}}), tmp_path).default_input_type


def test_prompts_without_a_default(tmp_path: pathlib.Path) -> None:
    """Prompts of which none is for documents need a default."""
    given = {"prompts": {"query": "q: {text}"}, "targets": [SMALL]}
    (line,) = complaints(json.dumps({"models": {"m": given}}), tmp_path)

    assert "`default_input_type` is missing" in line


@pytest.mark.parametrize("given", [{"native": 4, "allowed": [2]}, {"native": 4, "min": 1}])
def test_lengths_need_a_way(tmp_path: pathlib.Path, given: dict[str, object]) -> None:
    """Shorter lengths without a word on who shortens are refused."""
    models = {"m": {"dimensions": given, "targets": [{"provider": "openai", "base_url": "http://h"}]}}
    (line,) = complaints(json.dumps({"models": models}), tmp_path)

    assert "needs `shorten: native` or `shorten: truncate` beside it" in line


def test_fields_agree(tmp_path: pathlib.Path) -> None:
    """Targets of one kind that send different fields make vectors that cannot be compared."""
    targets = [{**SMALL, "name": name, "extra_body": {"prompt_name": name}} for name in ("query", "passage")]
    (line,) = complaints(json.dumps({"models": {"m": {"targets": targets}}}), tmp_path)

    assert "extra_body: differs from that of another target" in line


def test_misspelt_tokenizer(tmp_path: pathlib.Path) -> None:
    """A tokenizer that does not exist would silently switch its limits off, and is refused."""
    (line,) = complaints(json.dumps({"models": {"m": {"tokenizer": "cl100k", "targets": [SMALL]}}}), tmp_path)

    assert "models.m.tokenizer: must be cl100k_base" in line
