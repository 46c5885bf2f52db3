"""Whose attempts are counted together, behind whichever proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import addresses
from gateway.addresses import Source

TRUSTED = addresses.networks(["10.0.0.0/8", "192.0.2.1", "fd00::/8"])


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("/run/gateway.sock", "unknown"),
        (None, "unknown"),
    ],
)
def test_peer(peer: str | None, expected: str) -> None:
    """Without proxies it is the peer: one address of IPv4, a whole /64 of IPv6."""
    assert expected == addresses.client(Source(peer), ())


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("10.1.1.1", ["203.0.113.7"], "203.0.113.7"),
        ("::ffff:10.1.1.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["203.0.113.7:51234"], "203.0.113.7"),
        ("10.1.1.1", ["2001:db8::7"], "2001:db8::/64"),
        ("10.1.1.1", ["[2001:db8::7]:443"], "2001:db8::/64"),
        ("fd00::1", ["[2001:db8::7]"], "2001:db8::/64"),
        ("10.1.1.1", ["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["198.51.100.1", "203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["203.0.113.7,10.2.2.2 ,192.0.2.1"], "203.0.113.7"),
        ("10.1.1.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", [""], "10.1.1.1"),
        ("10.1.1.1", ["203.0.113.7, unknown"], "10.1.1.1"),
        ("10.1.1.1", ["203.0.113.7, 10.2.2.2, _hidden, 10.4.4.4"], "10.4.4.4"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("192.0.2.2", ["198.51.100.1"], "192.0.2.2"),
        (None, ["198.51.100.1"], "unknown"),
    ],
)
def test_proxies(peer: str | None, forwarded_for: list[str], expected: str) -> None:
    """A trusted proxy is believed about who called it, and so on from proxy to proxy until one is not trusted."""
    assert expected == addresses.client(Source(peer, forwarded_for), TRUSTED)


@given(st.lists(st.text() | st.ip_addresses().map(str), max_size=5))
def test_invented(written: list[str]) -> None:
    """Nothing that a client writes into the header itself changes whose attempts are counted."""
    header = ", ".join([*written, "203.0.113.7"])

    assert "203.0.113.7" == addresses.client(Source("10.1.1.1", [header]), TRUSTED)
