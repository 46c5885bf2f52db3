"""How one target is doing: what keeps it from being asked."""

from __future__ import annotations


class Health:
    def __init__(self) -> None:
        self.ejected: str | None = None
        """Why a canary took it out; None while it is in."""
        self.drained = False
        """Whether an operator took it out."""

    @property
    def usable(self) -> bool:
        return self.ejected is None and not self.drained
