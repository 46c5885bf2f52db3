"""The shape of what a key or a team may do, in the routing file and in the admin API alike. It reads nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gateway import checks
from gateway.model_shape import Amount, ModelName, RatesShape
from gateway.shape import Shape

PlainName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(checks.plain_name)]
NoteName = Annotated[str, StringConstraints(max_length=64)]
Note = Annotated[str, StringConstraints(max_length=512)]


class BudgetShape(Shape):
    usd: Annotated[float, Field(ge=1e-9, le=1_000_000_000)] | None = None
    """Most US dollars in the period."""
    tokens: Amount | None = None
    """Most tokens in the period."""
    per: Literal["day", "week", "month", "total"]
    """When it begins anew: days, weeks and months of UTC, or never."""
    soft: Annotated[float, Field(gt=0, le=1)] = 0.8
    """The part of it at which metrics begin to warn."""


class TeamShape(Shape):
    limits: RatesShape = RatesShape()
    """What all its keys together may ask for."""
    budget: BudgetShape | None = None
    """What all its keys together may spend."""


class GrantShape(Shape):
    """What a key may do."""

    models: Annotated[list[ModelName], Field(max_length=100)] = ["*"]
    """Models that it may use; `*` stands for any characters."""
    team: str | None = None
    """One of `teams`, whose limits and budget it shares."""
    limits: RatesShape = RatesShape()
    """What it may ask for."""
    model_limits: Annotated[dict[ModelName, RatesShape], Field(max_length=100)] = {}
    """What it may ask of each model whose name fits; `*` stands for any characters."""
    budget: BudgetShape | None = None
    """What it may spend."""
    priority: Literal["interactive", "bulk"] = "interactive"
    """The lane that its requests wait in where not all can run; those of more than 64 inputs are bulk anyway."""
    cache: bool = True
    """false: its requests neither find what was embedded before nor leave anything behind."""


class KeyWish(GrantShape):
    """A key to be made."""

    name: PlainName
    """What logs and lists call it."""
    expires: str | None = None
    """When it stops working: a date like 2027-01-31, or a time from now like 90d."""
    metadata: Annotated[dict[NoteName, Note], Field(max_length=16)] = {}
    """Notes of the operator; they decide nothing."""
