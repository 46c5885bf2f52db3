"""What a probe prints: a table, sentences, YAML that the gateway reads, and JSON."""

from __future__ import annotations

import json

import pytest

from gateway.document import parse
from gateway.probing import report
from gateway.probing.finding import Finding, Mark, Report, Setting

SILENT = Finding("answers", Mark.CONTRADICTS, "no", "it refuses.")
ANSWERS = Finding("answers", Mark.AGREES, "yes")


def length(found: int, configured: int = 8) -> Finding:
    mark = Mark.AGREES if found == configured else Mark.CONTRADICTS
    message = "" if found == configured else f"its vectors have {found} values"
    return Finding("dimensions", mark, f"{found}", message, Setting("dimensions.native", found, configured))


def setting(key: str, value: object, configured: object) -> Finding:
    return Finding(key, Mark.AGREES, "x", setting=Setting(key, value, configured))


def of(model: str, target: str, *findings: Finding) -> Report:
    return Report(model, target, "openai", findings, calls=2, tokens=30)


TWO = [of("m", "first", ANSWERS, length(8)), of("m", "second", ANSWERS, length(4)), of("n", "only", SILENT)]


def test_text() -> None:
    """A table for each model with a target a column, whatever is noteworthy, what follows, and what it cost."""
    expected = """\
m             first  second
  answers     ✓ yes  ✓ yes
  dimensions  ✓ 8    ✗ 4

✗ second, dimensions: its vectors have 4 values.

n          only
  answers  ✗ no

✗ only, answers: it refuses.

models:
  m:
    dimensions:
      native: 4  # now 8

Sent 6 calls, about 90 tokens. 2 findings contradict the configuration."""

    assert expected == report.text(TWO)


def test_nothing_follows() -> None:
    """A target that does not answer says nothing about the routing file."""
    assert [] == report.yaml([of("m", "only", SILENT)])


def test_yaml() -> None:
    """What follows is YAML with the routing file's keys, each beside what holds now."""
    lines = report.yaml(
        [
            of(
                "m: odd #1",
                "a:0",
                setting("dimensions.native", 8, 8),
                setting("normalize", True, False),
                setting("targets.base64", False, True),
                setting("dimensions.allowed", [2, 4], None),
                setting("targets.batch.inputs", 32, None),
            ),
            of("m: odd #1", "true", setting("normalize", False, False), setting("targets.base64", True, True)),
        ]
    )
    target = {"name": "a:0", "base64": False, "batch": {"inputs": 32}}
    model = {"dimensions": {"native": 8, "allowed": [2, 4]}, "normalize": True}

    read = parse("\n".join(lines), {})
    assert [] == read.problems
    assert {"models": {"m: odd #1": {**model, "targets": [target, {"name": "true", "base64": True}]}}} == read.values
    assert [line.partition("#")[2] for line in lines if "base64" in line or "inputs" in line] == [
        " now true",
        " not set",
        " confirmed",
    ]


@pytest.mark.parametrize(
    ("findings", "expected"), [([ANSWERS], "Nothing contradicts"), ([SILENT], "One finding contradicts")]
)
def test_verdict(findings: list[Finding], expected: str) -> None:
    """The last line says whether anything contradicts the configuration."""
    assert (
        f"Sent 2 calls, about 30 tokens. {expected} the configuration."
        == report.text([of("m", "t", *findings)]).rpartition("\n")[2]
    )


def test_json() -> None:
    """Scripts get the same."""
    said = json.loads(report.as_json(TWO))
    findings = said["targets"][1].pop("findings")

    assert 2 == said["contradictions"]
    assert {"model": "m", "target": "second", "provider": "openai", "calls": 2, "tokens": 30} == said["targets"][1]
    assert findings[1] == {
        "check": "dimensions",
        "mark": "contradicts",
        "found": "4",
        "message": "its vectors have 4 values",
        "key": "dimensions.native",
        "value": 4,
        "configured": 8,
    }
