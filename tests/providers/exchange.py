"""What a provider sends for a call, and what it makes of an answer, without anything in between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from providers.base import EmbedCall, Endpoint, Fault, FaultKind, InputType, Provider, Request, Response
from tests.fakes.backends import vector

KEY = "key-of-the-target-0123456789"
ROLES: tuple[InputType, ...] = ("query", "document", "classification", "clustering", "similarity")

A, B = vector(0.1, 0.2), vector(0.3, 0.4)
"""The vectors of most sample answers."""

HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"


def request(provider: Provider, call: EmbedCall, **fields: Any) -> Request:
    """The request to the provider's own address, or to the one given."""
    fields = {"base_url": provider.base_url or "", **fields}
    return provider.build_request(call, Endpoint(**fields))


def body(provider: Provider, call: EmbedCall, **fields: Any) -> Any:
    return json.loads(request(provider, call, **fields).body)


def roles_sent(provider: Provider, field: str, text: str = "one") -> dict[InputType, object]:
    """For each input type that the provider tells apart, the value of this field, wherever in the body it is."""
    calls = {role: EmbedCall("m", [text], input_type=role) for role in ROLES if role in provider.roles}
    return {role: _find(body(provider, call), field) for role, call in calls.items()}


def _find(value: Any, field: str) -> object:
    if isinstance(value, Mapping):
        if field in value:
            return value[field]
        value = list(value.values())
    inner = value if isinstance(value, list) else []
    return next((found for item in inner if (found := _find(item, field)) is not None), None)


def answer(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Response(status, headers or {}, raw)


def malformed(message: str) -> Fault:
    return Fault(FaultKind.MALFORMED, message, 200)


def fault(provider: Provider, payload: object, status: int, headers: Mapping[str, str] | None = None) -> Fault:
    return provider.parse_error(answer(payload, status, headers))


def kinds(provider: Provider, statuses: Mapping[int, FaultKind], payload: object = None) -> dict[int, FaultKind]:
    """What the provider takes each of these statuses for."""
    return {status: fault(provider, payload, status).kind for status in statuses}
