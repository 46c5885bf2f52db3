"""The YAML room: what a text says, on which line, with which references resolved."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.document import MAX_DEPTH, MAX_VALUES, Path, parse, written

HINT = "between brackets a reference needs quotes"


def values(text: str, **environ: str) -> Any:
    document = parse(text, environ)
    assert not document.problems
    return document.values


def places(text: str, **environ: str) -> list[tuple[str, int | None]]:
    """Where something is wrong: the path, and the line."""
    return [(problem.place, problem.line) for problem in parse(text, environ).problems]


def message(text: str, **environ: str) -> str:
    """What the only problem says."""
    [problem] = parse(text, environ).problems
    return problem.message


def bomb(levels: int) -> str:
    """Each level holds the one before it nine times."""
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, levels):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    return text


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# nothing but a comment", None),
        ("word", "word"),
        ("- a\n- 1", ["a", 1]),
        ("{a: {b: [true, 0.5, null]}}", {"a": {"b": [True, 0.5, None]}}),
        ("a: 2027-01-31", {"a": datetime.date(2027, 1, 31)}),
        ('a: "2027-01-31"', {"a": "2027-01-31"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_values(text: str, expected: object) -> None:
    """Values are what YAML says that they are."""
    actual = values(text)

    assert expected == actual


@pytest.mark.parametrize("key", ["1", "0x10", "null", "~", "yes", "2027-01-31", "1.5", "a b", "''"])
def test_keys_stay_texts(key: str) -> None:
    """A key is the text that was written, whatever YAML would make of it as a value."""
    actual = values(f"{key}: x")

    assert {key.strip("'"): "x"} == actual


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="$"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_yaml(value: object) -> None:
    """A text in JSON is read as JSON."""
    actual = values(json.dumps(value, ensure_ascii=False))

    assert value == actual


@given(st.text() | st.text(alphabet=" \t\n\r-:?[]{},&*!|>'\"%@`#$A~<=.0x\x00\ufeff\x85", max_size=40))
def test_any_text_is_answered(text: str) -> None:
    """Whatever a text holds, it is read, with any problem on one of its lines."""
    last = 1 + sum(map(text.count, "\n\r\x85\u2028\u2029"))
    lines = [problem.line or 1 for problem in parse(text, {"A": "a"}).problems]

    assert all(1 <= line <= last for line in lines)


@pytest.mark.parametrize(
    "rewritten",
    ["\ufeffa: 1\nb:\n  - c\n", "a: 1\r\nb:\r\n  - c\r\n", "a: 1\rb:\r  - c\r", "---\na: 1\nb:\n  - c\n..."],
    ids=["byte order mark", "CRLF", "CR", "document marks"],
)
def test_forms_of_a_file(rewritten: str) -> None:
    """A byte order mark, another system's line ends or YAML's marks of a document change no value."""
    actual = values(rewritten)

    assert {"a": 1, "b": ["c"]} == actual


def test_long_lines() -> None:
    """A line may be a million characters long."""
    actual = values(f"a: {'x' * 1_000_000}")

    assert {"a": "x" * 1_000_000} == actual


def test_repr_hides_values() -> None:
    """A document does not show its values."""
    actual = repr(parse("api_key: ${KEY}\nother: sk-written", {"KEY": "sk-environment"}))

    assert "Document(problems=[])" == actual


# ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), "(top level)"),
        (("server",), "server"),
        (("models", "small", "targets", 0, "weight"), "models.small.targets[0].weight"),
        (("models", "bge-m3:567m"), "models.bge-m3:567m"),
        (("models", "BAAI/bge"), "models.BAAI/bge"),
        (("models", "v1.5"), "models.'v1.5'"),
        (("models", "a b"), "models.'a b'"),
        (("models", "", "x\n"), r"models.''.'x\n'"),
        (("'", 1, 2), '"\'"[1][2]'),
    ],
)
def test_written(path: Path, expected: str) -> None:
    """A path is written with dots and indexes; what would be ambiguous is quoted."""
    actual = written(path)

    assert expected == actual


TREE = """\
# a comment

server: {port: 1,
  host: h}
models:
  small:

    - a
    -
      b: 2
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("server",), 3),
        (("server", "port"), 3),
        (("server", "host"), 4),
        (("models", "small"), 6),
        (("models", "small", 0), 8),
        (("models", "small", 1), 10),
        (("models", "small", 1, "b"), 10),
        (("models", "small", 1, "missing"), 10),
        (("models", "missing", 5, "b"), 5),
        (("missing",), 3),
        ((), 3),
    ],
)
def test_lines(path: Path, expected: int) -> None:
    """A value's line is its key's; a value that is not there has the line of the nearest around it."""
    actual = parse(TREE, {}).line(path)

    assert expected == actual


def test_no_lines() -> None:
    """In an empty file nothing has a line."""
    actual = parse("", {}).line(("models",))

    assert actual is None


def test_line_of_an_alias() -> None:
    """What an alias stands for has the line of the key before it."""
    actual = parse("a: &x\n  b: 1\nc:\n  d: *x", {}).line(("c", "d"))

    assert 4 == actual


