"""What sentinels say of where a master is, whoever they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.redis_dialing import Dial
from gateway.store.redis_faults import NoMaster
from gateway.store.redis_sentinels import Sentinels, master_in
from tests.fakes.redis_server import RedisServer, free_port

ANSWERS = st.recursive(
    st.one_of(st.none(), st.binary(max_size=5), st.integers(), st.sampled_from([b"name", b"flags", b"ip", b"port"])),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=30,
)


def told(name: bytes, flags: bytes, port: bytes = b"6379") -> list[bytes]:
    return [b"name", name, b"ip", b"10.0.0.1", b"port", port, b"flags", flags, b"num-slaves", b"1"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([told(b"main", b"master")], ("10.0.0.1", 6379)),
        ([told(b"other", b"master", b"1"), told(b"main", b"master,x", b"2")], ("10.0.0.1", 2)),
        ([told(b"main", b"s_down,master")], None),
        ([told(b"main", b"master,o_down")], None),
        ([told(b"main", b"slave")], None),
        ([told(b"other", b"master")], None),
        ([], None),
    ],
)
def test_master(answer: Any, expected: tuple[str, int] | None) -> None:
    """The master of the service counts, where it is well."""
    assert expected == master_in(answer, b"main")


@given(ANSWERS)
def test_anything_else(answer: Any) -> None:
    """Whatever else answers knows no master."""
    assert master_in(answer, b"main") is None


async def test_no_sentinels(redis_server: RedisServer) -> None:
    """Servers that are no sentinels, or not there, know none."""
    hosts = [("127.0.0.1", redis_server.port), ("127.0.0.1", free_port())]
    with pytest.raises(NoMaster):
        await Sentinels(hosts, "main", Dial(20.0, password="x")).master()
