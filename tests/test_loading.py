"""A routing file becomes a configuration, or every problem in it at once."""

from __future__ import annotations

import datetime
import pathlib
import re
import textwrap

import pytest

from gateway import loading
from gateway.config import Config, ConfigError
from gateway.dimensions import Dimensions
from gateway.loading import EMBEDDED_DEFAULT, check_text, load
from gateway.schema import ServerShape
from providers.base import Limits

ROOT = pathlib.Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.yaml"
MODELS = "models: {m: {targets: [{provider: static, path: wordllama}]}}\n"
HASH = "0123456789abcdef" * 4


@pytest.fixture(name="file")
def _file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "gateway.yaml"


def server(**keys: object) -> ServerShape:
    return ServerShape.model_validate(keys)


def loaded(file: pathlib.Path, text: str, **environ: str) -> Config:
    file.write_text(textwrap.dedent(text), "utf-8")
    return load(file, environ)


def error(file: pathlib.Path, text: str, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        loaded(file, text, **environ)
    return caught.value


def problems(file: pathlib.Path, text: str, **environ: str) -> list[str]:
    """The lines that are told, without the file's name."""
    return [line.removeprefix(f"{file}:").strip() for line in error(file, text, **environ).lines()]


def places(file: pathlib.Path, text: str, **environ: str) -> list[tuple[str, int | None]]:
    return [(problem.place, problem.line) for problem in error(file, text, **environ).problems]


# ── a whole file ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_whole_file(file: pathlib.Path) -> None:
    """A small file becomes a whole configuration."""
    config = loaded(
        file,
        """
        server: {port: 9000, max_body: 1MiB}
        models:
          small:
            targets: [{provider: openai, model: text-embedding-3-small, api_key: sk-1}]
        """,
    )
    [model] = config.models
    [target] = model.targets

    assert (
        server(port=9000, max_body="1MiB"),
        "small",
        "openai/text-embedding-3-small",
        Dimensions(1536, 1, "native"),
        Limits(2048, 8192, 300_000),
        "sk-1",
        False,
    ) == (
        config.server,
        model.alias,
        model.space,
        model.dimensions,
        model.limits,
        target.api_key,
        config.is_embedded_default,
    )


EVERYTHING_WRONG = """\
server:
  prot: 8080
  timeout: 20
state:
  url: mysql://db
auth:
  keys:
    - {name: ci, sha256: abc}
models:
  small:
    dimensions: {native: 512}
    targets:
      - {provider: openai, model: text-embedding-3-small, api_key: "${NONE}"}
      - provider: openai
        model: text-embedding-3-large
        weight: 0
  large:
    targets:
      - provider: openai
        model: unknown
        path: x
        api_key: ""
  "a b":
    default_input_type: query
    targets: [{provider: static}]
  small:
    targets: []
servers: 1
"""


def test_every_problem_at_once(file: pathlib.Path) -> None:
    """All that is wrong in all sections is told, each with its place on its line."""
    actual = places(file, EVERYTHING_WRONG)

    assert [
        ("server.prot", 2),
        ("server.timeout", 3),
        ("state.url", 5),
        ("auth.keys[0].sha256", 8),
        ("models.small.targets[0].api_key", 13),
        ("models.small.targets[1].weight", 16),
        ("models.large.dimensions", 17),
        ("models.large.targets[0].path", 21),
        ("models.large.targets[0].api_key", 22),
        ("models.'a b'", 23),
        ("models.'a b'.dimensions", 23),
        ("models.'a b'.default_input_type", 24),
        ("models.'a b'.targets[0]", 25),
        ("models.small", 26),
        ("servers", 28),
    ] == actual


def test_lines_that_are_told(file: pathlib.Path) -> None:
    """A line of the error has the file, the line, the place, what is wrong."""
    actual = error(file, "server: {prot: 1}\n" + MODELS).lines()

    assert [f"{file}:1: server.prot: unknown key; did you mean `port`?"] == actual


def test_no_second_error_behind(file: pathlib.Path) -> None:
    """The error stands alone: no traceback shows another behind it, which could quote a value."""
    caught = error(file, "server: {port: x}\n" + MODELS)

    assert (None, None) == (caught.__cause__, caught.__context__)


@pytest.mark.parametrize("text", ["", "# a comment\n", "- models", "models", "5", "null", "[]"])
def test_no_mapping(file: pathlib.Path, text: str) -> None:
    """A file that is no mapping is one problem."""
    [problem] = error(file, text).problems

    assert "must be a mapping with `models`, and perhaps `server`, `state` and `auth`" == problem.message


@pytest.mark.parametrize("text", ["{}", "models:", "models: {}", "models: []", "models: [small]", "models: small"])
def test_no_models(file: pathlib.Path, text: str) -> None:
    """A file without models is one problem."""
    actual = [(problem.place, problem.message) for problem in error(file, text).problems]

    assert [("models", "name at least one model with its targets")] == actual


def test_no_yaml(file: pathlib.Path) -> None:
    """A file that is no YAML is one problem."""
    actual = problems(file, "models:\n  m:\n\t  targets: []\n")

    assert [r"3: (top level): this is not valid YAML: found character '\t' that cannot start any token"] == actual


@pytest.mark.parametrize("encoded", [MODELS.encode("utf-8-sig"), MODELS.replace("\n", "\r\n").encode()])
def test_other_systems(file: pathlib.Path, encoded: bytes) -> None:
    """A file that another system's editor wrote loads."""
    file.write_bytes(encoded)
    config = load(file, {})

    assert ["m"] == [model.alias for model in config.models]


def test_missing_file(file: pathlib.Path) -> None:
    """A file that is not there is the system's error."""
    with pytest.raises(FileNotFoundError):
        load(file, {})


def test_other_encoding(file: pathlib.Path) -> None:
    """A file in another encoding than UTF-8 is refused."""
    file.write_bytes("# für\n".encode("latin-1"))

    with pytest.raises(UnicodeDecodeError):
        load(file, {})


# ── the environment ───────────────────────────────────────────────────────────────────────────────────────────────


def test_unset_variable(file: pathlib.Path) -> None:
    """A variable that is not set is one problem, although what then stands there is wrong, too."""
    actual = problems(file, "server:\n  port: ${PORT}\n" + MODELS)

    assert ["2: server.port: the environment variable PORT is not set; set it, or write ${PORT:-default}"] == actual


@pytest.mark.parametrize(
    "key",
    ["base_url", "api_key", "api_key_file", "name", "weight", "proxy", "ca_file", "base64", "timeout", "provider"],
)
def test_unset_variable_of_a_target(file: pathlib.Path, key: str) -> None:
    """Whatever a target needs a variable for, its absence is one problem."""
    other = {} if key == "provider" else {"provider": "openai"}
    keys = "\n".join(f"      {name}: {value}" for name, value in ({key: "${NONE}"} | other).items())
    actual = places(file, f"models:\n  m:\n    dimensions: {{native: 3}}\n    targets:\n    -\n{keys}\n")

    assert [(f"models.m.targets[0].{key}", 6)] == actual


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("port: ${PORT}", server(port=9000)),
        ("port: ${NONE:-9000}", server(port=9000)),
        ("expose_targets: ${NO}", server(expose_targets=False)),
        ("timeout: ${SECONDS}s", server(timeout="5s")),
        ("max_body: ${NONE:-1MiB}", server(max_body="1MiB")),
        ("host: ${HOST}", server(host="0.0.0.0")),
    ],
)
def test_references(file: pathlib.Path, written: str, expected: ServerShape) -> None:
    """A reference may stand for a number, a switch or a text."""
    config = loaded(file, f"server:\n  {written}\n{MODELS}", PORT="9000", NO="false", SECONDS="5", HOST="0.0.0.0")

    assert expected == config.server


