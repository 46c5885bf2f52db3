"""Coming in and going out: the admin key makes a session, and wrong ones are counted against their address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway import origin
from gateway.authentication import AdminGuard
from gateway.console import door
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.console.sessions import Sessions
from gateway.errors import RateLimited, Unauthenticated

OPERATOR: Final = "the admin key"
_NEXT: Final = re.compile(r"[a-z-]+(/[\w.~%:/-]*)?(\?[\w.~%&=+-]*)?")
"""A page of the console, behind its root."""


@dataclass(frozen=True, slots=True)
class Login:
    pages: Pages
    sessions: Sessions
    guard: AdminGuard
    provider: str | None = None
    """What the page calls the identity provider that people may log in with."""

    async def show(self, request: Request) -> Response:
        return self.page(request.query_params.get("next", ""))

    async def log_in(self, request: Request) -> Response:
        door.check_origin(request)
        form = await door.read_form(request)
        after = form.get("next", "")
        try:
            self.guard.check(form.get("key") or None, origin.source(request))
        except Unauthenticated:
            return self.page(after, "This is not the admin key.", 401)
        except RateLimited as error:
            return self.wait(after, error.headers["retry-after"])
        response = door.see(self.after(after))
        await self.admit(request, response, OPERATOR)
        return response

    async def admit(self, request: Request, response: Response, who: str) -> None:
        """A new session for somebody who has shown who it is."""
        session = await self.sessions.begin(who)
        door.set_cookie(request, response, await self.sessions.written(session))

    @staticmethod
    def after(wanted: str) -> str:
        """The page to go on with: the one that was wanted, if it is one of the console."""
        return wanted if _NEXT.fullmatch(wanted) else "overview"

    def wait(self, after: str, seconds: str) -> Response:
        refused = self.page(after, f"Too many failed attempts came from this address: wait {seconds} seconds.", 429)
        refused.headers["retry-after"] = seconds
        return refused

    async def log_out(self, visit: Visit) -> Response:
        await self.sessions.end(visit.session)
        response = door.see("login")
        door.set_cookie(visit.request, response, "")
        return response

    def page(self, after: str, message: str | None = None, status: int = 200) -> Response:
        return self.pages.html("login.html", None, status, message=message, after=after, provider=self.provider)
