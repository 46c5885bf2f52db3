"""What a probe finds out about targets, asked over real sockets of a service that tells the truth, or does not."""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from gateway.build import retry, routes
from gateway.engines import Engines
from gateway.loading import load
from gateway.probing.finding import Mark, Report
from gateway.probing.questions import TEXTS, Questions, probe_all
from tests.fakes import lies, mishaps
from tests.fakes.openai_upstream import Behaviour, FakeOpenAI

BRING_UP = partial(routes, engines=Engines())
AGREES, CONTRADICTS, NOTE, UNKNOWN, NOT_ASKED = Mark
Sleep = Callable[[float], Awaitable[None]]
SURE = "base64: true, token_ids: true"
TRUTH = {
    "answers": "yes",
    "dimensions": "1536",
    "same twice": "yes",
    "order": "yes",
    "unit length": "yes",
    "usage": "28",
    "empty string": "refused",
    "base64": "yes",
    "token ids": "yes",
    "shortens": "768",
    "items": "≥ 8",
}


@pytest.fixture(scope="module")
def served() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def fake(served: FakeOpenAI) -> FakeOpenAI:
    served.clear()
    return served


async def probed(
    folder: pathlib.Path,
    fake: FakeOpenAI,
    *targets: str,
    model: str = "",
    most: int = 8,
    long: int | None = None,
    sleep: Sleep = asyncio.sleep,
) -> list[Report]:
    """Reports about targets of one model, each given by its keys beside those that it needs."""
    common = f"provider: openai, model: text-embedding-3-small, base_url: '{fake.base_url}'"
    listed = "\n".join(
        f"    - {{{common}, {target}}}".replace("$key", f"api_key: {fake.api_key}") for target in targets
    )
    file = folder / "gateway.yaml"
    limits = "inputs: 8" if long is None else f"inputs: 8, input_tokens: {long}"
    file.write_text(f"models:\n  m:\n    space: s\n    limits: {{{limits}}}\n{model}\n    targets:\n{listed}\n")
    return await probe_all(
        load(file, {}).models, Questions(60, most, long is not None), BRING_UP, replace(retry(), sleep=sleep)
    )


def marks(report: Report) -> dict[str, tuple[Mark, str]]:
    """What does not simply agree."""
    plain = (Mark.AGREES, Mark.NOT_ASKED)
    return {finding.check: (finding.mark, finding.found) for finding in report.findings if finding.mark not in plain}


def follows(report: Report) -> dict[str, object]:
    """What differs from the configuration."""
    settings = [finding.setting for finding in report.findings if finding.setting is not None]
    return {setting.key: setting.value for setting in settings if setting.value != setting.configured}


async def test_truth(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A service that does what it is configured for agrees in everything."""
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}")

    assert ({}, {}, 0) == (marks(report), follows(report), report.contradictions)
    assert TRUTH == {finding.check: finding.found for finding in report.findings}


async def test_cost(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """The calls and their tokens are told: three texts thrice, one of them twice, eight numbers."""
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}")

    assert len(fake.requests) == report.calls == 7
    assert 3 * 28 + 2 * 10 + 8 == report.tokens


@pytest.mark.parametrize(
    ("lie", "expected", "settings"),
    [
        (lies.floats_anyway(), {"base64": (CONTRADICTS, "floats")}, {"targets.base64": False}),
        (lies.float64_as_base64(), {"base64": (CONTRADICTS, "wrong")}, {"targets.base64": False}),
        (lies.another_vocabulary(), {"token ids": (CONTRADICTS, "others")}, {"targets.token_ids": False}),
        (lies.no_token_ids(), {"token ids": (CONTRADICTS, "no")}, {"targets.token_ids": False}),
        (lies.at_most(5), {"items": (CONTRADICTS, "5")}, {"targets.batch.inputs": 5}),
        (lies.at_most(1), {"items": (CONTRADICTS, "1")}, {"targets.batch.inputs": 1}),
        (mishaps.one_too_few(), {"answers": (CONTRADICTS, "no")}, {}),
        (
            lies.native_length_always(),
            {"shortens": (CONTRADICTS, "not to 768")},
            {"dimensions.shorten": "never"},
        ),
        (lies.reversed_order(), {"order": (CONTRADICTS, "wrong")}, {}),
        (lies.one_for_all(), {"same twice": (UNKNOWN, "?"), "order": (CONTRADICTS, "one for all")}, {}),
        (lies.times(3.0), {"unit length": (CONTRADICTS, "3")}, {"unit_length": False}),
        (lies.usage(0), {"usage": (NOTE, "zero")}, {}),
        (lies.usage(9), {"usage": (NOTE, "9")}, {}),
        (lies.without_usage(), {"usage": (NOTE, "none")}, {}),
        (mishaps.shuffled(), {}, {}),
    ],
)
async def test_lies(
    tmp_path: pathlib.Path,
    fake: FakeOpenAI,
    lie: Behaviour,
    expected: dict[str, tuple[Mark, str]],
    settings: dict[str, object],
) -> None:
    """Each thing that a service does otherwise than configured is found, nothing else, and what follows from it."""
    fake.behave(lie, times=None)
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}")

    assert (expected, settings) == (marks(report), follows(report))


async def test_unsteady(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """Where a text's vector changes, the order cannot be told, and neither base64 nor token ids can be trusted."""
    fake.behave(lies.unsteady(), times=None)
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}")

    assert marks(report) == {
        "same twice": (CONTRADICTS, "no"),
        "order": (UNKNOWN, "?"),
        "base64": (CONTRADICTS, "wrong"),
        "token ids": (CONTRADICTS, "others"),
    }