def test_key_of_digits(file: pathlib.Path) -> None:
    """A provider's key of digits keeps its zeros."""
    config = loaded(
        file, "models: {m: {dimensions: {native: 3}, targets: [{provider: openai, api_key: '${KEY}'}]}}", KEY="00120"
    )

    assert "00120" == config.models[0].targets[0].api_key


def test_unquoted_key_of_digits(file: pathlib.Path) -> None:
    """A number where a provider's key should stand is refused, for its zeros are lost."""
    actual = problems(file, "models: {m: {dimensions: {native: 3}, targets: [{provider: openai, api_key: 00120}]}}")

    assert ["1: models.m.targets[0].api_key: must be a string; put quotes around it"] == actual


def test_process_environment(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment given, the process's own is read."""
    monkeypatch.setenv("TEST_LOADING_PORT", "9000")
    file.write_text("server: {port: '${TEST_LOADING_PORT}'}\n" + MODELS)
    config = load(file)

    assert 9000 == config.server.port


def test_other_environment(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an environment given, the process's own is not read."""
    monkeypatch.setenv("TEST_LOADING_PORT", "9000")
    config = loaded(file, "server: {port: '${TEST_LOADING_PORT:-1}'}\n" + MODELS)

    assert 1 == config.server.port


# ── secrets ───────────────────────────────────────────────────────────────────────────────────────────────────────

SECRETS = """
models:
  m:
    dimensions: {native: 3}
    targets:
      - provider: openai
        api_key: S3cret-key
        proxy: http://user:S3cret-proxy@proxy:3128
        headers: {X-Token: S3cret-header}
        extra_body: {token: S3cret-body}
      - provider: openai
        model: m
        api_key_file: key
        name: ${REFERENCE}
        extra_body: {token: S3cret-body}
    space: mine
"""


def test_secrets_hide(file: pathlib.Path) -> None:
    """A configuration does not show its secrets."""
    file.with_name("key").write_text("S3cret-file")
    config = loaded(file, SECRETS, REFERENCE="second", HTTPS_PROXY="http://user:S3cret-environment@proxy:3128")

    assert "S3cret" not in f"{config!r} {config}"


def test_secrets_arrive(file: pathlib.Path) -> None:
    """What is hidden is there."""
    file.with_name("key").write_text("S3cret-file")
    config = loaded(file, SECRETS, REFERENCE="second", HTTPS_PROXY="http://user:S3cret-environment@proxy:3128")
    first, second = config.models[0].targets

    assert [
        "S3cret-key",
        "http://user:S3cret-proxy@proxy:3128",
        "S3cret-header",
        "S3cret-file",
        "http://user:S3cret-environment@proxy:3128",
    ] == [first.api_key, first.proxy, first.headers["X-Token"], second.api_key, second.proxy]


@pytest.mark.parametrize(
    "keys",
    [
        "api_key: S3cret with blanks",
        "api_key: [S3cret]",
        "api_key: {S3cret: x}",
        "api_key: {x: S3cret}",
        'api_key: "S3cret\\n"',
        "api_key: *S3cret",
        "api_key: !S3cret x",
        "api_key: ${S3cret",
        "api_key: '${S3cret'",
        "api_key: {S3cret",
        "api_key: S3cret: x",
        "{api_key:S3cret}",
        "proxy: S3cret",
        "proxy: socks5://user:S3cret@proxy",
        "proxy: http://user:S3cret@proxy:port",
        "headers: {X-Token: 'S3cret-ü'}",
        "headers: {X-Token: [S3cret]}",
        "headers: S3cret",
        'headers: {X-Token: "S3cret\\r\\nHost: x"}',
        "base_url: http://user:S3cret@h",
        "base_url: http://h?key=S3cret",
        "base_url: 'http://h:S3cret'",
        "api_key_file: [S3cret]",
        "extra_body: S3cret",
        "extra_body: {token: S3cret, until: 2027-01-01}",
        "name: S3cret S3cret",
        "weight: S3cret",
        "provider: S3cret",
        "timeout: S3cret",
        "base64: S3cret",
    ],
)
def test_secrets_in_problems(file: pathlib.Path, keys: str) -> None:
    """A problem with a value does not quote it."""
    provider = "" if keys.startswith(("provider", "{")) else "provider: openai"
    text = f"models:\n  m:\n    dimensions: {{native: 3}}\n    targets:\n      - {keys}\n        {provider}\n"
    caught = error(file, text)

    assert "S3cret" not in f"{caught!r} {caught} {caught.problems}"


@pytest.mark.parametrize("key", ["port", "workers", "timeout", "max_body", "expose_targets", "cors_origins"])
def test_environment_in_problems(file: pathlib.Path, key: str) -> None:
    """A problem with what the environment says does not quote it."""
    caught = error(file, f"server:\n  {key}: ${{SECRET}}\n{MODELS}", SECRET="S3cret")

    assert "S3cret" not in f"{caught!r} {caught} {caught.problems}"


def test_key_files_in_problems(file: pathlib.Path) -> None:
    """A problem with a key file does not quote what it holds."""
    file.with_name("key").write_text("S3cret with blanks")
    caught = error(file, "models: {m: {dimensions: {native: 3}, targets: [{provider: openai, api_key_file: key}]}}")

    assert "S3cret" not in f"{caught!r} {caught} {caught.problems}"


# ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", "gateway.db"),
        ("state: {url: sqlite:///state/g.db}", "state/g.db"),
        ("state: {url: sqlite:////var/lib/g.db}", "/var/lib/g.db"),
        ("state: {url: 'sqlite:///${FOLDER}/g.db'}", "/data/g.db"),
    ],
)
def test_state_file(file: pathlib.Path, state: str, expected: str) -> None:
    """The state lies beside the routing file, or where an absolute path says."""
    config = loaded(file, f"{state}\n{MODELS}", FOLDER="/data")

    assert file.parent / expected == config.state.file


