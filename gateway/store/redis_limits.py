"""Limits as they are told to the scripts in Redis, and what these answer: numbers as struct writes them.

Of all commands these are the most: a number with all its digits takes longer to write and to read than to reckon with.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from gateway import gates as rules
from gateway.gates import Gate, Kind, Standings

_KINDS: Final[Mapping[Kind, int]] = {
    "requests": 0,
    "tokens": 0,
    "concurrent": 1,
    "usd_budget": 2,
    "token_budget": 2,
}
_SHADOW: Final = 4
_REDIS_TIME: Final = -1.0


def names(gates: Sequence[Gate]) -> list[str]:
    """In one slot of a Cluster. The number is that of what is kept under them: another form needs other names."""
    return [f"{{gateway:limits:2}}:{gate.id}" for gate in gates]


def to_reserve(gates: Sequence[Gate], amounts: Sequence[int], lease: float, now: float | None) -> bytes:
    """As `lua/reserve.lua` wants it; without a time Redis's own counts."""
    numbers = [_REDIS_TIME if now is None else now, lease]
    for gate, amount in zip(gates, amounts, strict=True):
        kind = _KINDS[gate.kind]
        numbers += (kind + _SHADOW if gate.shadow else kind, gate.limit, amount, gate.ends or 0.0)
    return _question(len(gates)).pack(*numbers)


def to_settle(gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int], now: float | None) -> bytes:
    """As `lua/settle.lua` wants it."""
    numbers = [_REDIS_TIME if now is None else now, 0.0]
    for gate, amount, used in zip(gates, amounts, spent, strict=True):
        numbers += (_KINDS[gate.kind], gate.limit, amount, used)
    return _question(len(gates)).pack(*numbers)


def standings(gates: Sequence[Gate], amounts: Sequence[int], answer: bytes) -> Standings:
    """Of what `lua/reserve.lua` answers."""
    now, *found = _answer(len(gates)).unpack(answer)
    lefts, fits = found[::2], found[1::2]
    if all(fits):
        return Standings([left - amount for left, amount in zip(lefts, amounts, strict=True)])
    told = list(zip(gates, amounts, lefts, fits, strict=True))
    allowed = all(fitting or gate.shadow for gate, _, _, fitting in told)
    return Standings(
        [left - amount if allowed and fitting else left for _, amount, left, fitting in told],
        [None if fitting else rules.wait(gate, amount, left, now) for gate, amount, left, fitting in told],
    )


@functools.cache
def _question(gates: int) -> struct.Struct:
    return struct.Struct("<dd" + gates * "Bddd")


@functools.cache
def _answer(gates: int) -> struct.Struct:
    return struct.Struct("<d" + gates * "d?")
