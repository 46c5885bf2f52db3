"""Where the configuration of a running gateway comes from: its file, and what the command line says over it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway import loading
from gateway.config import Config
from gateway.reading import Contents


@dataclass(frozen=True, slots=True)
class Source:
    """`file` is None for the embedded default. `server` are single values of that section."""

    file: pathlib.Path | None
    server: Mapping[str, Any] = field(default_factory=dict)

    def read(self, contents: Contents) -> Config:
        """What is in `contents` is not read again, and what is read is added to it.

        Raises ConfigError with every problem, OSError or UnicodeDecodeError.
        """
        config = loading.load(self.file, contents=contents)
        return dataclasses.replace(config, server=config.server.model_copy(update=dict(self.server)))


def changed(contents: Contents) -> Contents | None:
    """What the files hold now, or None where all of it is as it was."""
    now: Contents = {}
    for file in contents:
        try:
            now[file] = file.read_bytes()
        except OSError:
            now[file] = None
    return None if now == contents else now
