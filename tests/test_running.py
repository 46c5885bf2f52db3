"""`gateway check --diff URL`: what a file would change in a gateway that runs."""

from __future__ import annotations

import pathlib

from click.testing import CliRunner, Result

from gateway.cli import main
from tests.gateway_process import GatewayProcess

ADMIN_KEY = "correct-horse-battery-staple"
MODEL = "small: {normalize: true, targets: [{provider: static, path: wordllama, weight: 1}]}"


def check(file: pathlib.Path, running: str, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(file), "--diff", running, *options], catch_exceptions=False)


def test_diff_to_what_runs(tmp_path: pathlib.Path) -> None:
    """A changed file is told apart from what runs, and the file that it was started with is not."""
    with GatewayProcess(tmp_path, MODEL, access=f"admin_key: {ADMIN_KEY}") as gateway:
        new = tmp_path / "new.yaml"
        new.write_text(gateway.config.read_text().replace("weight: 1", "weight: 2"))
        changed, same = check(new, gateway.url), check(gateway.config, gateway.root_url)

    assert (0, 0) == (changed.exit_code, same.exit_code)
    assert "models.small.targets.static-0.weight: 1.0 → 2.0" in changed.stdout
    assert "Nothing would change." in same.stdout


def test_what_does_not_tell(tmp_path: pathlib.Path) -> None:
    """A wrong key, no key and no gateway each end in one sentence."""
    with GatewayProcess(tmp_path, MODEL, access=f"admin_key: {ADMIN_KEY}") as gateway:
        texts = {
            "another admin key": gateway.config.read_text().replace(ADMIN_KEY, "another-key-of-theirs"),
            "no `auth.admin_key`": gateway.config.read_text().replace(f"admin_key: {ADMIN_KEY}", "default_models: []"),
            "There is no gateway": gateway.config.read_text(),
        }
        found = {}
        for expected, text in texts.items():
            file = tmp_path / "new.yaml"
            file.write_text(text)
            found[expected] = check(file, "http://127.0.0.1:1" if "There is" in expected else gateway.root_url)

    assert dict.fromkeys(texts, 1) == {expected: result.exit_code for expected, result in found.items()}
    assert [expected for expected, result in found.items() if expected not in result.output] == []
