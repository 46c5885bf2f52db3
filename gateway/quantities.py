"""Durations and sizes as people write them: `120s`, `30d`, `32MiB`. Nothing else is a quantity here."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_AMOUNT: Final = r"[0-9]{1,10}(?:\.[0-9]+)?"
_QUANTITY: Final = re.compile(rf"({_AMOUNT})\s*([A-Za-z]+)")


def _quantity(value: object, units: dict[str, Any], example: str) -> float:
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f"must be a number with a unit, like {example}; units are {', '.join(units)}")
    amount = float(match[1]) * units[match[2]]
    if amount <= 0:
        raise ValueError("must be more than zero")
    return float(amount)


def seconds(value: object) -> float:
    """`1.5s` as 1.5. Raises ValueError on a number without a unit, which could mean anything."""
    return _quantity(value, _SECONDS, "20s")


def octets(value: object) -> int:
    """`32MiB` as 33554432, a part of a byte as a whole one. Raises ValueError on a number without a unit."""
    return math.ceil(_quantity(value, _BYTES, "32MiB"))


def _schema(units: dict[str, Any], example: str) -> WithJsonSchema:
    pattern = rf"^{_AMOUNT}\s*({'|'.join(units)})$"
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Duration = Annotated[float, BeforeValidator(seconds), _schema(_SECONDS, "20s")]
Size = Annotated[int, BeforeValidator(octets), _schema(_BYTES, "32MiB")]
