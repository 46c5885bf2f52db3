"""What a probe found as text: a table, a sentence for whatever is noteworthy, the YAML that follows; or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from gateway.document import parse
from gateway.probing.finding import Mark, Report, Setting

SYMBOLS: Final[Mapping[Mark, str]] = {
    Mark.AGREES: "✓",
    Mark.CONTRADICTS: "✗",
    Mark.NOTE: "!",
    Mark.UNKNOWN: "?",
    Mark.NOT_ASKED: "",
}


def text(reports: Sequence[Report]) -> str:
    """All of it, for people: ✗ contradicts the configuration, ! is worth knowing, ? was not answered."""
    parts = [part for of_model in _by_model(reports) for part in (_table(of_model), _sentences(of_model))]
    return "\n\n".join("\n".join(part) for part in (*parts, yaml(reports), [_summary(reports)]) if part)


def _by_model(reports: Sequence[Report]) -> list[list[Report]]:
    return [list(group) for _, group in groupby(reports, key=lambda report: report.model)]


def _table(reports: Sequence[Report]) -> list[str]:
    """One model's checks, a target a column."""
    found = [{finding.check: finding for finding in report.findings} for report in reports]
    checks = list(dict.fromkeys(check for findings in found for check in findings))
    rows = [[reports[0].model, *(report.target for report in reports)]]
    for check in checks:
        cells = [findings.get(check) for findings in found]
        rows.append([f"  {check}", *(f"{SYMBOLS[cell.mark]} {cell.found}".strip() if cell else "" for cell in cells)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _sentences(reports: Sequence[Report]) -> list[str]:
    return [
        f"{SYMBOLS[finding.mark]} {report.target}, {finding.check}: {finding.message.rstrip('.')}."
        for report in reports
        for finding in report.findings
        if finding.message and finding.mark is not Mark.AGREES
    ]


def _summary(reports: Sequence[Report]) -> str:
    calls, tokens = sum(report.calls for report in reports), sum(report.tokens for report in reports)
    wrong = sum(report.contradictions for report in reports)
    verdict = {0: "Nothing contradicts", 1: "One finding contradicts"}.get(wrong, f"{wrong} findings contradict")
    return f"Sent {calls} call{'s' if calls != 1 else ''}, about {tokens} tokens. {verdict} the configuration."


def yaml(reports: Sequence[Report]) -> list[str]:
    """The keys of the routing file that were asked about, each with what follows for it."""
    lines: list[str] = []
    for of_model in _by_model(reports):
        targets = [(report.target, _settings(report, of_target=True)) for report in of_model]
        of_targets = [
            line
            for name, settings in targets
            if settings
            for line in (f"      - name: {_word(name)}", *_keys(settings, "        "))
        ]
        keys = [*_keys(_of_model(of_model), "    "), *(["    targets:", *of_targets] if of_targets else [])]
        lines += [f"  {_word(of_model[0].model)}:", *keys] if keys else []
    return ["models:", *lines] if lines else []


def _settings(report: Report, *, of_target: bool) -> list[Setting]:
    settings = [finding.setting for finding in report.findings if finding.setting is not None]
    return [setting for setting in settings if setting.key.startswith("targets.") == of_target]


def _of_model(reports: Sequence[Report]) -> list[Setting]:
    """The targets' settings of their model: where they differ, that of the first which differs from the configured."""
    by_key: dict[str, Setting] = {}
    for report in reports:
        for setting in _settings(report, of_target=False):
            known = by_key.get(setting.key)
            if known is None or known.value == known.configured:
                by_key[setting.key] = setting
    return list(by_key.values())


def _keys(settings: Sequence[Setting], indent: str) -> Iterator[str]:
    section = ""
    for setting in sorted(settings, key=lambda setting: setting.key):  # those of one section together
        *sections, key = setting.key.removeprefix("targets.").split(".")
        if sections and sections[0] != section:
            section = sections[0]
            yield f"{indent}{section}:"
        if setting.value == setting.configured:
            comment = "confirmed"
        else:
            comment = "not set" if setting.configured is None else f"now {json.dumps(setting.configured)}"
        yield f"{indent}{'  ' if sections else ''}{key}: {_value(setting.value)}  # {comment}"


def _value(value: Any) -> str:
    return _word(value) if isinstance(value, str) else json.dumps(value)


def _word(text: str) -> str:
    """As YAML reads it back: plain where that is itself, else in quotes."""
    read = parse(text, {})
    return text if read.values == text and not read.problems else json.dumps(text)


def as_json(reports: Sequence[Report]) -> str:
    """The same for scripts."""
    targets = [
        {
            "model": report.model,
            "target": report.target,
            "provider": report.provider,
            "calls": report.calls,
            "tokens": report.tokens,
            "findings": [
                {
                    "check": finding.check,
                    "mark": finding.mark,
                    "found": finding.found,
                    "message": finding.message or None,
                    "key": finding.setting and finding.setting.key,
                    "value": finding.setting and finding.setting.value,
                    "configured": finding.setting and finding.setting.configured,
                }
                for finding in report.findings
            ],
        }
        for report in reports
    ]
    return json.dumps({"targets": targets, "contradictions": sum(one.contradictions for one in reports)}, indent=2)
