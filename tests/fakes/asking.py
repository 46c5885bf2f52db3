"""What a request asks of a limit: the gate and its amount, for tests of the homes that keep limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.gates import Gate, Kind, Standing
from gateway.store import LimitStore


class Ask(NamedTuple):
    gate: Gate
    amount: int


def ask(kind: Kind, subject: str, limit: int, amount: int, **more: Any) -> Ask:
    return Ask(Gate(kind, subject, limit, **more), amount)


async def reserve(home: LimitStore, reservation: str, asks: Sequence[Ask], lease: float) -> Sequence[Standing]:
    return await home.reserve(reservation, [each.gate for each in asks], [each.amount for each in asks], lease)


async def settle(home: LimitStore, reservation: str, asks: Sequence[Ask], spent: Sequence[int]) -> None:
    await home.settle(reservation, [each.gate for each in asks], [each.amount for each in asks], spent)
