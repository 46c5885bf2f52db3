"""A fake of the service that the documents' own provider speaks: `POST /vectors`, as strict as its few words allow."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final, Self

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.fakes.openai_replies import vector_for
from tests.fakes.serving import Closing, port_of, served

API_KEY: Final = "acme-0123456789abcdef"
DIMENSIONS: Final = 6
MOST_TEXTS: Final = 16
FIELDS: Final = {"engine": str, "texts": list, "size": int, "color": str}


def vector(text: str, size: int) -> list[float]:
    numbers: list[float] = vector_for(text, size, DIMENSIONS).tolist()
    return numbers


class FakeAcme(Closing):
    """Serves from entering to leaving; `bodies` are those of the requests that it answered."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.base_url = f"http://127.0.0.1:{port_of(self._stack.enter_context(served(self._app)))}"
        return self

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await self._answer(request, await request.body())(scope, receive, send)

    def _answer(self, request: Request, raw: bytes) -> Response:
        if (request.method, request.url.path) != ("POST", "/vectors"):
            return JSONResponse({"message": "nothing here"}, 404)
        if request.headers.get("authorization") != f"Bearer {API_KEY}":
            return JSONResponse({"message": "who are you?"}, 401)
        body = orjson.loads(raw)
        wrong = [name for name, value in body.items() if type(value) is not FIELDS.get(name)]
        if wrong or not 1 <= len(body["texts"]) <= MOST_TEXTS or body["engine"] != "acme-large":
            return JSONResponse({"message": f"cannot read {wrong}"}, 422)
        self.bodies.append(body)
        size = body.get("size", DIMENSIONS)
        return JSONResponse({"vectors": [vector(text, size) for text in body["texts"]], "tokens": len(body["texts"])})
