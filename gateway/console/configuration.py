"""The configuration as it runs, without its secrets; what `check` says of a pasted one; and the order to read it anew.

A pasted text is looked at and never served: no environment is resolved, no file read and nothing imported for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway import changes, loading
from gateway.changes import HIDDEN, Change
from gateway.config import Config
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.errors import InvalidRequest
from gateway.loading import Checked
from gateway.reload import NOTHING_TO_READ, Outcome, Reload


@dataclass(frozen=True, slots=True)
class ConfigurationPage:
    pages: Pages
    running: Config
    reload_now: Reload

    async def show(self, visit: Visit) -> Response:
        return self._page(visit)

    async def check(self, visit: Visit) -> Response:
        text = visit.form.get("text", "")
        checked = await asyncio.to_thread(loading.check_text, text)
        found = None if checked.config is None else _compared(self.running, checked.config)
        return self._page(visit, text=text, checked=checked, found=found)

    async def reload(self, visit: Visit) -> Response:
        if self.running.is_embedded_default:
            raise InvalidRequest(NOTHING_TO_READ)
        outcome = await self.reload_now("admin")
        return self._page(visit, outcome=outcome)

    def _page(
        self,
        visit: Visit,
        text: str = "",
        checked: Checked | None = None,
        found: Sequence[Change] | None = None,
        outcome: Outcome | None = None,
    ) -> Response:
        shown: dict[str, Any] = changes.shown(self.running)
        return self.pages.html(
            "configuration.html",
            visit.session,
            400 if (checked and checked.problems) or (outcome and outcome.problems) else 200,
            tab="configuration",
            sections={name: json.dumps(part, indent=2, ensure_ascii=False) for name, part in shown.items()},
            text=text,
            checked=checked,
            found=found,
            outcome=outcome,
            of_file=not self.running.is_embedded_default,
        )


def _compared(running: Config, pasted: Config) -> list[Change]:
    """What serving the text would change, as far as that is known of a text: not its secrets, nor where files lie."""
    return [change for change in changes.between(running, pasted) if not _is_unknown(change)]


def _is_unknown(change: Change) -> bool:
    old, new = str(change.old), str(change.new)
    return HIDDEN in (change.old, change.new) or (change.kind == "changed" and old.endswith(f"/{new}"))
