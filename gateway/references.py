"""References to the environment in a routing file that is made from another gateway's: keys become them, too."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class References:
    """The variables that a routing file reads. A secret of the old file gets one, so that it stands in none."""

    names: dict[str, str] = field(default_factory=dict)
    """Each with what may stand in for it while the result is checked."""
    _secrets: dict[str, str] = field(default_factory=dict, repr=False)

    def value(self, given: Any, stand_in: str = "STANDIN") -> Any:
        """`os.environ/NAME` as `${NAME}`; everything else as it is, with nothing in it taken for a reference."""
        if not isinstance(given, str):
            return given
        name = given.removeprefix("os.environ/")
        return self.reference(name, stand_in) if name != given else given.replace("${", "$${")

    def secret(self, given: Any, wanted: str) -> str:
        """A reference, whatever was given; `wanted` is the variable's name if it needs one."""
        if not isinstance(given, str) or given.startswith("os.environ/"):
            return str(self.value(given))
        if given not in self._secrets:
            name = f"{wanted}_FROM_FILE"  # which no variable is called that the file itself names
            count = sum(re.fullmatch(rf"{name}(_\d+)?", taken) is not None for taken in self.names)
            self._secrets[given] = f"{name}_{count + 1}" if count else name
        return self.reference(self._secrets[given])

    @property
    def moved(self) -> list[str]:
        """Those that stand for secrets of the file."""
        return list(self._secrets.values())

    def reference(self, name: str, stand_in: str = "STANDIN") -> str:
        self.names.setdefault(name, stand_in)
        return f"${{{name}}}"
