"""What a `state.url` says of where a Redis is."""

from __future__ import annotations

import pytest

from gateway.store.redis_address import Address


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", Address("alone", False, (("h", 6379),), "redis://h")),
        ("rediss://h:1/2", Address("alone", True, (("h", 1),), "rediss://h:1/2", database=2)),
        ("redis://a%40b@h", Address("alone", False, (("h", 6379),), "redis://h", user="a@b")),
        ("redis://[::1]:5/", Address("alone", False, (("::1", 5),), "redis://[::1]:5/")),
        ("redis+cluster://a,b:2", Address("cluster", False, (("a", 6379), ("b", 2)), "redis+cluster://a,b:2")),
        ("rediss+cluster://a", Address("cluster", True, (("a", 6379),), "rediss+cluster://a")),
        (
            "redis+sentinel://u@a,b:2/main/3",
            Address(
                *("sentinel", False, (("a", 26379), ("b", 2)), "redis+sentinel://a,b:2/main/3"),
                user="u",
                service="main",
                database=3,
            ),
        ),
        (
            "rediss+sentinel://a/main",
            Address("sentinel", True, (("a", 26379),), "rediss+sentinel://a/main", service="main"),
        ),
    ],
)
def test_address(url: str, expected: Address) -> None:
    """Scheme, user, hosts, service and database are read; the name that is shown has no user."""
    assert expected == Address.of(url, None)


def test_password_is_hidden() -> None:
    """What can be printed of an address holds no password."""
    address = Address.of("redis://me@h", "secret")

    assert ("secret", False) == (address.password, "secret" in repr(address))
