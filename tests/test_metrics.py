"""`GET /metrics`, from a gateway process."""

from __future__ import annotations

import pathlib

import pytest

from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL

ADMIN = "an-admin-key-of-enough-characters"


@pytest.mark.parametrize(
    ("server", "access", "key", "status"),
    [
        ("", f"admin_key: {ADMIN}", ADMIN, 200),
        ("", f"admin_key: {ADMIN}", KEY, 401),
        ("", f"admin_key: {ADMIN}", None, 401),
        ("", "", KEY, 404),
        ("metrics: public", "", None, 200),
    ],
)
def test_who_may_read(tmp_path: pathlib.Path, server: str, access: str, key: str | None, status: int) -> None:
    """Whoever has the admin key may read metrics, or everyone where the operator says so."""
    with GatewayProcess(tmp_path, LOCAL, server=server, access=access) as gateway, gateway.client(key) as http:
        answer = http.get("/metrics")

    assert (status, status == 200) == (answer.status_code, "gateway_state_up 1.0" in answer.text)