# ── references ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "a"),
        ('"${A}"', "a"),
        ("'${A}'", "a"),
        ("x-${A}/${_b2}.y", "x-a/b.y"),
        ("${A:-default}", "a"),
        ("${NONE:-default}", "default"),
        ("${NONE:-}", ""),
        ("${NONE:-http://h:1/a-b}", "http://h:1/a-b"),
        ("${NONE:-a$b{}", "a$b{"),
        ("${EMPTY:-default}", "default"),
        ("'${EMPTY}'", ""),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$${", "${"),
        ("$${A}${A}", "${A}a"),
        ("$A $ $$", "$A $ $$"),
        ("${NESTED}", "${A}"),
        ("|-\n  one\n  ${A}", "one\na"),
    ],
)
def test_references(text: str, expected: str) -> None:
    """References become what the environment says, or their default; `$${` becomes `${`."""
    actual = values(f"key: {text}", A="a", _b2="b", EMPTY="", NESTED="${A}")

    assert {"key": expected} == actual


@pytest.mark.parametrize("value", ["00123", "true", "null", "2027-01-31", "1.50", "", "[a]", "*a", " # no comment"])
def test_referred_values_stay_texts(value: str) -> None:
    """What comes out of the environment is a text, however much it looks like something else."""
    actual = values("key: ${A}", A=value)

    assert {"key": value} == actual


def test_defaults_stay_texts() -> None:
    """What comes out of a default is a text."""
    actual = values("key: ${A:-007}")

    assert {"key": "007"} == actual


def test_unset_variable() -> None:
    """A variable that is not set is a problem that names it with its cure."""
    actual = message("key: ${A}")

    assert "the environment variable A is not set; set it, or write ${A:-default}" == actual


def test_unset_variables_have_lines() -> None:
    """Each variable that is not set has its own place."""
    actual = places("a: 1\nb:\n  - ${A}\n  - c: x${B}-${C}\n")

    assert [("b[0]", 3), ("b[1].c", 4), ("b[1].c", 4)] == actual


def test_unset_variable_in_a_default() -> None:
    """A reference within a reference's default is refused."""
    actual = message("key: ${A:-${B}}", B="b")

    assert "`${` begins a reference like ${NAME}; write $${ for a plain ${" == actual


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${A-b}", "${A:b}", "${1A}", "${A B}", "${ A }", "${Ä}", "x${-}"])
def test_broken_references(text: str) -> None:
    """What begins like a reference but is none is refused; it would go to a provider as it stands."""
    actual = message(f"key: '{text}'", A="a")

    assert "`${` begins a reference like ${NAME}; write $${ for a plain ${" == actual


def test_references_in_keys() -> None:
    """A key that holds a reference is refused; it would be taken as it stands."""
    actual = places("a:\n  ${A}: 1", A="a")

    assert [("a.'${A}'", 2)] == actual


def test_references_in_comments() -> None:
    """A comment's references are not looked up."""
    actual = values("a: b  # ${A}")

    assert {"a": "b"} == actual


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: {b: ${A}}", 1),
        ("a: {b: 1, c: ${A:-x}}", 1),
        ("a: {b: 1,\n  c: ${A}}", 2),
        ("a:\n  - {b: x${A}}", 2),
        ("\ufeffa: [${A}]", 1),
        ("a: [b,\n  ${A}\n]", 2),
        ("a: [${A", 1),
    ],
)
def test_unquoted_reference_between_brackets(text: str, line: int) -> None:
    """A reference without quotes between brackets is no YAML; the problem at its line says what to do."""
    [problem] = parse(text, {"A": "a"}).problems

    assert (line, True) == (problem.line, HINT in problem.message)


@pytest.mark.parametrize("text", ["a: {b: '${A}'\nc: 1", "a: ${A}\n b: 1", "a: {b: {c: }", "a: ]"])
def test_other_faults_get_no_hint(text: str) -> None:
    """Only the reference's own brace gets the hint about quotes."""
    actual = HINT in message(text, A="a")

    assert not actual


# ── what is wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\n\tb: 2", 2, r"found character '\t' that cannot start any token"),
        ("a: 1\nb: [1, 2\n", 3, "expected ',' or ']'"),
        ("a: 1\n b: 2", 2, "mapping values are not allowed here"),
        ("a: @b", 1, "found character '@' that cannot start any token"),
        ("a: 1\nb: 'x", 2, "found unexpected end of stream"),
        ("a: 1\n---\nb: 2", 2, "a second document begins"),
        ("a: &x 1\nb: &x 2", 2, "an anchor is given twice"),
        ("a: 1\nb: *x", 2, "a value that begins with * or ! needs quotes"),
        ("a: 1\n\nb: \x07", 3, "it holds a control character"),
        ("a: 1\r\nb: \x00", 2, "it holds a control character"),
        ("\na: \x07", 2, "it holds a control character"),
        ("a: \x7f", 1, "it holds a control character"),
    ],
)
def test_no_yaml(text: str, line: int, words: str) -> None:
    """A text that is no YAML has one problem, with the line where it ceases to be."""
    [problem] = parse(text, {}).problems

    assert (line, "(top level)", True) == (problem.line, problem.place, words in problem.message)


