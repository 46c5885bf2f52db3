"""What a client can be told went wrong; each error knows its place in OpenAI's envelope, and nothing of HTTP servers.

GatewayError
├── InvalidRequest              400
│   ├── ContextLengthExceeded   400  one input over its token limit
│   └── TooManyTokens           400  the sum over the request's limit
├── Unauthenticated             401
├── ModelNotFound               404
├── NotFound                    404  an operator asked for what is not there
├── UnknownPath                 404
├── MethodNotAllowed            405
├── RequestTimeout              408  the client did not finish sending
├── SpaceMismatch               409
├── RequestTooLarge             413
├── UnsupportedEncoding         415
├── RateLimited                 429  a key, a team or a model has made too many requests
│   └── TokensRateLimited       429  or sent too many tokens
├── Throttled                   429  every target throttled us
├── QuotaExhausted              429  a budget, or every target's quota, is used up
├── HeadersTooLarge             431
└── ServerError                 500  none of the caller's doing
    ├── InternalError           500  our own mistake
    ├── UpstreamError           502  every target failed or broke its promise
    ├── UpstreamUnavailable     503  no target has capacity or could be reached
    ├── Overloaded              503  no free slot here before the deadline
    ├── StateUnavailable        503  our own store failed
    ├── UpstreamTimeout         504
    └── NotCached               504  the client wants what is in the cache, or nothing

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
"""OpenAI's SDKs obey this header before they look at the status."""


class GatewayError(Exception):
    """An answer other than vectors. The message is written for the caller and holds no secret."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "invalid_request_error"
    code: ClassVar[str | None] = None
    fixed_headers: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.error_code = self.code if code is None else code
        self.headers = {**self.fixed_headers, **(headers or {})}


class InvalidRequest(GatewayError):
    status = 400


class ContextLengthExceeded(InvalidRequest):
    code = "context_length_exceeded"


class TooManyTokens(InvalidRequest):
    type = "max_tokens_per_request"
    code = "max_tokens_per_request"


class Unauthenticated(GatewayError):
    status = 401
    fixed_headers: ClassVar[Mapping[str, str]] = {"www-authenticate": 'Bearer realm="embedding gateway"'}


class ModelNotFound(GatewayError):
    status = 404
    code = "model_not_found"


class NotFound(GatewayError):
    """What the admin API was asked for is not there."""

    status = 404


class UnknownPath(GatewayError):
    status = 404


class MethodNotAllowed(GatewayError):
    status = 405
    code = "method_not_supported"


class RequestTimeout(GatewayError):
    status = 408
    code = "request_timeout"


class SpaceMismatch(GatewayError):
    status = 409
    code = "space_mismatch"
    fixed_headers = NO_RETRY


class RequestTooLarge(GatewayError):
    status = 413
    code = "request_too_large"


class UnsupportedEncoding(GatewayError):
    status = 415
    code = "unsupported_content_encoding"


class RateLimited(GatewayError):
    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class TokensRateLimited(RateLimited):
    type = "tokens"


class Throttled(GatewayError):
    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class QuotaExhausted(GatewayError):
    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"
    fixed_headers = NO_RETRY


class HeadersTooLarge(GatewayError):
    status = 431
    code = "headers_too_large"


class ServerError(GatewayError):
    type = "server_error"


class InternalError(ServerError):
    status = 500
    code = "internal_error"


class UpstreamError(ServerError):
    status = 502
    code = "upstream_error"


class UpstreamUnavailable(ServerError):
    status = 503
    code = "upstream_unavailable"


class Overloaded(ServerError):
    status = 503
    code = "overloaded"


class StateUnavailable(ServerError):
    status = 503
    code = "state_unavailable"


class UpstreamTimeout(ServerError):
    status = 504
    code = "upstream_timeout"


class NotCached(ServerError):
    """https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.7"""

    status = 504
    code = "not_cached"
    fixed_headers = NO_RETRY


def retry_headers(seconds: float | None) -> dict[str, str]:
    """`retry-after` in whole seconds, rounded up so that waiting it out suffices, and the same in milliseconds."""
    if seconds is None:
        return {}
    milliseconds = max(1, -int(-seconds * 1000 // 1))
    return {"retry-after": str(-(-milliseconds // 1000)), "retry-after-ms": str(milliseconds)}
