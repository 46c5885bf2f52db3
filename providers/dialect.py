"""Where a service departs from OpenAI's embeddings endpoint, as a record: most providers are one of these and no code.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from providers import errors_shape, openai_shape
from providers.base import EmbedCall, Endpoint, InputType, Provider, Request
from providers.errors_shape import Meaning


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names that a service gives to what every call has; None where it documents no such field.

    `version` is the path added to a base URL that has no version; None: the base URL is taken as it is.
    `asks_base64` are the fields that ask for base64 of float32.
    `always` is sent with every call: a switch against silent truncation, mostly.
    `guarded` are further body keys that no client may set.
    """

    version: str | None = "v1"
    path: str = "embeddings"
    input_field: str = "input"
    dimensions_field: str | None = "dimensions"
    user_field: str | None = None
    role_field: str | None = None
    roles: Mapping[InputType, str] = field(default_factory=dict)
    asks_base64: Mapping[str, Any] = field(default_factory=lambda: {"encoding_format": "base64"})
    always: Mapping[str, Any] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset()

    @property
    def owned(self) -> frozenset[str]:
        """Every body key that belongs to the gateway, whether this call sends it or not.

        OpenAI's own are among them even where the service has others: some take both.
        """
        openai = {"model", "input", "dimensions", "encoding_format"}
        named = {self.input_field, self.dimensions_field, self.user_field, self.role_field}
        return frozenset({*openai, *filter(None, named), *self.asks_base64, *self.always, *self.guarded})

    def build_request(self, call: EmbedCall, endpoint: Endpoint) -> Request:
        return openai_shape.post(self.url(endpoint), self.body(call, endpoint), call, endpoint)

    def body(self, call: EmbedCall, endpoint: Endpoint) -> dict[str, Any]:
        """The gateway's own fields, those that this call has."""
        own: dict[str, Any] = {"model": call.model, self.input_field: list(call.inputs), **self.always}
        if endpoint.base64:
            own |= self.asks_base64
        if self.dimensions_field is not None and call.dimensions is not None:
            own[self.dimensions_field] = call.dimensions
        if self.user_field is not None and call.user is not None:
            own[self.user_field] = call.user
        if self.role_field is not None and call.input_type is not None and call.input_type in self.roles:
            own[self.role_field] = self.roles[call.input_type]
        return own

    def url(self, endpoint: Endpoint) -> str:
        return _url(endpoint.base_url, self.version, self.path)

    def provider(self, name: str, base_url: str | None = None, *meanings: Meaning, **facts: Any) -> Provider:
        """The provider that speaks this dialect and answers in OpenAI's shape.

        `meanings` are the failures whose status does not mean what it usually means; `facts` are those of `Provider`.
        """
        return Provider(
            name=name,
            build_request=facts.pop("build_request", self.build_request),
            parse_response=facts.pop("parse_response", openai_shape.parse_response),
            parse_error=errors_shape.parser(*meanings),
            owned=self.owned,
            base_url=base_url,
            shortens=self.dimensions_field is not None,
            roles=frozenset(self.roles),
            **facts,
        )


@functools.lru_cache(maxsize=256)
def _url(base_url: str, version: str | None, path: str) -> str:
    root = base_url.rstrip("/")
    return f"{root if version is None else openai_shape.versioned(root, version)}/{path}"
