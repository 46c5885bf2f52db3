"""Grants as every home keeps them."""

from __future__ import annotations

import json

from gateway.allowances import Budget, Grant, Rates
from gateway.store import grants


def test_of_a_newer_version() -> None:
    """Fields that a newer version has written are left out, at every depth; the others are read."""
    grant = Grant(rates=Rates(rpm=1), model_rates={"m": Rates(tpm=2)}, budget=Budget("day", tokens=3))
    told = json.loads(grants.write(grant))
    for place in (told, told["rates"], told["model_rates"]["m"], told["budget"]):
        place["unheard_of"] = {"x": 1}

    assert grant == Grant(**grants.read(json.dumps(told)))
