"""Flights that go on while anyone waits for them."""

from __future__ import annotations

import asyncio

import pytest

from gateway.flights import Flights


class Journey:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.begun = self.cancelled = False
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work(self) -> str:
        self.begun = True
        try:
            return await self.end
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_goes_on_for_the_last() -> None:
    """The one who began it may leave; the other gets what it brings."""
    flights, journey = Flights[str](), Journey()
    flight = flights.start(["a"], journey.work())
    with flights.aboard([flight]):
        with flights.aboard([flight]):
            await settle()
        journey.end.set_result("vector")

        assert ("vector", False) == (await flight.task, journey.cancelled)


async def test_cancelled_with_the_last() -> None:
    """When nobody waits any more it is cancelled, and nobody can join it from that moment on."""
    flights, journey = Flights[str](), Journey()
    flight = flights.start(["a", "b"], journey.work())
    with flights.aboard([flight]):
        await settle()
    found = flights.find("a")
    await settle()

    assert (None, 0, True) == (found, len(flights), journey.cancelled)


@pytest.mark.parametrize("fails", [False, True])
async def test_landed(fails: bool) -> None:
    """One that has landed, or failed, is not found any more, and its failure is nobody's if nobody waits."""
    flights, journey = Flights[str](), Journey()
    flight = flights.start(["a"], journey.work())
    with flights.aboard([flight]):
        await settle()
        assert flights.find("a") is flight
        if fails:
            journey.end.set_exception(RuntimeError())
        else:
            journey.end.set_result("vector")
        await asyncio.wait([flight.task])
        await settle()

    assert (None, 0) == (flights.find("a"), len(flights))


async def test_one_flight_a_key() -> None:
    """A key that is on a flight already stays on that one, whatever becomes of the second."""
    flights, first, second = Flights[str](), Journey(), Journey()
    one = flights.start(["a"], first.work())
    with flights.aboard([one]):
        two = flights.start(["a", "b"], second.work())
        with flights.aboard([two]):
            assert (one, two) == (flights.find("a"), flights.find("b"))

        assert (one, None) == (flights.find("a"), flights.find("b"))