def test_state_file_of_a_relative_file(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state's place does not change with the current folder of a later moment."""
    file.write_text(MODELS)
    monkeypatch.chdir(file.parent)
    config = load(pathlib.Path(file.name), {})

    assert file.parent / "gateway.db" == config.state.file


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expires", "expected"),
    [
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ('"2027-01-31"', "2027-01-31T00:00:00+00:00"),
        ("${DAY}", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31 10:30:00", "2027-01-31T10:30:00+00:00"),
        ("2027-01-31T10:30:00Z", "2027-01-31T10:30:00+00:00"),
        ("2027-01-31T10:30:00+02:00", "2027-01-31T08:30:00+00:00"),
        ('"2027-01-31T10:30:00"', "2027-01-31T10:30:00+00:00"),
        ('"2027-01-31T10:30:00-02:00"', "2027-01-31T12:30:00+00:00"),
    ],
)
def test_expires(file: pathlib.Path, expires: str, expected: str) -> None:
    """A date is its first moment; a time without a zone is UTC's."""
    text = f"auth:\n  keys:\n    - name: ci\n      sha256: {HASH}\n      expires: {expires}\n{MODELS}"
    moment = loaded(file, text, DAY="2027-01-31").keys[0].expires

    assert datetime.datetime.fromisoformat(expected).timestamp() == moment


@pytest.mark.parametrize("expires", ["", "expires: null"])
def test_never_expires(file: pathlib.Path, expires: str) -> None:
    """A key without a date does not expire."""
    config = loaded(file, f"auth:\n  keys:\n    - name: ci\n      sha256: {HASH}\n      {expires}\n{MODELS}")

    assert [None] == [key.expires for key in config.keys]


@pytest.mark.parametrize("expires", ["2027-02-31", "'2027-02-31'", "20270131", "2027", "tomorrow", "never", "0"])
def test_no_date(file: pathlib.Path, expires: str) -> None:
    """What is no date is refused; it would be no limit, or one in 1970."""
    actual = places(file, f"auth:\n  keys:\n    - name: ci\n      sha256: {HASH}\n      expires: {expires}\n{MODELS}")

    assert [("auth.keys[0].expires", 5)] == actual


@pytest.mark.parametrize(
    ("models", "expected"), [("", ("*",)), ("models: [a, 'b-*']", ("a", "b-*")), ("models: []", ())]
)
def test_models_of_a_key(file: pathlib.Path, models: str, expected: tuple[str, ...]) -> None:
    """A key may use all models, unless it lists its own."""
    config = loaded(file, f"auth:\n  keys:\n    - name: ci\n      sha256: {HASH}\n      {models}\n{MODELS}")

    assert [expected] == [key.models for key in config.keys]


def test_key_listed_twice(file: pathlib.Path) -> None:
    """A hash that stands there twice is refused at the second place."""
    actual = problems(
        file, f"auth:\n  keys:\n    - {{name: a, sha256: {HASH}}}\n    - {{name: b, sha256: {HASH}}}\n{MODELS}"
    )

    assert ["4: auth.keys[1].sha256: this key is listed twice"] == actual


@pytest.mark.parametrize("text", ["auth:\n  keys: []\n", "auth: {}\n", ""])
def test_no_keys(file: pathlib.Path, text: str) -> None:
    """A file needs no keys."""
    config = loaded(file, text + MODELS)

    assert () == config.keys


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def model(alias: str, aliases: str = "") -> str:
    return f"  {alias}:\n    aliases: [{aliases}]\n    targets: [{{provider: static, path: wordllama}}]\n"


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (model("a", "a"), [("models.a.aliases[0]", "this name already stands for `a`")]),
        (model("a", "x, y, x"), [("models.a.aliases[2]", "this name already stands for `a`")]),
        (model("a", "b") + model("b"), [("models.a.aliases[0]", "this name already stands for `b`")]),
        (model("a") + model("b", "x, a"), [("models.b.aliases[1]", "this name already stands for `a`")]),
        (model("a", "x") + model("b", "x"), [("models.b.aliases[0]", "this name already stands for `a`")]),
    ],
)
def test_names_collide(file: pathlib.Path, models: str, expected: list[tuple[str, str]]) -> None:
    """A name that already stands for a route is refused as another's."""
    actual = [(problem.place, problem.message) for problem in error(file, "models:\n" + models).problems]

    assert expected == actual


