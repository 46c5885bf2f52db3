"""`gateway targets` beside a gateway that runs: what it lists, and that a drained target is asked nothing."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.gateway_process import GatewayProcess
from tests.test_process import LOCAL


def targets(file: pathlib.Path, *arguments: str) -> Result:
    """In this process; what it raises, it raises here."""
    return CliRunner().invoke(main, ["targets", *arguments, "--config", str(file)], catch_exceptions=False)


def listed(file: pathlib.Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(targets(file, "list", "--json").stdout)
    return found


def wait_for_state(file: pathlib.Path, state: str) -> bool:
    """Whether the running gateway tells it in a minute."""
    end = time.monotonic() + 60
    while [target["state"] for one in listed(file)["data"] for target in one["targets"]] != [state]:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_drain_and_restore(tmp_path: pathlib.Path) -> None:
    """A gateway that runs learns through the state what is drained, and what is restored."""
    with GatewayProcess(tmp_path, LOCAL) as gateway, gateway.client() as http:

        def status() -> int:
            return http.post("/v1/embeddings", json={"model": "local", "input": "x"}).status_code

        seen = wait_for_state(gateway.config, "closed")
        table = targets(gateway.config, "list")
        drained = targets(gateway.config, "drain", "local", "static-0")
        gone, refused, marks = wait_for_state(gateway.config, "drained"), status(), listed(gateway.config)["drained"]
        restored = targets(gateway.config, "restore", "local", "static-0")
        back, answered = wait_for_state(gateway.config, "closed"), status()
    after = targets(gateway.config, "list")

    assert (True, True, 503, True, 200) == (seen, gone, refused, back, answered)
    assert ["local", "static-0", "static", "closed", "0", "0", "-"] == table.stdout.splitlines()[1].split()[1:]
    assert [{"model": "local", "target": "static-0"}] == marks
    assert "`static-0` of `local` is drained; running gateways see it within seconds." in drained.stderr
    assert "It is the only target of `local`" in drained.stderr
    assert (0, "`static-0` of `local` is asked again; running gateways see it within seconds.\n") == (
        restored.exit_code,
        restored.stderr,
    )
    assert ["local", "static-0", "static", "-"] == after.stdout.splitlines()[1].split()
    assert "No gateway runs on this state" in after.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("drain", "loca", "static-0"), 1, "There is no model `loca`. Did you mean `local`? There is `local`.\n"),
        (
            ("drain", "local", "static-1"),
            1,
            "The model `local` has no target `static-1`. Did you mean `static-0`? It has `static-0`.\n",
        ),
        (("restore", "local", "gpu"), 1, "The model `local` has no target `gpu`. It has `static-0`.\n"),
        (("restore", "local", "static-0"), 0, "`static-0` of `local` was not drained.\n"),
    ],
)
def test_without_a_gateway(tmp_path: pathlib.Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    """A mistake is told with what there is."""
    file = tmp_path / "gateway.yaml"
    file.write_text(f"models:\n  {LOCAL}\n")
    result = targets(file, *arguments)

    assert (code, "", says) == (result.exit_code, result.stdout, result.stderr)


def test_of_former_times(tmp_path: pathlib.Path) -> None:
    """A target that the file does not name any more can be restored, so that its mark waits for no other."""
    file = tmp_path / "gateway.yaml"
    file.write_text(f"models:\n  {LOCAL.replace('static,', 'static, name: old,')}\n")
    targets(file, "drain", "local", "old")
    file.write_text(f"models:\n  {LOCAL}\n")

    assert [{"model": "local", "target": "old"}] == listed(file)["drained"]
    assert 0 == targets(file, "restore", "local", "old").exit_code
    assert [] == listed(file)["drained"]
