"""Four clouds on one socket of this machine: token endpoints that check what they are sent, and models behind them.

A model takes only the token that was issued last, or a right signature; refusals quote what was sent, as bad ones do.
"""

from __future__ import annotations

import threading
import time
import urllib.parse
from collections import Counter
from contextlib import ExitStack
from typing import Final, Self

import jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes import google_account, signature_check
from tests.fakes.openai_replies import vector_for
from tests.fakes.serving import Closing, port_of, served

DIMENSIONS: Final = 8
IBM_KEY: Final = "ibm-S3cret-0123456789"
ENTRA_SECRET: Final = "entra~S3cret-0123456789"
AWS_ID: Final = "AKIDEXAMPLE"
AWS_SECRET: Final = "aws/S3cret+0123456789"
AWS_SESSION: Final = "aws-S3cret-session=="
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def vector(text: str) -> list[float]:
    """Its numbers have few digits, so that they come back in float32 as they were."""
    return [round(float(number), 3) for number in vector_for(text, DIMENSIONS, DIMENSIONS)]


class FakeClouds(Closing):
    """Serves from entering to leaving. `exchanges` counts the tokens issued, by cloud."""

    def __init__(self) -> None:
        self.exchanges: Counter[str] = Counter()
        self.port = 0
        self._valid: dict[str, str] = {}
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._app = Starlette(
            routes=[
                Route("/google/token", self._google, methods=["POST"]),
                Route("/ibm/token", self._ibm, methods=["POST"]),
                Route("/acme.com/oauth2/v2.0/token", self._entra, methods=["POST"]),
                Route("/v1/projects/p/locations/eu/publishers/google/models/m:predict", self._vertex, methods=["POST"]),
                Route("/ml/v1/text/embeddings", self._watsonx, methods=["POST"]),
                Route("/openai/v1/embeddings", self._azure, methods=["POST"]),
                Route("/model/{model:path}/invoke", self._bedrock, methods=["POST"]),
            ]
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def revoke(self, cloud: str) -> None:
        with self._lock:
            del self._valid[cloud]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.port = port_of(stack.enter_context(served(self._app)))
            self._stack = stack.pop_all()
        return self

    # ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _issued(self, cloud: str, **more: object) -> Response:
        with self._lock:
            self.exchanges[cloud] += 1
            token = self._valid[cloud] = f"{cloud}-T0ken-number-{self.exchanges[cloud]}"
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 3599, **more})

    async def _google(self, request: Request) -> Response:
        sent = await _form(request)
        assertion = sent.pop("assertion", "")
        try:
            claims = jwt.decode(
                assertion,
                google_account.PUBLIC,
                algorithms=["RS256"],
                issuer=google_account.EMAIL,
                audience=f"{self.url}/google/token",
                options={"require": ["iss", "scope", "aud", "iat", "exp"]},
            )
            is_right = (
                jwt.get_unverified_header(assertion)["kid"] == google_account.KEY_ID
                and claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
                and claims["exp"] - claims["iat"] <= 3600
                and sent == {"grant_type": JWT_BEARER}
            )
        except jwt.PyJWTError:
            is_right = False
        if is_right:
            return self._issued("google")
        return JSONResponse({"error": "invalid_grant", "error_description": f"Invalid JWT: {assertion}"}, 400)

    async def _ibm(self, request: Request) -> Response:
        sent = await _form(request)
        if sent == {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": IBM_KEY}:
            return self._issued("ibm", refresh_token="not_supported", expiration=int(time.time()) + 3599)
        return JSONResponse({"errorCode": "BXNIM0415E", "errorMessage": f"Key {sent.get('apikey')} not found."}, 400)

    async def _entra(self, request: Request) -> Response:
        right = {
            "grant_type": "client_credentials",
            "client_id": "app-1",
            "client_secret": ENTRA_SECRET,
            "scope": "https://cognitiveservices.azure.com/.default",
        }
        sent = await _form(request)
        if sent == right:
            return self._issued("entra", ext_expires_in=3599)
        said = f"AADSTS7000215: Invalid client secret {sent.get('client_secret')} provided."
        return JSONResponse({"error": "invalid_client", "error_description": said}, 401)

    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refused(self, cloud: str, request: Request) -> str | None:
        """What is wrong with a request's token."""
        given = request.headers.get("authorization", "")
        with self._lock:
            right = f"Bearer {self._valid.get(cloud)}"
        return None if given == right and "api-key" not in request.headers else f"Not authorized: {given}"

    async def _vertex(self, request: Request) -> Response:
        if said := self._refused("google", request):
            return JSONResponse({"error": {"code": 401, "message": said, "status": "UNAUTHENTICATED"}}, 401)
        [instance] = (await request.json())["instances"]
        embedding = {"values": vector(instance["content"]), "statistics": {"token_count": 3, "truncated": False}}
        return JSONResponse({"predictions": [{"embeddings": embedding}]})

    async def _watsonx(self, request: Request) -> Response:
        if said := self._refused("ibm", request):
            error = {"code": "authentication_token_expired", "message": said, "more_info": ""}
            return JSONResponse({"errors": [error], "trace": "t", "status_code": 401}, 401)
        inputs = (await request.json())["inputs"]
        results = [{"embedding": vector(text)} for text in inputs]
        return JSONResponse({"model_id": "m", "results": results, "input_token_count": 3 * len(inputs)})

    async def _azure(self, request: Request) -> Response:
        if said := self._refused("entra", request):
            return JSONResponse({"error": {"code": "401", "message": said}}, 401)
        inputs = (await request.json())["input"]
        data = [{"object": "embedding", "index": n, "embedding": vector(text)} for n, text in enumerate(inputs)]
        usage = {"prompt_tokens": 3 * len(inputs), "total_tokens": 3 * len(inputs)}
        return JSONResponse({"object": "list", "data": data, "model": "m", "usage": usage})

    async def _bedrock(self, request: Request) -> Response:
        body = await request.body()
        path = request.scope["raw_path"].decode()
        said = signature_check.wrong(request.method, path, request.headers, body, time.time(), AWS_ID, AWS_SECRET)
        if said is None and request.headers.get("x-amz-security-token") not in (None, AWS_SESSION):
            said = "another session"
        if said is not None:
            said = f"{said}: {dict(request.headers)}"
            return JSONResponse({"message": said}, 403, {"x-amzn-errortype": "InvalidSignatureException:http://x/"})
        text = (await request.json())["inputText"]
        return JSONResponse({"embedding": vector(text), "inputTextTokenCount": 3})


async def _form(request: Request) -> dict[str, str]:
    """What was sent, or nothing where it is no form or says a thing twice."""
    if request.headers.get("content-type") != "application/x-www-form-urlencoded":
        return {}
    pairs = urllib.parse.parse_qsl((await request.body()).decode("ascii"), strict_parsing=True)
    return dict(pairs) if len(dict(pairs)) == len(pairs) else {}
