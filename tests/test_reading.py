"""One routing file while it is read."""

from __future__ import annotations

import pathlib

import pytest

from gateway.document import parse
from gateway.reading import Reading
from gateway.schema import ServerShape


def reading(folder: pathlib.Path = pathlib.Path("/etc/gateway"), text: str = "") -> Reading:
    return Reading(parse(text, {}), folder, {})


def problems(made: Reading) -> list[tuple[str, str]]:
    return [(problem.place, problem.message) for problem in made.document.problems]


def test_problem() -> None:
    """A problem has the line of its place."""
    made = reading(text="a: 1\nserver:\n  port: 5")
    made.problem(("server", "port"), "is odd")

    assert [3] == [problem.line for problem in made.document.problems]


def test_one_problem_each_place() -> None:
    """At each place only the first problem is told."""
    made = reading()
    made.problem(("server", "port"), "is odd")
    made.problem(("server", "port"), "is low")
    made.problem(("server",), "is missing")

    assert [("server.port", "is odd"), ("server", "is missing")] == problems(made)


def test_warning() -> None:
    """A warning has the line of its place, and is no problem."""
    made = reading(text="a: 1\nserver:\n  port: 5")
    made.warning(("server", "port"), "is odd")

    assert ([(3, "is odd")], []) == ([(one.line, one.message) for one in made.warnings], problems(made))


def test_shape() -> None:
    """A value in its shape is handed on with its defaults."""
    actual = reading().shape(ServerShape, {"port": 5}, ("server",))

    assert ServerShape(port=5) == actual


def test_wrong_shape() -> None:
    """A value that is not in its shape is nothing."""
    actual = reading().shape(ServerShape, {"port": 5, "host": 5}, ("server",))

    assert actual is None


def test_faults_of_shape() -> None:
    """Each fault of a shape is a problem below the place of the value."""
    made = reading()
    made.shape(ServerShape, {"port": -1, "host": 5}, ("servers", 0))

    assert ["servers[0].host", "servers[0].port"] == [place for place, _ in problems(made)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ca.pem", "/etc/gateway/ca.pem"),
        ("./tls/ca.pem", "/etc/gateway/tls/ca.pem"),
        ("../ca.pem", "/etc/gateway/../ca.pem"),
        ("/ca.pem", "/ca.pem"),
        ("~/ca.pem", "/home/operator/ca.pem"),
        ("a~/ca.pem", "/etc/gateway/a~/ca.pem"),
        ("~no-such-user/ca.pem", "/etc/gateway/~no-such-user/ca.pem"),
    ],
)
def test_file(monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    """A relative path starts at the routing file's folder, `~` is the home."""
    monkeypatch.setenv("HOME", "/home/operator")
    actual = reading().file(text)

    assert pathlib.Path(expected) == actual


def test_text_of(tmp_path: pathlib.Path) -> None:
    """A file's text comes without the blanks around it."""
    (tmp_path / "key").write_bytes(b"\n  sk-1 2\r\n\n")
    actual = reading(tmp_path).text_of("key", ("api_key_file",))

    assert "sk-1 2" == actual


def test_bytes_of(tmp_path: pathlib.Path) -> None:
    """A file's bytes come as they are."""
    (tmp_path / "secret").write_bytes(b"\n \xff\r\n")

    assert b"\n \xff\r\n" == reading(tmp_path).bytes_of("secret", ("signing_key_file",))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "cannot be read: No such file or directory"),
        ("missing/key", "cannot be read: No such file or directory"),
        ("folder", "cannot be read: Is a directory"),
        ("", "cannot be read: Is a directory"),
        ("latin", "is not UTF-8 text"),
        ("a\0b", "is not a file's name"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)
def test_unreadable(tmp_path: pathlib.Path, name: str, message: str) -> None:
    """A file that cannot be read is a problem at the key that names it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes("sk-schlüssel".encode("latin-1"))
    made = reading(tmp_path)
    made.text_of(name, ("api_key_file",))

    assert [("api_key_file", message)] == problems(made)


def test_unreadable_is_nothing(tmp_path: pathlib.Path) -> None:
    """A file that cannot be read has no text."""
    actual = reading(tmp_path).text_of("missing", ())

    assert actual is None


def test_repr_hides() -> None:
    """A reading shows neither its environment nor its values."""
    made = Reading(parse("api_key: sk-written", {}), pathlib.Path(), {"KEY": "sk-environment"})

    assert "sk-" not in repr(made)
