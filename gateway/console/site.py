"""The console as a whole: which page is where, and the files that pages need."""

from __future__ import annotations

import hashlib
import pathlib
import time
from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

import gateway as package
from gateway.authentication import AdminGuard
from gateway.code_flow import CodeFlow
from gateway.config import Config
from gateway.console.configuration import ConfigurationPage
from gateway.console.door import Door, Endpoint, Page
from gateway.console.federated import FederatedLogin
from gateway.console.keys import KeysPage
from gateway.console.login import Login
from gateway.console.overview import OverviewPage
from gateway.console.playground import PlaygroundPage
from gateway.console.rendering import ROOT, Pages
from gateway.console.sessions import Sessions
from gateway.console.targets import TargetsPage
from gateway.console.usage import UsagePage
from gateway.errors import NotFound
from gateway.failures import Failures
from gateway.reload import Reload
from gateway.replicas import Replicas
from gateway.service import Gateway
from gateway.spaces import Spaces
from gateway.store import Store
from gateway.traffic import Traffic

_STATIC: Final = pathlib.Path(__file__).parent / "static"
_KINDS: Final = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}
FILES: Final = {name: (_STATIC / name).read_bytes() for name in _KINDS}


class Console:
    """Everything at `/admin` itself and under `/admin/ui`; what is beside it there is the JSON interface."""

    def __init__(
        self,
        config: Config,
        guard: AdminGuard,
        failures: Failures,
        code_flow: CodeFlow | None,
        store: Store,
        gateway: Gateway,
        replicas: Replicas,
        spaces: Spaces,
        traffic: Traffic,
        reload_now: Reload,
    ) -> None:
        pages = Pages(package.__version__, hashlib.sha256(b"".join(FILES.values())).hexdigest()[:12])
        sessions = Sessions(store, config.signing_key, config.admin_key or "", time.time)
        self._door = Door(sessions, pages)
        self._login = Login(pages, sessions, guard, code_flow.client.label if code_flow else None)
        self._federated = FederatedLogin(self._login, code_flow, store, failures) if code_flow else None
        self._overview = OverviewPage(pages, traffic, replicas, config.cache is not None, config.warnings)
        self._targets = TargetsPage(pages, config.models, replicas, spaces)
        self._keys = KeysPage(pages, store, config)
        self._usage = UsagePage(pages, store)
        self._configuration = ConfigurationPage(pages, config, reload_now)
        self._playground = PlaygroundPage(pages, gateway, config.server.timeout)

    def table(self) -> Iterator[tuple[str, str, Endpoint]]:
        """Method, path and endpoint of each page."""
        yield "GET", "/admin", self._door.open(_to_overview)
        yield "GET", ROOT, self._door.open(_to_overview)
        yield "GET", f"{ROOT}/static/{{file}}", self._door.open(_static)
        yield "GET", f"{ROOT}/login", self._door.open(self._login.show)
        yield "POST", f"{ROOT}/login", self._door.open(self._login.log_in)
        if self._federated is not None:
            yield "GET", f"{ROOT}/login/oidc/start", self._door.open(self._federated.start)
            yield "GET", f"{ROOT}/login/oidc", self._door.open(self._federated.finish)
        for method, path, page in self.behind_login():
            yield method, f"{ROOT}/{path}", self._door.behind(page)
        yield "GET", f"{ROOT}/{{rest:path}}", self._door.behind(_nothing)

    def behind_login(self) -> Iterator[tuple[str, str, Page]]:
        yield from (
            ("POST", "logout", self._login.log_out),
            ("GET", "overview", self._overview.show),
            ("GET", "targets", self._targets.show),
            ("POST", "targets/drain", self._targets.drain),
            ("POST", "targets/restore", self._targets.restore),
            ("GET", "keys", self._keys.show),
            ("GET", "new-key", self._keys.new),
            ("POST", "new-key", self._keys.create),
            ("POST", "keys/{key_id:path}/rotate", self._keys.rotate),
            ("POST", "keys/{key_id:path}/revoke", self._keys.revoke),
            ("GET", "keys/{key_id:path}", self._keys.show_one),
            ("POST", "keys/{key_id:path}", self._keys.change),
            ("GET", "usage", self._usage.show),
            ("GET", "usage.csv", self._usage.csv),
            ("GET", "configuration", self._configuration.show),
            ("POST", "configuration/check", self._configuration.check),
            ("POST", "configuration/reload", self._configuration.reload),
            ("GET", "playground", self._playground.show),
            ("POST", "playground", self._playground.embed),
        )


async def _to_overview(request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/overview", 303)


async def _static(request: Request) -> Response:
    """Asked for by the version of the console that a page is of, so that a browser may keep it."""
    name = request.path_params["file"]
    if name not in FILES:
        raise NotFound("The console has no such file.")
    return Response(FILES[name], headers={"cache-control": "public, max-age=86400"}, media_type=_KINDS[name])


async def _nothing(visit: object) -> Response:
    raise NotFound("The console has no such page.")