def test_names(file: pathlib.Path) -> None:
    """Names that differ in case are different names."""
    config = loaded(file, "models:\n" + model("a", "A, b") + model("B", "'1', yes:query"))

    assert [("a", ("A", "b")), ("B", ("1", "yes:query"))] == [(one.alias, one.aliases) for one in config.models]


@pytest.mark.parametrize("name", ["1", "null", "~", "yes", "2027-01-01", "bge-m3:567m", "BAAI/bge", "1.5"])
def test_names_are_texts(file: pathlib.Path, name: str) -> None:
    """A model's name needs no quotes."""
    config = loaded(file, f"models:\n{model(name)}")

    assert [name] == [one.alias for one in config.models]


@pytest.mark.parametrize("name", ["'a b'", "''", '"a\\n"', "x" * 201, '"a\\u200bb"'])
def test_bad_names(file: pathlib.Path, name: str) -> None:
    """A name that no client could send is refused."""
    [problem] = error(file, f"models:\n  ? {name}\n  : targets: [{{provider: static, path: wordllama}}]").problems

    assert "a model's name has 1 to 200 printable characters and no blank" == problem.message


# ── the embedded default ──────────────────────────────────────────────────────────────────────────────────────────


def test_embedded_default() -> None:
    """Without a file there is one local model, whose vectors have unit length."""
    config = load(None, {})

    assert [("local-small", True, "wordllama")] == [
        (one.alias, one.normalize, one.targets[0].path) for one in config.models
    ]