@pytest.mark.parametrize(
    "text",
    [
        "api_key: *S3cret",
        "api_key: !S3cret",
        "api_key: !S3cret 5",
        "api_key: !S3cret!x 5",
        "api_key: !<S3cret> 5",
        "a: &S3cret 1\nb: &S3cret 2",
        "api_key: 'S3cret' x",
        "api_key: @S3cret",
        "api_key: %S3cret",
        "api_key: {S3cret",
        "api_key: 'S3cret",
        'api_key: "S3cret\\q"',
        "api_key: S3cret: x",
        "api_key: ${S3cret",
        "api_key: ${:-S3cret}",
        "api_key: !!int S3cret",
        "api_key: !!binary S3cret",
        "api_key: |S3cret",
        "api_key: S3cret\x00",
    ],
)
def test_secrets_are_not_repeated(text: str) -> None:
    """A secret that YAML stumbles over is not in the problem."""
    actual = message(text)

    assert "S3cret" not in actual


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2027-02-31", "timestamp"),
        ("2027-01-01T25:00:00", "timestamp"),
        ("!!timestamp soon", "timestamp"),
        ("!!bool maybe", "bool"),
        ("!!int ''", "int"),
        ("!!int x", "int"),
        ("!!float .", "float"),
        ("!!binary a", "binary"),
    ],
)
def test_values_that_are_none(value: str, kind: str) -> None:
    """A date that does not exist is a problem, as is any value that is not of its own tag."""
    actual = message(f"a: {value}")

    assert f"this is not a valid {kind}" == actual


def test_unknown_tags() -> None:
    """A tag that YAML does not know is a text whose quotes were forgotten."""
    actual = message("a: !python/object:os.system ls")

    assert "a value that begins with ! needs quotes" == actual


def test_problems_do_not_stop_the_reading() -> None:
    """What is right beside a problem is read."""
    actual = parse("a: 2027-02-31\nb: ${A}\nc: [!x y, 1]\nd: 2", {}).values

    assert {"a": None, "b": "", "c": [None, 1], "d": 2} == actual


def test_duplicate_keys() -> None:
    """Each repetition of a key is a problem on its own line."""
    actual = places("a:\n  b: 1\n  b: 2\n  'b': 3\na: 4")

    assert [("a.b", 3), ("a.b", 4), ("a", 5)] == actual


def test_duplicate_keys_by_text() -> None:
    """Keys are the same when their texts are."""
    actual = places('1: a\n"1": b\n0x1: c')

    assert [("1", 2)] == actual


def test_the_first_of_duplicate_keys_counts() -> None:
    """Further problems are about the first of two equal keys."""
    actual = parse("a: 1\na: ${NONE}", {}).values

    assert {"a": 1} == actual


def test_merges() -> None:
    """A merge key is refused where it stands."""
    actual = places("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2")

    assert [("c", 3)] == actual


def test_a_quoted_merge_key() -> None:
    """A quoted `<<` is a key like any other."""
    actual = values('"<<": 1')

    assert {"<<": 1} == actual


@pytest.mark.parametrize("text", ["? [a]\n: 1", "? {a: b}\n: 1", "[a]: 1"])
def test_keys_that_are_no_words(text: str) -> None:
    """A list or a mapping as a key is refused."""
    actual = places(text)

    assert [("(top level)", 1)] == actual


# ── files made to hurt ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &x [*x]", "a[0]"),
        ("a: &x {b: *x}", "a.b"),
        ("&x\na: *x", "a"),
        ("a: &x\n  - b: [*x]", "a[0].b[0]"),
    ],
)
def test_recursive_aliases(text: str, place: str) -> None:
    """An alias to a value that holds it is a problem at the alias."""
    [problem] = parse(text, {}).problems

    assert (place, "an alias refers to a value that contains it") == (problem.place, problem.message)


def test_aliases_of_aliases() -> None:
    """Aliases of aliases are read as long as they stay within measure."""
    actual = len(parse(bomb(4), {}).lines)

    assert 1 + sum(1 + sum(9**power for power in range(1, level + 2)) for level in range(4)) == actual


def test_billion_laughs() -> None:
    """Aliases that multiply past all measure are one problem."""
    actual = message(bomb(20))

    assert "this is nested too deeply, or aliases multiply it" == actual


def test_billion_laughs_are_not_read() -> None:
    """Of aliases that multiply no more is read than the measure, beside what had begun."""
    actual = len(parse(bomb(20), {}).lines)

    assert MAX_VALUES <= actual < MAX_VALUES + 100


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "{a: " * 5000,
        "- " * 5000,
        "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2),
        "".join(f"{' ' * depth}a:\n" for depth in range(1000)),
        "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1000)),
    ],
    ids=["lists", "mappings", "dashes", "just too deep", "indentation", "aliases"],
)
def test_deep_nesting(text: str) -> None:
    """A text that is nested too deeply is one problem."""
    actual = message(text)

    assert actual.startswith("this is nested too deeply")


def test_nesting() -> None:
    """What nests as deeply as is allowed is read."""
    text = "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)

    assert text == str(values(text))
