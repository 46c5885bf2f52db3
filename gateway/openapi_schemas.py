"""The bodies of the interface as JSON Schema: what clients and operators send, and what they are answered.

What the code already knows is taken from it: error codes, fields of keys, columns of usage.
https://spec.openapis.org/oas/v3.1.1.html#schema-object
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway import errors
from gateway.access_shape import BudgetShape, KeyWish
from gateway.inputs import MAX_INPUTS, MAX_TOKEN_ID
from gateway.model_shape import RatesShape
from gateway.reports import COLUMNS
from gateway.wire import INPUT_TYPES, MAX_METADATA_KEY, MAX_METADATA_PAIRS, MAX_METADATA_VALUE

Schema = dict[str, Any]

INVALID_KEY: Final = "invalid_api_key"
"""The one code that is no error's own: a key was sent, and it is wrong."""


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def kinds_of_error(kind: type[errors.GatewayError] = errors.GatewayError) -> Iterator[type[errors.GatewayError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from kinds_of_error(narrower)


def error_codes() -> list[str]:
    return sorted({kind.code for kind in kinds_of_error() if kind.code} | {INVALID_KEY})


def schemas() -> Schema:
    """Each under the name that `ref` takes."""
    return {
        "EmbeddingsRequest": _embeddings_request(_ANY_INPUT),
        "NugenRequest": _embeddings_request(_TEXTS),
        "Embeddings": _answer(
            {"object": {"const": "list"}, "data": _list(ref("Embedding")), "model": _TEXT, "usage": ref("Usage")}
        ),
        "Embedding": _answer({"object": {"const": "embedding"}, "index": _COUNT, "embedding": ref("Vector")}),
        "Vector": {
            "description": "Numbers, or with `encoding_format: base64` the base64 of little-endian float32.",
            "anyOf": [_list({"type": "number"}), {"type": "string", "contentEncoding": "base64"}],
        },
        "Usage": _answer({"prompt_tokens": _COUNT, "total_tokens": _COUNT}),
        "NugenEmbeddings": _answer(
            {
                "id": {"type": "string", "pattern": "^embed-"},
                "object": {"const": "embedding"},
                "data": _list(_answer({"index": _COUNT, "embedding": ref("Vector")})),
                "model": _TEXT,
                "created": _COUNT,
                "usage": _answer({"total_tokens": _COUNT}),
            }
        ),
        "Model": _MODEL,
        "Models": _page(ref("Model")),
        "UsageReport": _page(_usage(COLUMNS)) | {"required": ["object", "data", "total"]},
        "Status": _answer({"status": _TEXT}) | _WITHOUT,
        "Config": {"type": "object"},
        "Reload": _answer({"object": {"const": "reload"}, "changes": _list(_CHANGE), "warnings": _list(_TEXT)}),
        "Replicas": _page(ref("Replica")),
        "Replica": _REPLICA,
        "Cache": _CACHE,
        "Cleared": _answer({"object": {"const": "cache"}, "cleared": {"const": True}}),
        "TargetName": _answer({"model": _TEXT, "target": _TEXT}) | {"additionalProperties": False},
        "Error": _error(),
        **_key_schemas(),
    }


def _answer(properties: Schema) -> Schema:
    """An object that always has all of these, and may get more in a later version."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: Schema, least: int = 0, most: int | None = None) -> Schema:
    bounds = {"minItems": least or None, "maxItems": most}
    return {"type": "array", "items": items, **{name: bound for name, bound in bounds.items() if bound}}


def _page(items: Schema) -> Schema:
    return _answer({"object": {"const": "list"}, "data": _list(items)})


def _or_null(kind: str) -> Schema:
    return {"type": [kind, "null"]}


_TEXT: Final[Schema] = {"type": "string"}
_BOOLEAN: Final[Schema] = {"type": "boolean"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_WITHOUT: Final[Schema] = {
    "properties": {
        "status": _TEXT,
        "unavailable": _list(_TEXT) | {"description": "Models without a target that takes calls."},
    }
}
_INPUT: Final[Schema] = {"type": "string", "minLength": 1}
_TOKEN_IDS: Final = _list({"type": "integer", "minimum": 0, "maximum": MAX_TOKEN_ID}, 1)
_TEXTS: Final[Schema] = {"anyOf": [_INPUT, _list(_INPUT, 1, MAX_INPUTS)]}
_ANY_INPUT: Final[Schema] = {"anyOf": [*_TEXTS["anyOf"], _TOKEN_IDS, _list(_TOKEN_IDS, 1, MAX_INPUTS)]}

_CHANGE: Final = _answer(
    {"path": _TEXT, "kind": {"enum": ["added", "removed", "changed"]}, "old": {}, "new": {}, "needs_restart": _BOOLEAN}
)
_CACHE: Final = _answer(
    {
        "object": {"const": "cache"},
        "processes": _COUNT,
        "memory": _answer(dict.fromkeys(("entries", "bytes", "limit", "evictions"), _COUNT)),
        "models": _list(_answer({"model": _TEXT, "hits": _COUNT, "misses": _COUNT, "ratio": {"type": "number"}})),
    }
)
_REPLICA: Final = _answer(
    {
        "replica": _TEXT | {"description": "The process: host, number, and a word of its own."},
        "version": _TEXT,
        "since": {"type": "number"},
        "at": {"type": "number"},
        "targets": _list(
            _answer(
                {
                    **dict.fromkeys(("model", "space", "target", "provider", "upstream_model", "state"), _TEXT),
                    **dict.fromkeys(("waiting", "running", "slots", "in_flight", "consecutive_failures"), _COUNT),
                }
            )
        ),
    }
)
_MODEL: Final = _answer(
    {
        "id": _TEXT,
        "object": {"const": "model"},
        "created": _COUNT,
        "owned_by": _TEXT,
        "backend": _TEXT,
        "capabilities": _list(_TEXT),
        "stats": _answer(
            {
                "queue_fraction": {"type": "number"},
                "queue_absolute": _COUNT,
                "results_pending": _COUNT,
                "batch_size": _or_null("integer"),
                "targets": {"type": "object", "additionalProperties": _COUNT},
            }
        ),
        "available": _BOOLEAN | {"description": "Whether one of its targets takes calls."},
        "dimensions": _answer(
            {"native": _COUNT, "min": _COUNT, "supported": {"type": ["array", "null"], "items": _COUNT}}
        ),
        "max_input_tokens": _or_null("integer"),
        "tokenizer": _TEXT,
        "space": _TEXT,
        "unit_length": _or_null("boolean"),
        "input_types": _list({"enum": list(INPUT_TYPES)}),
    }
)


def _embeddings_request(inputs: Schema) -> Schema:
    return {
        "type": "object",
        "description": "Unknown fields are passed on to the backend like those of `extra_body`. Null means absent.",
        "required": ["model", "input"],
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "A name of `GET /v1/models`."},
            "input": inputs,
            "encoding_format": {"enum": ["float", "base64", None], "default": "float"},
            "dimensions": {"type": ["integer", "null"], "minimum": 1},
            "user": _or_null("string"),
            "input_type": {"enum": [*INPUT_TYPES, None], "description": "What the vectors are for."},
            "metadata": {
                "type": ["object", "null"],
                "description": "For the request's log line; not passed on.",
                "maxProperties": MAX_METADATA_PAIRS,
                "propertyNames": {"maxLength": MAX_METADATA_KEY},
                "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_VALUE},
            },
            "extra_body": _or_null("object") | {"description": "Fields for the backend's own request body."},
        },
    }


def _error() -> Schema:
    types = sorted({kind.type for kind in kinds_of_error()})
    properties = _answer(
        {
            "error": _answer(
                {
                    "message": {"type": "string", "description": "What was wrong, the limit, and what to do."},
                    "type": {"enum": types},
                    "param": _or_null("string") | {"description": "The field at fault."},
                    "code": {"enum": [*error_codes(), None]},
                }
            )
        }
    )
    problems = _list(_TEXT) | {"description": "Of a routing file that was refused: everything that is wrong with it."}
    return {**properties, "properties": {**properties["properties"], "problems": problems}}


def _usage(columns: tuple[str, ...]) -> Schema:
    texts = {"day", "key_id", "key", "model"}
    special = {"team": _or_null("string"), "usd": {"type": "number", "minimum": 0}}
    return _answer({name: special.get(name, _TEXT if name in texts else _COUNT) for name in columns})


def _key_schemas() -> Schema:
    """What a key is to be, as its shape has it; and a key as it is told, which has the hash of nothing."""
    wish = KeyWish.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = wish.pop("$defs")
    change = {name: {"description": about.get("description", "")} for name, about in wish["properties"].items()}
    moment = {"type": ["number", "null"], "description": "Seconds since the epoch."}
    own = {
        "object": {"const": "key"},
        "id": _TEXT,
        "name": _TEXT,
        "status": {"enum": ["active", "ending", "expired", "revoked"]},
        "models": _list(_TEXT),
        "team": _or_null("string"),
        "limits": ref(RatesShape.__name__),
        "model_limits": {"type": "object", "additionalProperties": ref(RatesShape.__name__)},
        "budget": {"anyOf": [ref(BudgetShape.__name__), {"type": "null"}]},
        "priority": {"enum": ["interactive", "bulk"]},
        "cache": {"type": "boolean"},
        "metadata": {"type": "object", "additionalProperties": _TEXT},
        **dict.fromkeys(("created", "expires", "revoked"), moment),
    }
    return {
        **parts,
        "KeyWish": wish,
        "KeyChange": {
            "type": "object",
            "description": "A JSON merge patch (RFC 7396): what is not named stays, null takes a limit away.",
            "properties": change,
            "additionalProperties": False,
        },
        "Key": _answer(own),
        "NewKey": _answer({**own, "key": {"type": "string", "description": "The key itself, told only now."}}),
        "Keys": _page(ref("Key")),
        "Overlap": {
            "type": "object",
            "required": ["overlap"],
            "properties": {
                "overlap": {
                    "type": "string",
                    "pattern": r"^(0|[1-9][0-9]{0,2}(s|m|h|d))$",
                    "description": "How long the old key still works, like `24h`; `0` ends it now.",
                }
            },
            "additionalProperties": False,
        },
    }
