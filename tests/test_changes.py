"""What a newer configuration changes, and what a configuration says, without its secrets."""

from __future__ import annotations

import json
import pathlib

import pytest

from gateway import changes
from gateway.auth import key_hash
from gateway.changes import Change
from gateway.config import Config
from gateway.loading import load

ROOT = pathlib.Path(__file__).parents[1]
HASH = key_hash("sk-gateway-a")
TARGET = "provider: openai, model: text-embedding-3-small, api_key: sk-first-secret"
TEXT = f"""
auth: {{admin_key: the-admin-secret, keys: [{{name: ci, sha256: {HASH}}}]}}
teams: {{search: {{limits: {{rpm: 10}}}}}}
models:
  m:
    space: s
    targets:
      - {{name: first, {TARGET}, headers: {{x-secret: a-header-secret}}}}
"""


def config(folder: pathlib.Path, text: str = TEXT) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return load(file, {})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a", "a", []),
        ("rpm: 10", "rpm: 20", ["teams.search.rates.rpm: 10 → 20"]),
        ("limits: {rpm: 10}", "limits: {tpm: 5}", ["teams.search.rates.rpm: 10 → nothing", "….tpm: nothing → 5"]),
        ("name: ci", "name: cd", ["keys.cd: added", "keys.ci: removed"]),
        ("name: first", "name: second", ["models.m.targets.second: added", "models.m.targets.first: removed"]),
        ("sk-first", "sk-second", ["models.m.targets.first.api_key: a secret"]),
        ("a-header", "another", ["models.m.targets.first.headers.x-secret: a secret"]),
        ("the-admin", "another", ["admin_key: a secret"]),
        ("  m:", "  m.n:", ["models.'m.n': added", "models.m: removed"]),
        ("auth:", "server: {timeout: 5s}\nauth:", ["server.timeout: 120.0 → 5.0"]),
        ("auth:", "server: {port: 1}\nauth:", ["server.port: 8080 → 1 (restart needed)"]),
        ("auth:", "state: {on_state_loss: deny}\nauth:", ["state.on_loss: allow → deny (restart needed)"]),
        (
            "auth:",
            "cache: {ttl: 1h}\nauth:",
            [
                "cache: nothing → {'memory': 268435456, 'redis': False, 'ttl': 3600.0, 'scope': 'shared'} "
                "(restart needed)"
            ],
        ),
    ],
)
def test_between(tmp_path: pathlib.Path, old: str, new: str, expected: list[str]) -> None:
    """Each change is told with its place, old and new; members of lists are known by their names."""
    found = changes.between(config(tmp_path), config(tmp_path, TEXT.replace(old, new)))

    assert [one.replace("…", "teams.search.rates") for one in expected] == list(map(str, found))


def test_every_live_key_is_one(tmp_path: pathlib.Path) -> None:
    """What may change without a restart is among the server's keys."""
    assert changes.LIVE < changes.shown(config(tmp_path))["server"].keys()


def test_shown(tmp_path: pathlib.Path) -> None:
    """A whole configuration can be said in JSON, and has none of its secrets."""
    text = json.dumps(changes.shown(config(tmp_path)))

    assert [] == [secret for secret in ("first-secret", "admin-secret", "header-secret", HASH) if secret in text]
    assert '"model": "text-embedding-3-small"' in text


def test_example_is_shown() -> None:
    """Every section and kind of credentials of the example can be shown."""
    shown = changes.shown(load(ROOT / "config.example.yaml", {}))

    assert {"server", "state", "keys", "teams", "issuers", "models"} < json.loads(json.dumps(shown)).keys()


def test_added_with_everything(tmp_path: pathlib.Path) -> None:
    """What is added is told whole, its secrets hidden."""
    [added] = changes.between(config(tmp_path), config(tmp_path, f"{TEXT}  n: {{targets: [{{{TARGET}}}]}}\n"))

    assert ("models.n", "added", None, changes.HIDDEN) == (
        added.path,
        added.kind,
        added.old,
        added.new["targets"]["openai-0"]["api_key"],
    )
    assert isinstance(added, Change)
