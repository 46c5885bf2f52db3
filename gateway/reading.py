"""One routing file while it is read: its values, where it lies, its environment, and the problems found so far."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway import adapters, faults_of_shape
from gateway.document import Document, Path, Problem

_ShapeT = TypeVar("_ShapeT", bound=BaseModel)

Contents = dict[pathlib.Path, bytes | None]
"""What files hold that a configuration was read from, itself and its secrets; None of those that cannot be read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`folder` is where relative paths start; `find` says what a provider's name stands for, and may import it."""

    document: Document
    folder: pathlib.Path
    environ: Mapping[str, str] = field(repr=False)
    find: adapters.Find = adapters.find
    warnings: list[Problem] = field(default_factory=list)
    contents: Contents = field(default_factory=dict, repr=False)

    def problem(self, path: Path, message: str) -> None:
        """Each place is complained about once: an unset ${NAME} there says enough."""
        if all(problem.path != path for problem in self.document.problems):
            self.document.problem(path, message)

    def warning(self, path: Path, message: str) -> None:
        self.warnings.append(Problem(path, message, self.document.line(path)))

    def shape(self, shape: type[_ShapeT], value: object, path: Path) -> _ShapeT | None:
        """The value in its shape, or None and a problem for each fault."""
        try:
            return shape.model_validate(value, context=self.find)
        except ValidationError as error:
            for place, message in faults_of_shape.read(error, shape):
                self.problem((*path, *place), message)
            return None

    def file(self, text: str) -> pathlib.Path:
        try:
            return self.folder / pathlib.Path(text).expanduser()
        except RuntimeError:  # ~ of nobody
            return self.folder / text

    def has_file(self, text: str) -> bool:
        return self.file(text).is_file()

    def text_of(self, text: str, path: Path) -> str | None:
        """What a file of the configuration holds, stripped; or None and a problem."""
        content = self.bytes_of(text, path)
        try:
            return None if content is None else content.decode().strip()
        except UnicodeDecodeError:
            self.problem(path, "is not UTF-8 text")
            return None

    def bytes_of(self, text: str, path: Path) -> bytes | None:
        """What a file of the configuration holds, as it is; or None and a problem."""
        try:
            return content(self.file(text), self.contents)
        except OSError as error:
            self.problem(path, f"cannot be read: {error.strerror}")
        except ValueError:  # a null character
            self.problem(path, "is not a file's name")
        return None


@dataclass(frozen=True, slots=True)
class Pasted(Reading):
    """A text that is no file of this machine: what it names outside of itself is taken to be there, and left alone."""

    unknown: list[Path] = field(default_factory=list)
    """Values that may be wrong or right, for they hold references."""

    def problem(self, path: Path, message: str) -> None:
        """Nothing is wrong with a value that is not known here."""
        if any(path[:length] in self.document.references for length in range(1, len(path) + 1)):
            self.unknown.append(path)
        else:
            Reading.problem(self, path, message)

    def has_file(self, text: str) -> bool:
        return True

    def bytes_of(self, text: str, path: Path) -> bytes | None:
        return None


def content(file: pathlib.Path, contents: Contents) -> bytes:
    """What a file holds, as it was when it was first read. Raises OSError, or ValueError where it is no file's name."""
    known = contents.get(file)
    if known is None:
        contents[file] = None
        known = contents[file] = file.read_bytes()
    return known
