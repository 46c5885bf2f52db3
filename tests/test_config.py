"""A whole configuration as values, or what keeps it from being one."""

from __future__ import annotations

from gateway.config import ConfigError
from gateway.document import Problem


def test_lines() -> None:
    """Each problem is one line that an editor can jump to."""
    error = ConfigError("g.yaml", [Problem(("server", "port"), "is odd", 3)])

    assert ["g.yaml:3: server.port: is odd"] == error.lines()


def test_problem_without_a_line() -> None:
    """A problem without a line is told all the same."""
    error = ConfigError("g.yaml", [Problem((), "is empty")])

    assert ["g.yaml: (top level): is empty"] == error.lines()


def test_order() -> None:
    """Problems stand in the order of their lines."""
    error = ConfigError("g.yaml", [Problem(("b",), "x", 20), Problem(("c",), "y", 3), Problem((), "z")])

    assert ["(top level)", "c", "b"] == [problem.place for problem in error.problems]


def test_order_within_a_line() -> None:
    """Problems of one line stay in the order in which they were found."""
    error = ConfigError("g.yaml", [Problem(("b",), "x", 3), Problem(("a",), "y", 3)])

    assert ["b", "a"] == [problem.place for problem in error.problems]


def test_text() -> None:
    """The error's text is all its lines."""
    error = ConfigError("g.yaml", [Problem(("a",), "x", 1), Problem(("b",), "y", 2)])

    assert "g.yaml:1: a: x\ng.yaml:2: b: y" == str(error)
