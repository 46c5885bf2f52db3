"""`gateway space` as people run it, and a gateway process that holds its targets to what was accepted."""

from __future__ import annotations

import json
import pathlib
import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gateway.canary import GOLDEN
from gateway.cli import main
from tests.fakes import lies
from tests.fakes.mishaps import Spoiled
from tests.fakes.openai_replies import Answer
from tests.fakes.openai_upstream import Behaviour, FakeOpenAI
from tests.fakes.redis_server import eventually
from tests.gateway_process import GatewayProcess

TARGET = "provider: openai, model: text-embedding-3-small, weight: 1"
MODELS = string.Template(
    f"""
    small:
      space: openai/text-embedding-3-small
      canary: eject
      aliases: [tiny]
      targets:
        - {{name: first, base_url: '$first', api_key: $first_key, {TARGET}}}
        - {{name: second, base_url: '$second', api_key: $second_key, {TARGET}, priority: 1}}
    local:
      canary: off
      targets: [{{provider: static, path: wordllama}}]
    """
)


@pytest.fixture
def fakes() -> Iterator[tuple[FakeOpenAI, FakeOpenAI]]:
    with FakeOpenAI() as first, FakeOpenAI(api_key="sk-upstream-of-the-second") as second:
        yield first, second


def gateway_with(folder: pathlib.Path, fakes: tuple[FakeOpenAI, FakeOpenAI]) -> GatewayProcess:
    first, second = fakes
    keys = {"first_key": first.api_key, "second_key": second.api_key}
    models = MODELS.substitute(first=first.base_url, second=second.base_url, **keys)
    return GatewayProcess(
        folder, models, server="canary_interval: 100ms\nmetrics: public", access="", may_complain=True
    )


def space(gateway: GatewayProcess, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["space", *arguments, "--config", str(gateway.config)], catch_exceptions=False)


def listed(gateway: GatewayProcess) -> dict[str, Any]:
    small: dict[str, Any] = json.loads(space(gateway, "show", "tiny", "--json").stdout)[0]
    return small


def states(gateway: GatewayProcess) -> list[str]:
    return [target["state"] for target in listed(gateway)["targets"]]


def changed(change: Callable[[Any], Any]) -> Behaviour:
    def spoil(answer: Answer) -> None:
        for item in answer["data"]:
            item["embedding"] = change(item["embedding"]).astype(np.float32)

    return Spoiled(spoil)


DRIFTS = {
    "noise": changed(lambda vector: vector + 0.05 * np.random.default_rng(1).standard_normal(len(vector))),
    "another model": changed(lambda vector: np.roll(vector, 1)),
    "not of unit length": lies.times(7),
    "cut": changed(lambda vector: vector[:512]),
}


def test_out_and_in(tmp_path: pathlib.Path, fakes: tuple[FakeOpenAI, FakeOpenAI]) -> None:
    """A target that drifts, in whatever way, is out until it is well; meanwhile the other one answers."""
    with gateway_with(tmp_path, fakes) as gateway, gateway.client() as http:
        assert 0 == space(gateway, "accept", "small", "--target", "first").exit_code

        def answers() -> str:
            return http.post("/v1/embeddings", json={"model": "small", "input": "x"}).headers["x-embedding-target"]

        eventually(lambda: states(gateway) == ["good", "good"])
        before = answers()
        during = {}
        for way, drift in DRIFTS.items():
            fakes[0].behave(drift, times=None)
            eventually(lambda: "ejected" in states(gateway))
            eventually(lambda: answers() == "second")
            during[way] = states(gateway)
            metrics = http.get("/metrics").text
            fakes[0].clear()
            eventually(lambda: answers() == "first")
        half = len(gateway.log)
        fakes[0].behave(changed(lambda vector: vector.astype(np.float16)), times=None)
        assert fakes[0].wait_until(lambda: len(fakes[0].requests) > 8)
        tolerated = (answers(), states(gateway))
        generation = listed(gateway)["generation"]
        log = gateway.log

    assert ("first", {way: ["ejected", "good"] for way in DRIFTS}) == (before, during)
    assert 'gateway_canary_drift{model="small",target="first"} 1.0' in metrics
    assert ("first", ["good", "good"]) == tolerated
    assert 1 + 2 * len(DRIFTS) == generation
    drifted = [line for line in log if line["event"] == "a target has drifted out of its space"]
    assert [("small", "first", "error")] * len(DRIFTS) == [
        (line["model"], line["target"], line["level"]) for line in drifted
    ]
    assert not any(line["level"] == "error" for line in log[half:])
    assert not any(text in gateway.stderr for text in (*GOLDEN, fakes[0].api_key))


def test_accept(tmp_path: pathlib.Path, fakes: tuple[FakeOpenAI, FakeOpenAI]) -> None:
    """Targets that disagree need a name; what is accepted is shown; no gateway has to run."""
    gateway = gateway_with(tmp_path, fakes)
    fresh = states(gateway)
    fakes[1].behave(DRIFTS["another model"], times=None)
    refused = space(gateway, "accept", "small")
    accepted = space(gateway, "accept", "tiny", "--target", "second")
    shown = listed(gateway)
    table = space(gateway, "list").stdout
    unknown = space(gateway, "show", "nothing")

    assert ["unpinned", "unpinned"] == fresh
    assert 1 == refused.exit_code
    assert "`second` does not agree with `first`: cosine" in refused.stderr
    assert "The space openai/text-embedding-3-small has a new reference, by second; its generation is 1.\n" == (
        accepted.stdout
    )
    assert ("second", 1, ["not asked"] * 2) == (
        shown["reference"]["by"],
        shown["generation"],
        [target["state"] for target in shown["targets"]],
    )
    assert [["small", "first", "asked"], ["small", "second", "asked"], ["local", "static-0", "off"]] == [
        [words[0], words[4], words[6] if words[5] == "not" else words[5]]
        for words in map(str.split, table.splitlines()[1:])
    ]
    assert (1, "There is no model `nothing`. There are `small`, `local`.\n") == (unknown.exit_code, unknown.stderr)


def test_local(tmp_path: pathlib.Path, fakes: tuple[FakeOpenAI, FakeOpenAI]) -> None:
    """A model in the process has a reference, too."""
    gateway = gateway_with(tmp_path, fakes)

    assert "a new reference, by static-0; its generation is 1." in space(gateway, "accept", "local").stdout
