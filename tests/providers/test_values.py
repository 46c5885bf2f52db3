"""Values of a request: made, compared and hashed as frozen ones are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from providers.values import frozen


@frozen
class Open:
    name: str
    secret: str = field(default="s", repr=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    secret: str = field(default="s", repr=False)


def test_like_frozen_ones() -> None:
    """Equal values are equal and hash alike, a replaced field makes another, and what hides itself stays hidden."""
    one = Open("a")

    assert (one, hash(one), "Open(name='a')") == (Open("a"), hash(Open("a")), repr(one))
    assert hash(Frozen("a")) == hash(one)
    assert Open("a", "t") == replace(one, secret="t")
    assert one != replace(one, name="b")


def test_no_other_fields() -> None:
    """A value has its fields and no others."""
    with pytest.raises(AttributeError):
        setattr(Open("a"), "other", 1)  # noqa: B010 (a type checker would refuse the assignment)
