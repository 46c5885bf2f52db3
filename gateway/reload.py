"""What a reload reads and what it comes to: a new configuration is checked whole, and refused whole if it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from gateway import changes, source
from gateway.changes import Change
from gateway.config import Config, ConfigError
from gateway.logs import GATEWAY
from gateway.reading import Contents
from gateway.source import Source

WATCH_SECONDS: Final = 2.0
NOTHING_TO_READ: Final = (
    "This gateway was started without a routing file, so that there is nothing to read anew. "
    "Start it with `--config FILE`."
)

By = Literal["signal", "admin", "watch"]
"""Who asked for a reload."""


class Refused(Exception):
    """A new configuration that is not served, with every problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reload came to: the changes that are served now, or the problems for which the former one goes on."""

    changes: Sequence[Change] = ()
    warnings: Sequence[str] = ()
    problems: Sequence[str] = ()


Reload = Callable[[By], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True, slots=True)
class Provision:
    """Where a process has its configuration from, and gets the next one."""

    file: Source
    contents: Contents = field(default_factory=dict, repr=False)
    """What was read."""
    parent: Reload | None = None
    """Who is asked for a reload where another process has to begin it."""


def wanted(file: Source, running: Config, contents: Contents) -> tuple[Config, list[Change]]:
    """The configuration that the file holds now, and what it changes. `contents` gets what was read.

    Raises Refused.
    """
    if file.file is None:
        raise Refused([NOTHING_TO_READ])
    try:
        config = file.read(contents)
    except ConfigError as error:
        raise Refused(error.lines()) from None
    except OSError as error:
        raise Refused([f"{file.file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise Refused([f"{file.file}: is not UTF-8 text"]) from None
    found = changes.between(running, config)
    fixed = [change.path for change in found if change.needs_restart]
    if fixed:
        raise Refused([f"{file.file}: {path}: restart needed: this cannot change while it serves" for path in fixed])
    return config, found


def tell(by: By, outcome: Outcome) -> None:
    """One line of the log."""
    told: Mapping[str, Any]
    if outcome.problems:
        told = {"by": by, "problems": list(outcome.problems)}
        GATEWAY.warning("the new configuration is refused; the former one goes on serving", extra={"fields": told})
    else:
        told = {"by": by, "changes": len(outcome.changes), "warnings": list(outcome.warnings)}
        GATEWAY.info("the configuration was read anew", extra={"fields": told})


class Watched:
    """The files of a configuration. `contents` is what they held when it was last read, whatever came of it."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self._seen: Contents | None = None

    def changed(self) -> bool:
        """Whether the files differ from what was read, and are no longer being written: twice in a row the same."""
        now = source.changed(self.contents)
        settled = now is not None and now == self._seen
        self._seen = now
        return settled
