"""What every page of the console stands behind: a session, and for whatever changes something proof of its origin.

A form counts if the browser says that it comes from a page of this origin, and if it holds its session's token.
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway import bodies
from gateway.console.rendering import HEADERS, ROOT, Pages
from gateway.console.sessions import LONGEST_SECONDS, Session, Sessions
from gateway.errors import GatewayError, InvalidRequest

MOST_FIELDS: Final = 100
FORM: Final = "application/x-www-form-urlencoded"
SESSION: Final = "gateway-console"
"""The session's cookie."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is logged in; `form` has the last of each field that was sent, as it was sent."""

    request: Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


class Forbidden(Exception):
    """A form that may not come from the console's own pages; the message says what to do."""


Page = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Door:
    sessions: Sessions
    pages: Pages

    def behind(self, page: Page) -> Endpoint:
        """The page for whoever is logged in; anybody else is led to the login."""

        async def inner(request: Request) -> Response:
            session = await self.sessions.find(request.cookies.get(cookie_name(request), ""))
            if session is None:
                return to_login(request)
            form: Mapping[str, str] = {}
            if request.method == "POST":
                check_origin(request)
                form = await read_form(request)
                if not secrets.compare_digest(form.get("token", "").encode(), session.token.encode()):
                    raise Forbidden("The form is of another session. Load the page again, and send it once more.")
            response = await page(Visit(request, session, form))
            if self.sessions.is_stale(session) and "live" not in request.query_params:
                set_cookie(request, response, await self.sessions.written(session))
            return response

        return self.open(inner)

    def open(self, endpoint: Endpoint) -> Endpoint:
        """For everyone; what goes wrong is told as a page."""

        async def guarded(request: Request) -> Response:
            try:
                response = await endpoint(request)
            except GatewayError as error:
                response = self.pages.html("error.html", None, error.status, message=error.message)
                response.headers.update({name: error.headers[name] for name in error.headers if name == "retry-after"})
            except Forbidden as refused:
                response = self.pages.html("error.html", None, 403, message=str(refused))
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return guarded


def cookie_name(request: Request, name: str = SESSION) -> str:
    """Over https with the prefix that keeps other hosts of the domain, and plain http, from setting it:
    https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes"""
    return f"__Host-{name}" if is_secure(request) else name


def is_secure(request: Request) -> bool:
    """Whoever says so falsely gets a cookie that his own browser keeps to itself."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").strip().lower())


def set_cookie(
    request: Request,
    response: Response,
    value: str,
    name: str = SESSION,
    seconds: int = int(LONGEST_SECONDS),
    same_site: Literal["strict", "lax"] = "strict",
) -> None:
    """An empty value takes it back."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds if value else 0,
        path="/",  # which the prefix asks for
        secure=is_secure(request),
        httponly=True,
        samesite=same_site,
    )


def check_origin(request: Request) -> None:
    """Raises Forbidden. Browsers tell one of the two; over plain http, but on localhost, it is `Origin` alone."""
    site, own = request.headers.get("sec-fetch-site"), request.headers.get("origin", "").partition("://")[2]
    allowed = site == "same-origin" if site is not None else own == request.headers.get("host")
    if not allowed:
        raise Forbidden("This form does not come from the console. Open the console itself, and send it from there.")


async def read_form(request: Request) -> Mapping[str, str]:
    """Raises InvalidRequest, or what `bodies.read` does."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequest("The console reads forms alone.")
    deadline = asyncio.get_running_loop().time() + bodies.SMALL_SECONDS
    raw = await bodies.read(request, bodies.SMALL, deadline)
    try:
        fields = urllib.parse.parse_qsl(
            raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise InvalidRequest("The form cannot be read: it is not UTF-8, or has too many fields.") from None
    return {name: value.replace("\r\n", "\n") for name, value in fields}


def see(path: str) -> Response:
    """The answer to a form that was obeyed: loading the page again does not send it twice."""
    return RedirectResponse(f"{ROOT}/{path}", 303)


def to_login(request: Request) -> Response:
    """Back to the page afterwards, where it was only looked at."""
    path = request.url.path.removeprefix(f"{ROOT}/")
    query = f"?{request.url.query}" if request.url.query else ""
    after = urllib.parse.quote(path + query, safe="/")
    return see(f"login?next={after}" if request.method == "GET" and "live" not in request.query_params else "login")
