"""The paths of the interface: each method with what it takes, what it answers, and who may call it.

https://spec.openapis.org/oas/v3.1.1.html#path-item-object
"""

from __future__ import annotations

from typing import Any, Final

from gateway.openapi_answers import JSON, errors, header_references
from gateway.openapi_schemas import Schema, ref

_OF_CALLERS: Final = (401, 429, 500, 502, 503)  # 502 and 503: a token's issuer cannot be asked
_OF_BODIES: Final = (400, 408, 413, 415)
_OF_ADMINS: Final = (401, 404, 429, 500, 503)

_EMBEDDING_HEADERS: Final = (
    *("x-request-id", "openai-processing-ms", "server-timing"),
    *("x-embedding-space", "x-embedding-target", "x-embedding-usage", "x-embedding-truncated"),
    "x-embedding-cache",
    *(f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset") for kind in ("requests", "tokens")),
)


def paths() -> Schema:
    """By path and method in lower case."""
    embed = _embed("EmbeddingsRequest", "Embeddings")
    in_path = _parameter("model", "path", {"type": "string", "minLength": 1}, "A model's name; it may hold `/`.")
    version = _parameter("api-version", "query", {"type": "string"}, "What Azure's clients send; it decides nothing.")
    key_id = _parameter("key_id", "path", {"type": "string", "minLength": 1}, "A key's id.")
    days = [_parameter(name, "query", {"type": "string", "format": "date"}, "A day of UTC.") for name in ("from", "to")]
    return {
        "/v1/embeddings": {"post": {"operationId": "embed", "summary": "Embed texts or token ids", **embed}},
        "/v1/engines/{model}/embeddings": {
            "parameters": [in_path],
            "post": {"operationId": "embed_by_engine", "summary": "The same, as old clients ask", **embed},
        },
        "/openai/v1/embeddings": {
            "post": {
                "operationId": "embed_by_azure",
                "summary": "The same, as Azure's clients ask",
                **embed,
                "security": [{"key": []}, {"azure_key": []}],
            }
        },
        "/openai/deployments/{model}/embeddings": {
            "parameters": [in_path, version],
            "post": {
                "operationId": "embed_by_deployment",
                "summary": "The same, as Azure's clients ask for a deployment",
                **embed,
                "security": [{"key": []}, {"azure_key": []}],
            },
        },
        "/api/v3/inference/embeddings": {
            "post": {
                "operationId": "embed_by_nugen",
                "summary": "Embed texts, as Nugen's clients ask",
                **_embed("NugenRequest", "NugenEmbeddings"),
            }
        },
        "/v1/models": {
            "get": _read("list_models", "The models that this key may use", "Models", *_OF_CALLERS),
        },
        "/v1/models/{model}": {
            "parameters": [in_path],
            "get": _read("show_model", "One of them", "Model", 404, *_OF_CALLERS),
        },
        "/v1/usage": {
            "parameters": days,
            "get": _read("show_usage", "What this key has used, by day and model", "UsageReport", 400, *_OF_CALLERS),
        },
        "/health/live": {"get": _open("live", "Whether the process answers", "Status")},
        "/health/ready": {
            "get": _open("ready", "Whether it may be sent requests", "Status")
            | {"responses": {"200": _json("Ready.", "Status"), "503": _json("Stopping, or without state.", "Status")}}
        },
        "/openapi.json": {"get": _open("describe", "This description", None)},
        "/metrics": {
            "get": {
                "operationId": "metrics",
                "summary": "Numbers for Prometheus; open to all with `server.metrics: public`",
                "security": [{"admin_key": []}],
                "responses": {
                    "200": {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {}}}},
                    **errors(*_OF_ADMINS),
                },
            }
        },
        "/admin/keys": {
            "get": _admin("list_keys", "All keys", "Keys"),
            "post": _admin("create_key", "Make a key", "NewKey", takes="KeyWish", status=201),
        },
        "/admin/keys/{key_id}": {
            "parameters": [key_id],
            "get": _admin("show_key", "One key", "Key"),
            "patch": _admin("change_key", "Change a key", "Key", takes="KeyChange"),
            "delete": _admin("revoke_key", "Revoke a key, for ever", "Key") | {"responses": _answers("Key", 200, 400)},
        },
        "/admin/keys/{key_id}/rotate": {
            "parameters": [key_id],
            "post": _admin(
                "rotate_key", "Make a successor with the same rights", "NewKey", takes="Overlap", status=201
            ),
        },
        "/admin/config": {"get": _admin("show_config", "What is served, its secrets hidden", "Config")},
        "/admin/reload": {
            "post": _admin("reload", "Read the routing file anew", "Reload")
            | {"responses": _answers("Reload", 200, 400)}
        },
        "/admin/cache": {
            "get": _admin("show_cache", "What the cache of all processes has done", "Cache"),
            "delete": _admin("clear_cache", "Have every process forget what was kept", "Cleared"),
        },
        "/admin/targets": {"get": _admin("list_targets", "How targets are doing in every process", "Replicas")},
        "/admin/targets/drain": {
            "post": _admin("drain_target", "Ask a target no more", "Replica", takes="TargetName")
            | {"responses": _answers("Replica", 200, 404, *_OF_BODIES)}
        },
        "/admin/targets/restore": {
            "post": _admin("restore_target", "Ask a drained target again", "Replica", takes="TargetName")
            | {"responses": _answers("Replica", 200, 404, *_OF_BODIES)}
        },
        "/admin/usage": {
            "parameters": [
                *days,
                *(_parameter(name, "query", {"type": "string"}, f"Only of this {name}.") for name in _CHOOSES),
                _parameter("format", "query", {"enum": ["json", "csv"]}, "`csv` is for spreadsheets."),
            ],
            "get": _admin("show_all_usage", "Everyone's usage, by day, key and model", "UsageReport")
            | {"responses": _answers("UsageReport", 200, 400, csv=True)},
        },
    }


