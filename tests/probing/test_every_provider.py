"""Every provider's own wire under question: what a provider's file says is what its service does."""

from __future__ import annotations

import json
import pathlib

from gateway.build import retry
from gateway.loading import load
from gateway.probing.finding import Mark
from gateway.probing.questions import Questions, probe_all
from tests.fakes.wires import WIRES
from tests.fakes.wires.server import FakeProviders
from tests.probing.test_questions import BRING_UP
from tests.test_every_provider import routes


async def test_every_provider(tmp_path: pathlib.Path) -> None:
    """Nothing contradicts the configuration where each service is told to do what it is known for."""
    file = tmp_path / "gateway.yaml"
    with FakeProviders() as fakes:
        models = {}
        for wire in WIRES.values():
            model = routes(wire, fakes.base_url(wire))[wire.name]
            model["targets"][0] |= {"base64": wire.base64, "token_ids": wire.token_ids}
            models[wire.name] = model
        file.write_text(json.dumps({"models": models}))
        reports = await probe_all(load(file, {}).models, Questions(60, most_items=4), BRING_UP, retry())

    assert len(WIRES) == len(reports)
    assert [] == [
        (report.model, finding.check, finding.message)
        for report in reports
        for finding in report.findings
        if finding.mark in (Mark.CONTRADICTS, Mark.UNKNOWN)
    ]
