"""What ships for Prometheus and Grafana: it asks for metrics that there are, and its alerts ring when they should."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gateway.series import Series

DEPLOY = pathlib.Path(__file__).parents[1] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "gateway.json"

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here: `apt install prometheus`")

SELECTOR = re.compile(r"\b((?:gateway|gen_ai)_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\bby \(([^)]*)\)")
FROM_PROMETHEUS = {"instance", "job", "le"}


def exist() -> dict[str, set[str]]:
    """The labels of each series that a gateway can have."""
    suffixes = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {each.name + end: set(each.labels) for each in Series().declared for end in suffixes[each.kind]}


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression that ships, and where it stands."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
    return found


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_asked_for_what_there_is(place: str, expression: str) -> None:
    """Each metric in the dashboard and the alerts is one that a gateway has, with the labels that are asked for."""
    known = exist()
    labels = {match[0]: set(re.findall(r"(\w+)\s*[=!]", match[1])) for match in SELECTOR.findall(expression)}
    grouped = {name.strip() for names in GROUPING.findall(expression) for name in names.split(",")} - FROM_PROMETHEUS

    assert [] == [name for name in labels if name not in known]
    assert [] == [name for name, asked in labels.items() if not asked <= known[name] | FROM_PROMETHEUS]
    assert [] == [name for name in labels if not grouped <= known[name]]


def test_every_metric_is_shown() -> None:
    """Each metric is in the dashboard, but for a count that stands beside the bytes."""
    text = DASHBOARD.read_text()
    unseen = {each.name for each in Series().declared if each.name not in text}

    assert {"gateway_cache_entries", "gateway_cache_evictions_total"} == unseen


def test_panels_have_room() -> None:
    """No panel of the dashboard lies over another one, and none has another's number."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(taken) == len(set(taken))
    assert len(panels) == len({panel["id"] for panel in panels})
    assert 24 > max(x for x, _ in taken)


@promtool
@pytest.mark.parametrize("what", [("check", "rules", ALERTS), ("test", "rules", ALERTS.with_name("alerts_test.yml"))])
def test_alerts(what: tuple[str, str, pathlib.Path]) -> None:
    """Prometheus takes the alert rules, and they ring where something is wrong and only there."""
    done = subprocess.run(["promtool", *what], capture_output=True, text=True)

    assert (0, True) == (done.returncode, "SUCCESS" in done.stdout), done.stdout + done.stderr


@promtool
def test_scrape(tmp_path: pathlib.Path) -> None:
    """Prometheus takes the configuration of the compose profile."""
    key = tmp_path / "admin_key"
    key.write_text("key")
    file = tmp_path / "prometheus.yml"
    file.write_text((DEPLOY / "prometheus" / "prometheus.yml").read_text().replace("/run/secrets/admin_key", str(key)))
    (tmp_path / "alerts.yml").write_text(ALERTS.read_text())
    done = subprocess.run(["promtool", "check", "config", file], capture_output=True, text=True)

    assert (0, []) == (done.returncode, re.findall("FAILED", done.stdout)), done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    """Each alert has a case in which it rings and one in which it does not."""
    tried = ALERTS.with_name("alerts_test.yml").read_text()

    assert [] == [rule["alert"] for rule in rules() if tried.count(rule["alert"]) < 2]
