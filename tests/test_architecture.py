"""The house keeps its own rules: imports run one way, and each outside package has its door."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# A room may import only from rooms above it. Rooms of one line do not know each other.
GATEWAY_ORDER = [
    {
        "errors",
        "quantities",
        "document",
        "checks",
        "proxies",
        "shape",
        "adapters",
        "cutting",
        "together",
        "in_time",
        "logs",
        "cache_control",
        "flights",
        "packing",
        "planning",
        "breaker",
        "extra_load",
        "latency",
        "canary",
        "away",
        "lockstep",
        "cells",
        "exposition",
        "allowances",
        "connection",
        "turn_head",
        "flow",
        "announcement",
        "exchange_faults",
        "trust",
        "memory",
        "portions",
    },
    {"addresses", "signatures", "policy", "destination", "compression", "answer_head", "series"},
    {"event_loop", "request_head", "turn"},
    {"health", "delivery", "answer_parser"},
    {"sharing"},
    {"coalescing"},
    {"inputs", "dimensions", "credential_shape", "failures", "request_bytes", "answer_bytes", "dialing"},
    {"wire", "channel"},
    {"answers", "model_shape", "ways"},
    {"cache_entry"},
    {"cache_memory"},
    {"access_shape", "identity_shape", "pool"},
    {"schema"},
    {"auth"},
    {"claims", "minted"},
    {"id_tokens"},
    {"faults_of_shape", "config"},
    {"reading"},
    {"role_rules", "access_rules", "credential_rules", "cutting_rules"},
    {"target_rules", "identity_rules", "advice"},
    {"space_rules"},
    {"model_rules"},
    {"loading", "references"},
    {"litellm_credentials", "source", "changes"},
    {"litellm", "reload"},
    {"importing"},
    {"routing"},
    {"recipe"},
    {"gates"},
    {"notices", "store"},
    {
        *("store.grants", "store.holders", "store.outage", "store.patience", "store.redis_address"),
        *("store.redis_faults", "store.sqlite_file"),
    },
    {"store.memory"},
    {"record", "store.sqlite_values", "cache_state"},
    {"metrics", "tally"},
    {"tracing"},
    {"store.embedded", "store.redis_channel", "store.redis_limits", "limits", "spaces"},
    {"store.redis_dialing"},
    {"store.redis_cluster", "store.redis_sentinels", "store.redis_server"},
    {"store.redis_link"},
    {"store.redis", "store.redis_cache"},
    {"vocabulary"},
    {"tokens", "token_ids"},
    {"sizes", "parts"},
    {"admission", "contract", "lanes", "balance"},
    {"upstream", "retry", "halving", "golden", "slots"},
    {"credentials", "line", "statistics", "calls", "hedging"},
    {"backends", "batcher", "dispatch", "pinning", "trials"},
    {"usage", "engines", "token_sources", "ledger", "key_wishes", "state_watch", "known_keys", "key_sets", "replicas"},
    {"cache"},
    {"keys", "books", "space_report", "supply", "shelf"},
    {"service", "reports", "minting", "oidc", "key_lookup"},
    {"authentication", "canaries", "bulk", "code_flow"},
    {"sent_headers", "aftermath"},
    {"listing", "middleware", "protocol", "bodies", "origin"},
    {"trace_frame", "endpoints", "admin", "target_admin", "telemetry", "openapi_schemas", "traffic"},
    {"console", "console.charts", "console.sessions", "console.key_forms"},
    {"console.rendering"},
    {"console.door", "console.sums"},
    {
        *("console.overview", "console.targets", "console.keys", "console.usage", "console.configuration"),
        *("console.playground", "console.login"),
    },
    {"console.federated"},
    {"console.site"},
    {"openapi_answers"},
    {"openapi_paths"},
    {"openapi"},
    {"app"},
    {"assembly"},
    {"entrance"},
    {"probing"},
    {"probing.finding"},
    {"probing.vectors", "probing.report"},
    {"probing.abilities", "probing.asking"},
    {"probing.questions"},
    {"current", "carry_over"},
    {"link"},
    {"reloader", "crew"},
    {"house"},
    {"build", "lifespan"},
    {"rehearsal"},
    {"signals"},
    {"running", "welcome", "serving"},
    {"commands", "commands.output", "commands.granting"},
    {"commands.common"},
    {"commands.completing", "commands.completion"},
    {
        *("commands.cache", "commands.check", "commands.embed", "commands.importing", "commands.keys"),
        *("commands.probe", "commands.serve", "commands.space", "commands.targets", "commands.usage"),
    },
    {"cli"},
    {"__main__"},
]
PROVIDERS_ORDER = [
    {"values"},
    {"decimals", "base"},
    {"codec"},
    {"engine"},
    {
        "errors_shape",
        "aws_signature",
        "excerpt",
        "local.safetensors",
        "local.vocabulary",
        "local.extras",
        "local.folder",
    },
    {"local.table"},
    {"openai_shape", "token_grants", "local.pooling", "local.sequences"},
    {"native_shape", "infinity_statistics", "local.onnx"},
    {"bedrock_shape", "cohere_shape", "google_shape"},
    {"bedrock_cohere", "bedrock_nova", "bedrock_titan"},
    {"cohere", "gemini", "huggingface", "nomic", "ollama", "tei_native", "vertex", "watsonx"},
    {"dialect"},
    {"openai", "azure", "compatible", "relays", "self_hosted", "snowflake", "perplexity"},
    {"local.static", "local.fastembed", "local.sentence_transformers"},
    {"__init__"},
]

# Who may import what does not come with Python.
DOORS = {
    "botocore": {"providers.aws_signature"},
    "certifi": {"gateway.trust"},
    "click": {
        "gateway.cli",
        *(
            f"gateway.commands.{room}"
            for room in (
                *("cache", "check", "common", "completing", "completion", "embed", "granting", "importing", "keys"),
                *("output", "probe", "serve", "space", "targets", "usage"),
            )
        ),
    },
    "cryptography": {"providers.token_grants"},
    "fastembed": {"providers.local.fastembed"},
    "hiredis": {"gateway.store.redis_channel", "gateway.store.redis_dialing"},
    "httptools": {"gateway.answer_parser", "gateway.protocol", "gateway.request_head"},
    "httpx": {"gateway.running"},
    "idna": {"gateway.destination"},
    "jinja2": {"gateway.console.rendering"},
    "jwt": {"gateway.signatures", "providers.token_grants"},
    "numpy": {
        "gateway.contract",
        "providers.codec",
        "providers.decimals",
        "providers.local.safetensors",
        "providers.local.pooling",
        "providers.local.static",
        "providers.local.table",
        "providers.local.onnx",
        "providers.local.fastembed",
        "providers.local.sentence_transformers",
    },
    "onnxruntime": {"providers.local.onnx"},
    "opentelemetry": {"gateway.tracing"},
    "orjson": {"providers.codec"},
    "prometheus_client": {"gateway.cells", "gateway.exposition", "gateway.series"},
    "pybase64": {"providers.codec"},
    "pydantic": {
        *("gateway.shape", "gateway.schema", "gateway.model_shape", "gateway.access_shape", "gateway.quantities"),
        *("gateway.credential_shape", "gateway.credential_rules", "gateway.faults_of_shape", "gateway.reading"),
        *("gateway.key_wishes", "gateway.identity_shape", "gateway.changes"),
    },
    "starlette": {
        *("gateway.app", "gateway.lifespan", "gateway.current", "gateway.endpoints", "gateway.admin", "gateway.bodies"),
        *("gateway.middleware", "gateway.origin", "gateway.sent_headers", "gateway.target_admin"),
        *("gateway.serving", "gateway.telemetry", "gateway.trace_frame", "gateway.turn"),
        *("gateway.console.configuration", "gateway.console.playground"),
        *("gateway.console.rendering", "gateway.console.door", "gateway.console.login", "gateway.console.site"),
        "gateway.console.federated",
        *("gateway.console.overview", "gateway.console.targets", "gateway.console.keys", "gateway.console.usage"),
    },
    "redis": {"gateway.store.redis_cluster"},
    "sentence_transformers": {"providers.local.sentence_transformers"},
    "tenacity": {"gateway.retry"},
    "tiktoken": {"gateway.vocabulary", "gateway.token_ids"},
    "tokenizers": {
        "gateway.tokens",
        "providers.local.vocabulary",
        "providers.local.sequences",
        "providers.local.onnx",
    },
    "torch": {"providers.local.sentence_transformers"},
    "transformers": {"providers.local.sentence_transformers"},
    "uvicorn": {"gateway.announcement", "gateway.serving", "gateway.protocol"},
    "uvloop": {"gateway.event_loop"},
    "yaml": {"gateway.document"},
}
PURE = {
    f"gateway.{room}"
    for room in (
        *("errors", "inputs", "wire", "answers", "dimensions", "cutting"),
        *("routing", "packing", "planning", "contract", "policy", "lanes"),
        *("cache_control", "cache_entry", "cache_memory"),
        *("balance", "breaker", "extra_load", "latency", "delivery"),
        *("exchange_faults", "destination", "compression", "request_bytes"),
        *("answer_head", "answer_parser", "answer_bytes", "turn_head", "request_head"),
        "portions",
    )
}
READS_OUTSIDE = {"asyncio", "os", "socket", "subprocess", "threading", "time", "random", "pathlib", "logging"}


FILES = [file for package in ("gateway", "providers") for file in sorted((ROOT / package).rglob("*.py"))]


def module_of(file: pathlib.Path) -> str:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__") if name.count(".") > 1 else name


def imports_of(file: pathlib.Path) -> set[str]:
    """Every module that a file imports, at its top or within a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            base = node.module or ""
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if is_module(name)} or {base}
    return found


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def rank(order: list[set[str]], room: str) -> int:
    return next(place for place, rooms in enumerate(order) if room in rooms)


