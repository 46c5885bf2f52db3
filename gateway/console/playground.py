"""Texts are embedded and compared: how alike they are to a model, and to a second one beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway import wire
from gateway.answers import Result
from gateway.auth import Caller
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.errors import GatewayError
from gateway.middleware import RECORD
from gateway.record import Record
from gateway.service import Gateway
from providers import codec

MOST_TEXTS: Final = 16
SHADES: Final = 10
OPERATOR: Final = Caller(key_id="console", name="console", models=("*",))
"""What is tried here is written down under this name."""
EXAMPLE: Final = "A cat sleeps on the sofa.\nA kitten naps on the couch.\nThe invoice is due on Friday."


@dataclass(frozen=True, slots=True)
class Cell:
    """A cosine, and how dark it is shown, from 0 to `SHADES`."""

    cosine: float
    shade: int


@dataclass(frozen=True, slots=True)
class Trial:
    """What one model made of the texts, or why it made nothing."""

    model: str
    matrix: Sequence[Sequence[Cell]] = ()
    facts: Sequence[tuple[str, str]] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class PlaygroundPage:
    """`timeout` is in seconds."""

    pages: Pages
    gateway: Gateway
    timeout: float

    async def show(self, visit: Visit) -> Response:
        return self._page(visit, {"texts": EXAMPLE})

    async def embed(self, visit: Visit) -> Response:
        form = visit.form
        texts = [line.strip() for line in form.get("texts", "").split("\n") if line.strip()]
        models = list(dict.fromkeys(form[name] for name in ("model", "other") if form.get(name)))
        if not texts or not models or len(texts) > MOST_TEXTS:
            message = f"Choose a model, and write 1 to {MOST_TEXTS} texts, each in a line of its own."
            return self._page(visit, form, message=message)
        trials = [await self._trial(visit, model, texts) for model in models]
        return self._page(visit, form, texts=texts, trials=trials)

    async def _trial(self, visit: Visit, model: str, texts: Sequence[str]) -> Trial:
        role = visit.form.get("input_type") or None
        body = codec.write_json({"model": model, "input": texts, "input_type": role})
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            asked = wire.parse_request(body)
            page: Record = visit.request.scope[RECORD]
            record = Record(page.request_id, page.clock, page.started, model=model, trace=page.trace)
            result = await self.gateway.embed(asked, OPERATOR, began + self.timeout, record)
        except GatewayError as error:
            return Trial(model, refusal=error.message)
        return Trial(model, _matrix(result.vectors), _facts(result, loop.time() - began))

    def _page(
        self,
        visit: Visit,
        form: Any,
        message: str | None = None,
        texts: Sequence[str] = (),
        trials: Sequence[Trial] = (),
    ) -> Response:
        return self.pages.html(
            "playground.html",
            visit.session,
            200 if message is None else 400,
            tab="playground",
            form=form,
            message=message,
            texts=texts,
            trials=trials,
            models=[route.alias for route in self.gateway.routes],
            roles=wire.INPUT_TYPES,
        )


def _matrix(vectors: Sequence[bytes]) -> list[list[Cell]]:
    return [[_cell(codec.cosine(one, other)) for other in vectors] for one in vectors]


def _cell(cosine: float) -> Cell:
    return Cell(round(cosine, 2) + 0.0, round(max(0.0, min(1.0, cosine)) * SHADES))


def _facts(result: Result, seconds: float) -> list[tuple[str, str]]:
    return [
        ("Space", result.space),
        ("Dimensions", str(len(result.vectors[0]) // codec.FLOAT32.itemsize)),
        ("Answered by", ", ".join(result.targets)),
        ("Tokens", f"{result.tokens} ({result.usage_source})"),
        ("Time", f"{seconds * 1000:.0f} ms"),
    ]
