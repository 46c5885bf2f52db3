"""What each backend speaks: pure functions and facts. Nothing here does I/O, except a local model reading its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.base import LocalProvider, Provider
from providers.local.static import STATIC
from providers.openai import OPENAI

PROVIDERS: Final[Mapping[str, Provider | LocalProvider]] = {provider.name: provider for provider in (OPENAI, STATIC)}
