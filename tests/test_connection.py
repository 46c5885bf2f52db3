"""Work for a client ends when it hangs up, and only that."""

from __future__ import annotations

import asyncio

import pytest

from gateway import connection
from gateway.connection import CONNECTION, Connection
from tests.fakes.clock import settle


async def test_hanging_up() -> None:
    """What is done for a client is cancelled when it goes."""
    client = Connection()

    async def work() -> None:
        with client:
            await asyncio.Event().wait()

    task = client.task = asyncio.create_task(work())
    await settle()
    client.hang_up()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert client.gone


async def test_hanging_up_after_the_work() -> None:
    """What follows the work goes on."""
    client = Connection()

    async def work() -> str:
        with client:
            pass
        await asyncio.sleep(0)
        return "done"

    task = client.task = asyncio.create_task(work())
    await asyncio.sleep(0)
    client.hang_up()

    assert "done" == await task


def test_of() -> None:
    """A request has the connection that its server tells of, or one that never hangs up."""
    client = Connection()

    assert client is connection.of({CONNECTION: client})
    assert not connection.of({}).gone
