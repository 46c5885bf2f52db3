"""Templates become answers: everything that is put into a page is escaped, and every answer is told what it may do.

The only jinja2. https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP
"""

from __future__ import annotations

import datetime
import pathlib
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jinja2
from starlette.responses import Response

from gateway.console.sessions import Session
from gateway.store import Usage

ROOT: Final = "/admin/ui"
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    # Not no-referrer, with which browsers do not say where a form comes from:
    # https://fetch.spec.whatwg.org/#append-a-request-origin-header
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}
TABS: Final = (
    ("overview", "Overview"),
    ("targets", "Models"),
    ("keys", "Keys"),
    ("usage", "Usage"),
    ("configuration", "Configuration"),
    ("playground", "Playground"),
)
_FOLDER: Final = pathlib.Path(__file__).parent


class Pages:
    """`version` is the gateway's, for the foot of each page; `stamp` changes with the files that pages load."""

    def __init__(self, version: str, stamp: str) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            root=ROOT, tabs=TABS, version=version, stamp=stamp, tokens=tokens, options_of=options
        )
        self._environment.filters.update(number=number, money=money, time=moment, ago=ago, ms=milliseconds, said=said)

    def html(self, template: str, session: Session | None, status: int = 200, **values: Any) -> Response:
        """A whole page, or a part of one for whoever shows it already. `session` gives its forms their token."""
        text = self._environment.get_template(template).render(session=session, now=time.time(), **values)
        return Response(text, status, media_type="text/html")


def tokens(usage: Usage) -> int:
    """What went upstream."""
    return usage.reported + usage.counted + usage.estimated


def said(value: object) -> str:
    """A value of the configuration in a few words: of a mapping or a list its names."""
    if value is None or value == [] or value == {}:
        return "nothing"
    if isinstance(value, Mapping | list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def options(names: Iterable[str], none: str | None = None) -> list[tuple[str, str]]:
    """Of a choice among names, or none of them."""
    return [*([] if none is None else [("", none)]), *((name, name) for name in names)]


def number(value: float | None) -> str:
    """With as few figures as tell something."""
    if value is None:
        return "–"
    for least, size, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e5, 1e3, "k")):
        if value >= least:
            return f"{value / size:.3g} {unit}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def money(nanos: float | None) -> str:
    """Billionths of a dollar."""
    if nanos is None:
        return "–"
    usd = nanos / 1e9
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.3g}" if usd >= 0.0001 else "< $0.0001"


def moment(at: float | None) -> str:
    """Of UTC."""
    return "–" if at is None else datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def ago(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds >= 10 else f"{seconds * 1000:,.3g} ms" if seconds < 1 else f"{seconds:.2f} s"