_CHOOSES: Final = ("key", "team", "model")


def _parameter(name: str, place: str, schema: Schema, about: str) -> Schema:
    return {"name": name, "in": place, "schema": schema, "description": about, "required": place == "path"}


def _json(about: str, schema: str | None) -> Schema:
    return {"description": about, "content": {JSON: {"schema": {"type": "object"} if schema is None else ref(schema)}}}


def _body(schema: str) -> Schema:
    return {"required": True, "content": {JSON: {"schema": ref(schema)}}}


def _embed(takes: str, gives: str) -> dict[str, Any]:
    """Every way of asking takes the same headers, and fails alike."""
    wishes: dict[str, tuple[str, Schema]] = {
        "x-request-id": ("An id for logs, of up to 128 letters, digits and `._:-`.", {"type": "string"}),
        "x-request-timeout-ms": (
            "Most milliseconds for this request; it may only shorten.",
            {"type": "string", "pattern": "^[1-9][0-9]{0,8}$"},
        ),
        "x-priority": ("`bulk` lowers it; `interactive` leaves it as it is.", {"enum": ["interactive", "bulk"]}),
        "x-embedding-require-space": ("Refuse vectors of any other space.", {"type": "string"}),
    }
    answer = _json("One vector for each input, in order.", gives) | {"headers": header_references(_EMBEDDING_HEADERS)}
    return {
        "security": [{"key": []}],
        "parameters": [_parameter(name, "header", schema, about) for name, (about, schema) in wishes.items()],
        "requestBody": _body(takes),
        "responses": {"200": answer, **errors(404, 409, 504, *_OF_BODIES, *_OF_CALLERS)},
    }


def _read(operation: str, summary: str, gives: str, *statuses: int) -> Schema:
    answers = {"200": _json(f"{summary}.", gives), **errors(*statuses)}
    return {"operationId": operation, "summary": summary, "security": [{"key": []}], "responses": answers}


def _open(operation: str, summary: str, gives: str | None) -> Schema:
    answers = {"200": _json(f"{summary}.", gives)}
    return {"operationId": operation, "summary": summary, "security": [], "responses": answers}


def _admin(operation: str, summary: str, gives: str, *, takes: str | None = None, status: int = 200) -> Schema:
    about = {"operationId": operation, "summary": summary, "security": [{"admin_key": []}]}
    if takes is None:
        return {**about, "responses": _answers(gives, status)}
    return {**about, "requestBody": _body(takes), "responses": _answers(gives, status, *_OF_BODIES)}


def _answers(gives: str, status: int, *statuses: int, csv: bool = False) -> Schema:
    answer = _json("Done.", gives)
    if csv:
        answer["content"]["text/csv"] = {"schema": {"type": "string"}}
    return {str(status): answer, **errors(*statuses, *_OF_ADMINS)}