def test_embedded_default_says_so() -> None:
    """A configuration knows that it is the embedded default."""
    config = load(None, {})

    assert config.is_embedded_default


def test_embedded_default_as_a_file() -> None:
    """The embedded default's text, given as a file, is a configuration like any other."""
    config = load(EMBEDDED_DEFAULT, {})

    assert not config.is_embedded_default


def test_state_of_the_embedded_default(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded default keeps its state in the current folder."""
    monkeypatch.chdir(tmp_path)
    config = load(None, {})

    assert tmp_path / "gateway.db" == config.state.file


# ── the example ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_example() -> None:
    """The example loads on a machine where nothing is set."""
    config = load(EXAMPLE, {})

    expected = ["local-small", "text-embedding-3-small", "embed-v4.0", "ada-002", "ada-002-by-entra", "bge-m3"]
    assert expected == [one.alias for one in config.models]


def commented_in(text: str) -> str:
    """The example with the values that are commented out."""
    return re.sub(r"^( +)# ([a-z_0-9]+: )", r"\1\2", text, flags=re.MULTILINE)


def test_defaults_of_the_example(file: pathlib.Path) -> None:
    """What the example has commented out are the defaults."""
    expected = loaded(file, EXAMPLE.read_text("utf-8"))
    actual = loaded(file, commented_in(EXAMPLE.read_text("utf-8")))

    assert expected == actual


def test_server_of_the_example(file: pathlib.Path) -> None:
    """The example shows every key of the server."""
    config = loaded(file, commented_in(EXAMPLE.read_text("utf-8")))

    assert set(ServerShape.model_fields) == config.server.model_fields_set


def test_server_of_the_example_is_the_default() -> None:
    """The example's server is the one without a `server` section."""
    config = load(EXAMPLE, {})

    assert ServerShape() == config.server


def test_state_of_the_example(file: pathlib.Path) -> None:
    """The example's state is the one without a `state` section."""
    config = loaded(file, EXAMPLE.read_text("utf-8"))

    assert loaded(file, MODELS).state.file == config.state.file


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("", True),
        ("state: {url: 'sqlite:///x.db'}\n", True),
        ("state: {allow_unshared: true}\n", False),
        ("state: {url: 'redis://h'}\n", False),
    ],
)
def test_workers_apart(file: pathlib.Path, state: str, refused: bool) -> None:
    """Several workers that would each count for themselves are refused, unless that is said to be meant."""
    text = f"server: {{workers: 2}}\n{state}{MODELS}"
    if refused:
        assert ["server.workers"] == [place for place, _ in places(file, text)]
    else:
        assert 2 == loaded(file, text).server.workers


