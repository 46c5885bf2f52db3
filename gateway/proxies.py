"""Which proxy the environment asks for, by the URL that is to be reached. It reads what it is given."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping


def for_url(url: str | None, environ: Mapping[str, str]) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say about a URL; lower-case names win, as in curl."""
    if url is None:
        return None
    names = (f"{urllib.parse.urlsplit(url).scheme}_proxy", "all_proxy")
    value = next((environ[n] for name in names for n in (name, name.upper()) if environ.get(n)), None)
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if value is None or _is_exempt(urllib.parse.urlsplit(url).hostname or "", exempt):
        return None
    return value if "://" in value else f"http://{value}"


def _is_exempt(host: str, no_proxy: str) -> bool:
    """NO_PROXY lists hosts, each standing for its subdomains too; `*` is every host. Ports in it are ignored."""
    for entry in no_proxy.lower().split(","):
        name = _without_port(entry.strip()).lstrip(".")
        if name == "*" or (name and (host == name or host.endswith(f".{name}"))):
            return True
    return False


def _without_port(entry: str) -> str:
    if entry.startswith("["):  # [::1]:8080
        return entry[1:].partition("]")[0]
    return entry if entry.count(":") > 1 else entry.partition(":")[0]  # ::1 has no port
