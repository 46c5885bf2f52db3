"""What commands show: one clear message, tables, colours, progress. Results go to stdout, all else to stderr.

Colours and progress are for a terminal alone; `NO_COLOR` and `TERM=dumb` are respected.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

import click

JSON_OPTION: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")

_COLOURS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("active", "good", "closed"), "green"),
    **dict.fromkeys(("ending", "drained", "cooling", "half-open", "suspect", "unpinned"), "yellow"),
    **dict.fromkeys(("revoked", "expired", "open", "ejected", "drifted"), "red"),
}
"""Of the states of keys and targets."""
_MARKS: Final[Mapping[str, str]] = {"✓": "green", "✗": "red", "!": "yellow", "?": "yellow"}
_SIGN: Final = re.compile(r"(?m)(?:^|(?<=  ))[✓✗!?](?= )")


def fail(message: str) -> NoReturn:
    """Says what is wrong, and what to do, and ends the program with 1."""
    note(message, "red")
    raise SystemExit(1)


def note(message: str, colour: str | None = None) -> None:
    """What a person is told beside the result."""
    click.echo(painted(message, colour, err=True), err=True)


def painted(text: str, colour: str | None = None, *, bold: bool = False, err: bool = False) -> str:
    """`err` says that it is for stderr."""
    return click.style(text, fg=colour, bold=bold or None) if (colour or bold) and has_colours(err=err) else text


def marked(text: str) -> str:
    """The same text, its signs ✓, ✗, ! and ? in colours where they begin a line or a cell."""
    return _SIGN.sub(lambda sign: painted(sign[0], _MARKS[sign[0]], bold=True), text)


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def table(rows: Sequence[Mapping[str, object]]) -> None:
    """Prints rows, at least one, in columns under the names of their values; numbers stand under each other's ends."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(map(_width, column)) for column in zip(names, *cells, strict=True)]
    numeric = [all(isinstance(row[name], int | float | None) for row in rows) for name in names]
    head = [painted(_aligned(*each), bold=True) for each in zip(map(str.upper, names), widths, numeric, strict=True)]
    click.echo("  ".join(head).rstrip())
    for row in cells:
        padded = map(_aligned, row, widths, numeric)
        click.echo("  ".join(painted(text, _COLOURS.get(text.strip())) for text in padded).rstrip())


def near(name: str, names: Iterable[str]) -> str:
    """` Did you mean ...?` where a name is like one of those that there are, else nothing."""
    found = difflib.get_close_matches(name, names)
    return f" Did you mean {' or '.join(f'`{one}`' for one in found)}?" if found else ""


@contextmanager
def progress(label: str, length: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A bar that moves on by so many steps, or only shows that something lives, while work takes long."""
    hidden = not _has_cursor()
    with click.progressbar(length=length, label=label, show_pos=True, file=sys.stderr, hidden=hidden) as bar:
        bar.update(done)
        yield bar.update


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _aligned(text: str, width: int, is_number: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if is_number else text + blanks


def _width(text: str) -> int:
    """In a terminal's columns: https://www.unicode.org/reports/tr11/"""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def has_colours(*, err: bool = False) -> bool:
    """Whether a terminal shows stdout, or stderr, and nobody wants it plain."""
    if not (sys.stderr if err else sys.stdout).isatty():
        return False
    from gateway import loading

    return not loading.wants_no_colour()


def _has_cursor() -> bool:
    """Whether stderr is a terminal that can write a line anew."""
    if not sys.stderr.isatty():
        return False
    from gateway import loading

    return not loading.is_dumb_terminal()
