"""What a reload leaves as it was goes on with its queue, its tokens and its health."""

from __future__ import annotations

import pathlib

import pytest

from gateway import build
from gateway.config import Config
from gateway.house import House
from gateway.loading import load
from gateway.routing import Target

TEXT = """
models:
  m:
    space: s
    dimensions: {native: 3}
    targets:
      - {name: a, provider: openai, model: x, base_url: "http://h", api_key: secret-1, weight: 1}
      - {name: b, provider: azure, model: y, base_url: "https://h", api_version: "2024-10-21",
         credentials: {kind: entra, tenant: t, client_id: c, client_secret: a-secret-of-ours}}
  local: {normalize: true, targets: [{provider: static, path: wordllama}]}
"""


def config(folder: pathlib.Path, text: str) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(text)
    return load(file, {})


def targets(house: House) -> dict[str, Target]:
    return {target.name: target for route in house.current.generation.gateway.routes for target in route.targets}


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("a", "a", {"a", "b", "static-0"}),
        ("weight: 1", "weight: 2, priority: 1, timeout: 3s", {"a", "b", "static-0"}),
        ("secret-1", "secret-2", {"b", "static-0"}),
        ("http://h", "http://i", {"b", "static-0"}),
        ("space: s", "space: t", {"static-0"}),
        ("client_id: c", "client_id: d", {"a", "static-0"}),
        ("path: wordllama", "path: wordllama, max_concurrency: 2", {"a", "b"}),
    ],
)
async def test_kept(tmp_path: pathlib.Path, old: str, new: str, kept: set[str]) -> None:
    """Backend and health are kept together where the target is the same service in the same space."""
    house = build.house(config(tmp_path, TEXT))
    before = targets(house)
    await house.reloader.take(config(tmp_path, TEXT.replace(old, new)))
    after = targets(house)
    await house.close()

    assert kept == {name for name, target in after.items() if target.backend is before[name].backend}
    assert kept == {name for name, target in after.items() if target.health is before[name].health}


async def test_order_may_change(tmp_path: pathlib.Path) -> None:
    """A target whose weight alone changes has its new weight."""
    house = build.house(config(tmp_path, TEXT))
    await house.reloader.take(config(tmp_path, TEXT.replace("weight: 1", "weight: 2, timeout: 3s")))
    await house.close()

    assert (2, 3) == ((target := targets(house)["a"]).weight, target.timeout)


async def test_what_nobody_uses_is_closed(tmp_path: pathlib.Path) -> None:
    """Pools and models end with the last generation that uses them, and not before its last request."""
    house = build.house(config(tmp_path, TEXT))
    model = house.engines._loaded.copy()
    proxied = TEXT.replace("weight: 1", "proxy: 'http://p:1'").split("  local:")[0]
    leaving = house.current.generation
    leaving.running += 1
    await house.reloader.take(config(tmp_path, proxied))
    await house.current.idle()
    meanwhile = (len(house.upstream._pools), house.engines._loaded.copy())
    leaving.running -= 1
    house.current._left(leaving)
    await house.reloader.take(config(tmp_path, proxied.split("      - {name: b")[0]))
    await house.current.idle()
    afterwards = (len(house.upstream._pools), house.engines._loaded)
    await house.close()

    assert ((2, model), (1, {})) == (meanwhile, afterwards)
