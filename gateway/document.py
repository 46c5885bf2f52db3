"""A YAML text as plain values, with the line of every value and `${NAME}` resolved: the only yaml.

It knows no key's meaning, and reads no environment but the one it is given.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

Path = tuple[str | int, ...]

MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 50
"""More than any routing file needs; aliases of aliases reach millions in a few lines."""

# ${NAME}, ${NAME:-default}, $${ for a literal ${, and any other ${, which is a mistake
_REFERENCE: Final = re.compile(
    r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\})?"
)
_OUR_WORDS: Final = {
    "second occurrence": "an anchor is given twice",
    "but found another document": "a second document begins",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration: where, and what to do about it. Never quotes a value that may be secret."""

    path: Path
    message: str
    line: int | None = None

    @property
    def place(self) -> str:
        return written(self.path)

    def told(self, file: str) -> str:
        return f"{file}{f':{self.line}' if self.line else ''}: {self.place}: {self.message}"


@dataclass(slots=True)
class Document:
    """The values of one YAML file; `lines` maps each value's path to its line, counted from 1."""

    values: Any = field(default=None, repr=False)
    lines: dict[Path, int] = field(default_factory=dict, repr=False)
    problems: list[Problem] = field(default_factory=list)
    references: set[Path] = field(default_factory=set, repr=False)
    """Values that hold a reference which was not resolved."""

    def line(self, path: Path) -> int | None:
        """The line of a path, or of the nearest value around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(path, message, self.line(path)))


def written(path: Path) -> str:
    """`models.small.targets[0].weight`; a key that holds a dot or a blank is quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            shown = step if re.fullmatch(r"[\w/:@+-]+", step) else repr(step)
            text += f".{shown}" if text else shown
    return text or "(top level)"


def parse(text: str, environ: Mapping[str, str] | None) -> Document:
    """Parses one YAML document. What is wrong is in `problems`; what is right is in `values` nevertheless.

    Without an environment a reference that has no default stands for something that is not known here.
    """
    document = Document()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            document.values = _Reader(document, environ).value(root, (), frozenset())
    except RecursionError:
        document.problem((), "this is nested too deeply")
    except yaml.MarkedYAMLError as error:
        document.problems.append(_fault_of_yaml(error, text))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.problems.append(Problem((), "this is not valid YAML: it holds a control character", line))
    return document


def _fault_of_yaml(error: yaml.MarkedYAMLError, text: str) -> Problem:
    fault, mark = error.problem or "", error.problem_mark
    if fault.startswith("found undefined"):  # what follows may be a secret without quotes
        fault = "a value that begins with * or ! needs quotes"
    message = f"this is not valid YAML: {_OUR_WORDS.get(fault, fault)}"
    if mark is None:
        return Problem((), message)
    if text[: mark.index + 1].endswith("${"):  # within brackets, YAML takes the reference's brace for a mapping's
        message += '; between brackets a reference needs quotes: "${NAME}"'
    return Problem((), message, mark.line + 1)


class _Reader:
    def __init__(self, document: Document, environ: Mapping[str, str] | None) -> None:
        self._document = document
        self._environ = environ
        self._scalars = yaml.constructor.SafeConstructor()

    def value(self, node: yaml.Node, path: Path, above: frozenset[int]) -> Any:
        if id(node) in above:
            self._document.problem(path, "an alias refers to a value that contains it")
            return None
        if len(path) > MAX_DEPTH or len(self._document.lines) >= MAX_VALUES:
            self._refuse_size()
            return None
        above |= {id(node)}
        self._document.lines[path] = node.start_mark.line + 1
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path, above)
            case yaml.SequenceNode():
                return [self.value(child, (*path, index), above) for index, child in enumerate(node.value)]
            case _:
                return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path, above: frozenset[int]) -> dict[Hashable, Any]:
        values: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._document.problems.append(Problem(path, "a key must be a plain word", line))
                continue
            if key_node.tag == "tag:yaml.org,2002:merge":
                self._document.problems.append(Problem(path, "`<<` merges are not read; write the keys out", line))
                continue
            key = key_node.value
            if "${" in key:
                self._document.problems.append(Problem((*path, key), "a key cannot hold a reference", line))
            if key in values:
                self._document.problems.append(Problem((*path, key), "this key is given twice", line))
                continue
            values[key] = self.value(value_node, (*path, key), above)
            self._document.lines[(*path, key)] = line
        return values

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        if "${" in node.value:
            return self._resolved(node.value, path)  # stays a text: an api key of digits must not become a number
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError):  # 2027-02-31, an unknown !tag, !!bool 5
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            known = kind.isalpha()  # else it begins with !, and may be a secret without quotes
            self._document.problem(
                path, f"this is not a valid {kind}" if known else "a value that begins with ! needs quotes"
            )
            return None

    def _refuse_size(self) -> None:
        message = "this is nested too deeply, or aliases multiply it"
        if all(problem.message != message for problem in self._document.problems):
            self._document.problem((), message)

    def _resolved(self, text: str, path: Path) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name, default = match["name"], match["default"]
            if name is None:
                self._document.problem(path, "`${` begins a reference like ${NAME}; write $${ for a plain ${")
                return ""
            value = None if self._environ is None else self._environ.get(name)
            if default is not None:
                return value or default
            if self._environ is None:
                self._document.references.add(path)
                return name
            if value is None:
                self._document.problem(
                    path, f"the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
                )
                return ""
            return value

        return _REFERENCE.sub(replace, text)
