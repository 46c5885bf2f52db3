"""The models inside this process, and what a route takes over from them."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path

import pytest

from gateway import build
from gateway.assembly import BuildError
from gateway.backends import Local
from gateway.batcher import Batcher
from gateway.engines import Engines
from gateway.loading import load
from gateway.routing import Route
from gateway.upstream import Upstream
from providers.engine import Engine, LocalModel, LocalProvider, Transformer
from tests.fakes.transformer import HIDDEN, LONGEST, TinyBert
from tests.test_backends import FakeEngine


def transformer() -> Transformer:
    return Transformer(8, 512, lengths=lambda texts: [3] * len(texts), forward=lambda texts: [])


class Loader:
    """Loads the same kind of model every time, and remembers what it was asked for."""

    def __init__(self, kind: type[FakeEngine] | None = None) -> None:
        self.models: list[LocalModel] = []
        self._kind = kind

    def __call__(self, model: LocalModel) -> Engine | Transformer:
        self.models.append(model)
        return transformer() if self._kind is None else self._kind()


@pytest.mark.parametrize(
    ("reads_name", "expected"),
    [(False, [("/a", ""), ("/b", "")]), (True, [("/a", "x"), ("/a", "y"), ("/b", "x")])],
)
def test_loaded_once(reads_name: bool, expected: list[tuple[str, str]]) -> None:
    """A model is loaded once for all routes; another name is another model only where the provider reads names."""
    loader, engines = Loader(), Engines(threads=2)
    provider = LocalProvider("some", loader, reads_name=reads_name)
    for path, name in [("/a", "x"), ("/a", "y"), ("/b", "x"), ("/a", "x")]:
        engines.get(provider, path, name)

    assert [(path, name, 2) for path, name in expected] == [
        (model.path, model.name if reads_name else "", model.threads) for model in loader.models
    ]


def test_one_queue() -> None:
    """All routes of a transformer share its queue; an engine that answers at once has slots for each target."""
    engines = Engines()
    one, other, engine = transformer(), transformer(), FakeEngine()
    backends = [engines.backend(model, 4) for model in (one, one, other, engine, engine)]

    assert [Batcher, Batcher, Batcher, Local, Local] == list(map(type, backends))
    assert backends[0] is backends[1] is not backends[2]
    assert backends[3] is not backends[4]


@pytest.mark.parametrize(("workers", "expected"), [(1, None), (2, 4), (3, 2), (16, 1)])
def test_threads(workers: int, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers share the eight processors; one alone leaves it to the models' libraries how many they use."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)

    assert expected == build._threads(workers)


# ── a route ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TinyBert().write(tmp_path_factory.mktemp("model"))


def route(folder: Path, model: str) -> Route:
    """Of the YAML of a model, in which `$onnx` is a target at the folder."""
    file = folder / "gateway.yaml"
    text = textwrap.indent(textwrap.dedent(model).strip().replace("$onnx", f"provider: onnx, path: '{folder}'"), "    ")
    file.write_text(f"models:\n  m:\n{text}\n")
    [made] = build.gateway(load(file, {}), Upstream()).routes
    return made


ONE = f"dimensions: {{native: {HIDDEN}}}\ntargets: [{{$onnx}}]"


def test_what_the_model_tells(folder: Path) -> None:
    """Where the routing file does not say, texts are counted by the model's own tokenizer, up to its own limit."""
    made = route(folder, ONE)
    facts = (made.limits.input_tokens, made.tokenizer, made.tokenizer_known)

    assert (LONGEST, str(folder / "tokenizer.json"), True) == facts


@pytest.mark.parametrize(("given", "expected"), [(10, 10), (10_000, LONGEST)])
def test_given_limit(folder: Path, given: int, expected: int) -> None:
    """The routing file may set a tighter limit than the model's, and no looser one."""
    assert expected == route(folder, f"limits: {{input_tokens: {given}}}\n{ONE}").limits.input_tokens


def test_given_tokenizer(folder: Path) -> None:
    """A tokenizer that the routing file names counts, and the model's own limit means nothing to it."""
    made = route(folder, f"tokenizer: cl100k_base\n{ONE}")

    assert ("cl100k_base", None) == (made.tokenizer, made.limits.input_tokens)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("[{$onnx}]", [math.inf]),
        ("[{$onnx, timeout: 3s}]", [3.0]),
        ("[{$onnx}, {name: b, $onnx, priority: 1}]", [None, None]),
    ],
)
def test_timeout(folder: Path, targets: str, expected: list[float | None]) -> None:
    """A model in this process may take all the time of a request, unless another target could be asked."""
    made = route(folder, f"space: tiny\ndimensions: {{native: {HIDDEN}}}\ntargets: {targets}")

    assert expected == [target.timeout for target in made.targets]


def test_wrong_dimensions(folder: Path) -> None:
    """A length that the model does not make is an error that says both."""
    with pytest.raises(BuildError, match=f"have {HIDDEN} dimensions, and the configuration says 384"):
        route(folder, "dimensions: {native: 384}\ntargets: [{$onnx}]")


def test_no_model(folder: Path) -> None:
    """A model that cannot be loaded is an error that names the route and the target."""
    with pytest.raises(BuildError, match=r"models.m: target `onnx-0`: `/nothing` has neither"):
        route(folder, "dimensions: {native: 8}\ntargets: [{provider: onnx, path: /nothing}]")


@pytest.mark.parametrize(
    ("target", "tells"),
    [("provider: infinity, base_url: 'http://host:7997'", True), ("provider: tei, base_url: 'http://host'", False)],
)
def test_who_is_asked(folder: Path, target: str, tells: bool) -> None:
    """A server that tells how busy it is will be asked."""
    made = route(folder, f"dimensions: {{native: 8}}\ntargets: [{{{target}}}]")

    assert tells == (made.targets[0].told is not None)
