"""A provider's name in the routing file becomes its record: one of the package's own, or one imported from outside."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Callable
from typing import Final

from providers import PROVIDERS
from providers.base import Provider
from providers.engine import LocalProvider

Adapter = Provider | LocalProvider
Find = Callable[[str], Adapter]

OUTSIDE: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
"""`package.module:NAME`. The colon keeps these names apart from the package's own."""
_LONGEST_MESSAGE: Final = 200


class AdapterError(ValueError):
    """A provider's name stands for no provider; the message says why, and what to do."""


def find(name: str) -> Adapter:
    """The provider of a name; raises AdapterError. One from outside is called what the routing file calls it."""
    if name in PROVIDERS:
        return PROVIDERS[name]
    if re.fullmatch(OUTSIDE, name) is None:
        known = ", ".join(f"`{one}`" for one in sorted(PROVIDERS))
        raise AdapterError(f"no such provider; there are {known}, and `package.module:NAME` for one of your own")
    module, _, attribute = name.partition(":")
    return dataclasses.replace(_imported(module, attribute), name=name)


def find_own(name: str) -> Adapter:
    """The provider of a name where nothing may be imported: one of the package's own. Raises AdapterError."""
    if re.fullmatch(OUTSIDE, name) is not None and name not in PROVIDERS:
        raise AdapterError("is a provider from outside, which is not imported to check a text; check the file itself")
    return find(name)


def _imported(name: str, attribute: str) -> Adapter:
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise AdapterError(_not_imported(name, error)) from error
    found = getattr(module, attribute, None)
    if isinstance(found, Provider | LocalProvider):
        return found
    if found is not None:
        kind = type(found).__name__
        raise AdapterError(
            f"`{attribute}` of the module `{name}` is a `{kind}`, and must be a `Provider` or a `LocalProvider` of "
            "`providers.base`"
        )
    others = sorted(other for other, value in vars(module).items() if isinstance(value, Provider | LocalProvider))
    there = f"its providers are {', '.join(f'`{other}`' for other in others)}" if others else "it has no provider"
    raise AdapterError(f"the module `{name}` has no `{attribute}`; {there}")


def _not_imported(name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
        return (
            f"there is no module `{error.name}`: install it where the gateway runs, or name its folder in PYTHONPATH "
            "(the routing file's folder is not searched)"
        )
    said = " ".join(str(error).split())
    short = said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]}…"
    return f"the module `{name}` cannot be imported: {type(error).__name__}{f': {short}' if short else ''}"
