"""What a local engine says whose library is not installed."""

from __future__ import annotations

from providers.engine import EngineError


def missing(package: str, extra: str) -> EngineError:
    return EngineError(
        f"This kind of model needs the package `{package}`: install the gateway's extra `{extra}`, "
        f'by `.venv/bin/pip install -e ".[{extra}]"` in its folder'
    )