async def test_more_than_configured(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """What a service can do beyond its configuration is worth a note and contradicts nothing."""
    limits = "    dimensions: {shorten: truncate}"
    (report,) = await probed(tmp_path, fake, "$key, batch: {inputs: 4}", model=limits)

    assert 0 == report.contradictions
    assert follows(report) == {
        "targets.base64": True,
        "targets.token_ids": True,
        "targets.batch.inputs": 8,
        "dimensions.shorten": "native",
    }


async def test_dimensions(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """Vectors of another length than the declared one are found, and which lengths it gives of those allowed."""
    model = "    dimensions: {native: 3072, shorten: native, allowed: [256, 2048]}"
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}", model=model)

    assert marks(report) == {"dimensions": (CONTRADICTS, "1536"), "shortens": (CONTRADICTS, "not to 2048")}
    assert {"dimensions.native": 1536, "dimensions.allowed": [256]} == follows(report)


async def test_one_space(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A target that serves another model than its neighbours is found."""
    fake.behave(lies.another_model("x-other"), times=None)
    targets = [f"name: {name}, $key, {SURE}, headers: {{{header}: x}}" for name, header in NEIGHBOURS.items()]
    reports = await probed(tmp_path, fake, *targets)

    assert [None, "yes", "no"] == [
        next((one.found for one in report.findings if one.check == "one space"), None) for report in reports
    ]


NEIGHBOURS = {"first": "x-a", "second": "x-b", "third": "x-other"}


@pytest.mark.parametrize(
    ("late", "found"), [(lies.cutting(200), "cut"), (mishaps.slow(0), "read"), (mishaps.error(400), "refused")]
)
async def test_too_long(tmp_path: pathlib.Path, fake: FakeOpenAI, late: Behaviour, found: str) -> None:
    """A text beyond the limit is read, refused, or cut without a word, which at an address of one's own may be."""
    fake.behave(mishaps.slow(0), times=5)  # what comes before the long texts
    fake.behave(late, times=None)
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}", most=3, long=40)

    assert [(AGREES, found)] == [(one.mark, one.found) for one in report.findings if one.check == "too long"]


async def test_silent_target(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A target that does not answer is asked once, and its reason told without its secrets."""
    (report,) = await probed(tmp_path, fake, "api_key: sk-wrong-0123456789abcdef")
    (finding,) = report.findings

    assert (CONTRADICTS, "no", 1) == (finding.mark, finding.found, len(fake.requests))
    assert finding.message.startswith("it refuses the credentials, the model or the address (401): Incorrect API key")
    assert "wrong" not in finding.message


async def test_throttled_target(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A target that throttles is waited for as long as it asks."""
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    fake.behave(mishaps.rate_limited("7"), times=2)
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}", sleep=sleep)

    assert ({}, 9, [7, 7]) == (marks(report), report.calls, [int(nap) for nap in naps])


async def test_unanswered_question(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A question that is not answered contradicts nothing."""
    fake.behave(mishaps.slow(0), times=2)
    fake.behave(mishaps.insufficient_quota(), times=None)
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}")

    assert 0 == report.contradictions
    assert {UNKNOWN} == {mark for mark, _ in marks(report).values()}
    assert {"base64", "token ids", "shortens", "items"} == set(marks(report))


async def test_one_text_a_call(tmp_path: pathlib.Path, fake: FakeOpenAI) -> None:
    """A target of one text a call is asked one at a time, and beyond only to see whether it takes more."""
    fake.behave(lies.at_most(1), times=None)
    (report,) = await probed(tmp_path, fake, f"$key, {SURE}, batch: {{inputs: 1}}")

    assert ({}, {}) == (marks(report), follows(report))
    assert [1] * 6 + [2] == [len(request.body["input"]) for request in fake.requests]


async def test_local(tmp_path: pathlib.Path) -> None:
    """A local model is asked what a local model can be asked."""
    file = tmp_path / "gateway.yaml"
    file.write_text("models: {l: {normalize: true, targets: [{provider: static, path: wordllama}]}}")
    (report,) = await probe_all(load(file, {}).models, Questions(60), BRING_UP, retry())

    assert {} == marks(report)
    assert ["base64", "token ids", "shortens", "items"] == [
        finding.check for finding in report.findings if finding.mark is NOT_ASKED
    ]


async def test_wrong_local(tmp_path: pathlib.Path) -> None:
    """A local model that cannot be brought up is one line of its report."""
    file = tmp_path / "gateway.yaml"
    file.write_text("models: {l: {dimensions: {native: 4}, targets: [{provider: static, path: none}]}}")
    (report,) = await probe_all(load(file, {}).models, Questions(60), BRING_UP, retry())

    assert ["models.l: target `static-0`"] == [finding.message.partition(": `")[0] for finding in report.findings]


def test_texts_are_told_apart() -> None:
    """The texts differ in length, so that a service which sorts them is seen through."""
    assert 3 == len({len(text) for text in TEXTS})
