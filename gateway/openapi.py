"""`GET /openapi.json`: the whole interface, for people, generators of clients, and tests. Open to all: it is the same
for everyone, is in the public source, and tells nothing of this gateway's models, keys or backends.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import functools
from typing import Any, Final

import gateway
from gateway import openapi_answers, openapi_paths, openapi_schemas
from providers import codec

_ABOUT: Final = """\
Embeddings from any provider, by OpenAI's interface.

Every path is also served with a trailing slash, and those under `/v1` without it, too. `/admin` is there where an
admin key is set, `/metrics` there or with `server.metrics: public`; elsewhere they are a 404. A wrong method is a 405
whose `allow` names the right ones, too large headers are a 431; both have the error's shape, as every error has."""


@functools.cache
def body() -> bytes:
    """The description as JSON; it never changes within a version."""
    return codec.write_json(document())


def document() -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Embedding gateway",
            "version": gateway.__version__,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": openapi_paths.paths(),
        "components": {
            "schemas": openapi_schemas.schemas(),
            "responses": openapi_answers.responses(),
            "headers": openapi_answers.headers(),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of this gateway, a minted one, or a token of a trusted identity provider.",
                },
                "azure_key": {"type": "apiKey", "in": "header", "name": "api-key", "description": "The same key."},
                "admin_key": {"type": "http", "scheme": "bearer", "description": "The operator's key."},
            },
        },
    }
