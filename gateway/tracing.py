"""Traces: one span for each request, one for each call to a target, sent to an OpenTelemetry collector.

The only opentelemetry, which is imported when it is asked for. Nothing here costs anything where it is not. Attributes
are those of https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ and the gateway's own; never a text, a
vector or a key. What a client says of its own trace is taken and passed on: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final

import gateway
from gateway.config import TracingConfig
from gateway.metrics import OPERATION, Asked
from gateway.record import Record
from providers.base import Request

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

PATH: Final = "/v1/traces"
"""Under a collector's address: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request"""


class Tracing:
    """Of one process. It has a thread of its own that sends what has ended, some seconds later."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("gateway", gateway.__version__)
        self._context = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, headers: Mapping[str, str], method: str, record: Record) -> Iterator[Callable[[int], None]]:
        """The span of a request, as the child of its client's if that said which; ends with the status it is told."""
        from opentelemetry.trace import SpanKind

        span = self._tracer.start_span(method, self._context.extract(headers), SpanKind.SERVER)
        if span.get_span_context().is_valid:
            record.trace = f"{span.get_span_context().trace_id:032x}"
        token = _current.set((self, span))
        try:
            yield lambda status: _describe(span, method, record, status)
        finally:
            _current.reset(token)
            span.end()

    def begin(self, within: Span, target: Asked, model: str, inputs: int, dimensions: int) -> CallSpan:
        from opentelemetry.trace import SpanKind, set_span_in_context

        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": OPERATION,
            "gen_ai.provider.name": target.provider,
            "gen_ai.request.model": target.model,
            "gen_ai.embeddings.dimension.count": dimensions,
            "gateway.model": model,
            "gateway.target": target.name,
            "gateway.inputs": inputs,
        }
        parent = set_span_in_context(within)
        span = self._tracer.start_span(f"{OPERATION} {target.model}", parent, SpanKind.CLIENT, attributes)
        return CallSpan(span, _current.set((self, span)))

    def headers(self, span: Span) -> dict[str, str]:
        from opentelemetry.trace import set_span_in_context

        found: dict[str, str] = {}
        self._context.inject(found, set_span_in_context(span))
        return found

    async def close(self) -> None:
        """Sends what is left."""
        await asyncio.to_thread(self._provider.shutdown)


_current: ContextVar[tuple[Tracing, Span] | None] = ContextVar("trace", default=None)


class CallSpan:
    """The span of one call to a target, from its beginning on that of whatever is sent for it."""

    def __init__(self, span: Span, token: Token[tuple[Tracing, Span] | None]) -> None:
        self._span = span
        self._token = token

    def end(self, error: str, tokens: int | None) -> None:
        """With what went wrong or "", and the tokens that were reported."""
        from opentelemetry.trace import Status, StatusCode

        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        if tokens is not None:
            self._span.set_attribute("gen_ai.usage.input_tokens", tokens)
        _current.reset(self._token)
        self._span.end()


def begin(target: Asked, model: str, inputs: int, dimensions: int) -> CallSpan | None:
    """The span of one call to a target, where the request that needs it has one; to be ended by the same task."""
    current = _current.get()
    return None if current is None else current[0].begin(current[1], target, model, inputs, dimensions)


def passed_on(request: Request) -> Request:
    """The request with the trace that it belongs to, if there is one."""
    current = _current.get()
    if current is None:
        return request
    return dataclasses.replace(request, headers={**request.headers, **current[0].headers(current[1])})


def start(config: TracingConfig | None) -> Tracing | None:
    """None where nobody asks for traces."""
    if config is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    about = {
        "service.name": config.service,
        "service.version": gateway.__version__,
        "service.instance.id": f"{os.uname().nodename}:{os.getpid()}",
    }
    # What the client has decided is done, so that its trace is whole.
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(config.sample)), resource=Resource(about), shutdown_on_exit=False
    )
    endpoint = config.endpoint.rstrip("/").removesuffix(PATH) + PATH
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, headers=config.headers)))
    return Tracing(provider)


def _describe(span: Span, method: str, record: Record, status: int) -> None:
    from opentelemetry.trace import Status, StatusCode

    if not span.is_recording():
        return
    attributes: dict[str, AttributeValue | None] = {
        "http.request.method": method,
        "http.response.status_code": status,
        "gateway.request_id": record.request_id,
        "gateway.team": record.team,
        "error.type": (record.error or "") if status >= 400 else "",
        **{f"gateway.metadata.{name}": value for name, value in (record.metadata or {}).items()},
    }
    if record.embeds:
        span.update_name(f"{OPERATION} {record.route}".strip())
        attributes |= {"gen_ai.operation.name": OPERATION, "gen_ai.request.model": record.route}
        attributes |= {"gateway.inputs": record.items, "gen_ai.usage.input_tokens": record.tokens}
    span.set_attributes({name: value for name, value in attributes.items() if value is not None and value != ""})
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