# ── a pasted text ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_pasted_example() -> None:
    """A text is checked as the file would be, and what it refers to is neither read nor wrong."""
    checked = check_text(EXAMPLE.read_text("utf-8"))

    assert ([], 6) == (checked.problems, len(checked.config.models) if checked.config else 0)


@pytest.mark.parametrize(
    "text",
    [
        "server: {port: '${PORT}'}",
        "auth: {admin_key: '${KEY}', signing_key_file: /etc/shadow}",
        "state: {url: '${REDIS}'}",
        "models: {m: {targets: [{provider: cohere, model: embed-v4.0, api_key: '${KEY}', ca_file: /nowhere}]}}",
        "models: {m: {dimensions: {native: '${N}'}, targets: [{provider: openai, base_url: '${URL}'}]}}",
    ],
)
def test_pasted_references(text: str) -> None:
    """Whatever a reference stands for is not known here, so that nothing is wrong with it."""
    checked = check_text(text if "models" in text else f"{text}\n{MODELS}")

    assert [] == checked.problems


def test_pasted_problems() -> None:
    """A text's problems are told with their lines; without its environment a whole configuration cannot be made."""
    text = "server:\n  port: '${PORT}'\nmodels:\n  m: {targets: []}\n  n: {targets: [{provider: 'os:path'}]}\n"
    checked = check_text(text)

    assert (None, [("models.m.targets", 4), ("models.n.targets[0].provider", 5)]) == (
        checked.config,
        [(problem.place, problem.line) for problem in checked.problems],
    )
    assert check_text(f"server: {{port: '${{PORT}}'}}\n{MODELS}").config is None


@pytest.mark.parametrize(("environ", "wanted"), [({}, False), ({"NO_COLOR": ""}, False), ({"NO_COLOR": "0"}, True)])
def test_no_colour(environ: dict[str, str], wanted: bool) -> None:
    """Whoever sets NO_COLOR to anything wants no colours."""

    assert wanted == loading.wants_no_colour(environ)
