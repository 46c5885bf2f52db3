"""What all paths answer alike: errors by status, and headers.

https://spec.openapis.org/oas/v3.1.1.html#components-object
"""

from __future__ import annotations

from typing import Final

from gateway.openapi_schemas import Schema, ref

JSON: Final = "application/json"

_ERRORS: Final = {
    400: "A field is missing or wrong, or the backend refused the input; `param` names the field.",
    401: "There is no key, or it is wrong, expired or revoked.",
    404: "There is no such model, or this key may not use it; or there is no such key or path.",
    408: "The body did not arrive in time.",
    409: "The model serves another vector space than `x-embedding-require-space`.",
    413: "The body is too large.",
    415: "The body is compressed, which is not taken.",
    429: "A limit or a budget is used up, or too many wrong keys came from this address.",
    500: "The gateway made a mistake.",
    502: "The backends failed, or gave wrong vectors.",
    503: "Backends, the gateway or its state have no capacity, or it is stopping.",
    504: "No backend answered in time.",
}
_ERROR_HEADERS: Final = ("x-request-id", "retry-after", "retry-after-ms", "x-should-retry")

HEADERS: Final = {
    "x-request-id": "The client's own id if it sent a short plain one, else one of the gateway's.",
    "openai-processing-ms": "Milliseconds spent in the gateway, backends included.",
    "server-timing": "Where the time went, step by step, in milliseconds.",
    "x-embedding-space": "The vector space of these vectors; only vectors of one space can be compared.",
    "x-embedding-target": "Which targets answered; not sent with `server.expose_targets: false`.",
    "x-embedding-usage": "Where the tokens are known from: `reported`, `counted` or `estimated`.",
    "x-embedding-cache": "How many of the inputs needed nothing to be sent, of all; only where a cache is used.",
    "x-embedding-truncated": "Positions of inputs of which something was left out.",
    "x-ratelimit-limit-requests": "Requests a minute.",
    "x-ratelimit-limit-tokens": "Tokens a minute.",
    "x-ratelimit-remaining-requests": "Requests that are left.",
    "x-ratelimit-remaining-tokens": "Tokens that are left.",
    "x-ratelimit-reset-requests": "When all requests are there again.",
    "x-ratelimit-reset-tokens": "When all tokens are there again.",
    "retry-after": "Seconds after which another try makes sense.",
    "retry-after-ms": "The same in milliseconds.",
    "x-should-retry": "`false` where another try cannot help.",
}


def headers() -> Schema:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()}


def responses() -> Schema:
    """Each error's answer, under the name that an operation refers to."""
    return {
        f"Error{status}": {
            "description": text,
            "headers": header_references(_ERROR_HEADERS),
            "content": {JSON: {"schema": ref("Error")}},
        }
        for status, text in _ERRORS.items()
    }


def header_references(names: tuple[str, ...]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def errors(*statuses: int) -> Schema:
    return {str(status): {"$ref": f"#/components/responses/Error{status}"} for status in sorted(statuses)}
