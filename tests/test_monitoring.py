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
DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "operations.md"

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here: `apt install prometheus`")

SELECTOR = re.compile(r"\b((?:gateway|gen_ai)_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\bby \(([^)]*)\)")
FROM_PROMETHEUS = {"instance", "job", "le"}


def exist() -> dict[str, set[str]]:
    """The labels of each series that a gateway can have."""
    found: dict[str, set[str]] = {}
    for collector in Series().registry._collector_to_names:
        names = Series().registry._collector_to_names
        del names
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.describe() if hasattr(collector, "describe") else ():
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            found |= {family.name + suffix: labels for suffix in suffixes}
    return found