IDS = [module_of(file) for file in FILES]


def test_every_room_has_its_place() -> None:
    """The order names every module that there is, and no other."""
    placed = {f"gateway.{room}" for rooms in GATEWAY_ORDER for room in rooms} | {
        f"providers.{room}" for rooms in PROVIDERS_ORDER for room in rooms
    }

    assert placed | {"gateway.__init__", "providers.local"} == set(IDS)


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_imports_run_one_way(file: pathlib.Path) -> None:
    """A module imports only from rooms above its own, and providers know no gateway."""
    package, _, room = module_of(file).partition(".")
    order = {"gateway": GATEWAY_ORDER, "providers": PROVIDERS_ORDER}[package]
    for imported in imports_of(file):
        head, _, other = imported.partition(".")
        if head == package and other and is_module(imported):
            assert rank(order, other) < rank(order, room), f"{package}.{room} imports {imported}"
        assert not (package == "providers" and head == "gateway"), f"providers.{room} imports {imported}"


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_one_door_each(file: pathlib.Path) -> None:
    """What does not come with Python is imported only where it is meant to be."""
    module = module_of(file)
    outside = {name.partition(".")[0] for name in imports_of(file)} - sys.stdlib_module_names - {"gateway", "providers"}

    assert {package for package in outside if module not in DOORS.get(package, set())} == set()


def test_no_door_in_vain() -> None:
    """Every door is in use."""
    used = {(name.partition(".")[0], module_of(file)) for file in FILES for name in imports_of(file)}

    assert {(package, module) for package, modules in DOORS.items() for module in modules} <= used


@pytest.mark.parametrize("file", [file for file in FILES if module_of(file) in PURE], ids=sorted(PURE))
def test_deciding_rooms_do_nothing(file: pathlib.Path) -> None:
    """Rooms that decide import nothing that acts, waits or looks at the world."""
    assert imports_of(file) & READS_OUTSIDE == set()


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_rooms_say_what_they_are_for(file: pathlib.Path) -> None:
    """A module opens with a sentence."""
    documentation = ast.get_docstring(ast.parse(file.read_text("utf-8")))
    assert documentation or not file.read_text("utf-8").strip()


@pytest.mark.parametrize("file", [file for file in FILES if module_of(file) != "gateway.loading"], ids=lambda f: f.stem)
def test_environment_is_read_in_one_place(file: pathlib.Path) -> None:
    """No other room reads the environment; `os.environ/NAME` is how LiteLLM's files say that they do."""
    text = file.read_text("utf-8").replace("os.environ/", "")

    assert [word for word in ("os.environ", "getenv") if word in text] == []
