"""What a gateway that runs says of its configuration, asked for as any operator would: the only httpx.

Nothing of this is on the way of a request, where httpx's pool would cost more than all the rest.
"""

from __future__ import annotations

from typing import Any, Final

import httpx

SECONDS: Final = 10.0


class NotTold(Exception):
    """The running gateway did not say; the message says why, and what to do."""


def configuration(url: str, admin_key: str | None) -> dict[str, Any]:
    """What `GET /admin/config` answers, secrets hidden; `url` may end in `/v1`. Raises NotTold."""
    root = url.rstrip("/").removesuffix("/v1")
    if admin_key is None:
        raise NotTold("A gateway tells its configuration to its admin key, and this file has no `auth.admin_key`.")
    try:
        answer = httpx.get(f"{root}/admin/config", headers={"authorization": f"Bearer {admin_key}"}, timeout=SECONDS)
        told = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise NotTold(f"There is no gateway that answers at {root} ({type(error).__name__}).") from None
    if answer.status_code == 401:
        raise NotTold(f"The gateway at {root} has another admin key than the file that is checked.")
    if not isinstance(told, dict) or "models" not in told:
        raise NotTold(f"What answers at {root} tells no configuration (status {answer.status_code}). Is it a gateway?")
    return told
