"""What can go wrong with a Redis, as values, and what an operator is told of it: never what was sent."""

from __future__ import annotations

import ssl
from typing import Final

_LOGIN: Final = "it refuses the user or the password"
_LOSSES: Final = {
    "NOAUTH": _LOGIN,
    "WRONGPASS": _LOGIN,
    "NOPERM": "this user may not do what the gateway needs",
    "LOADING": "it is still loading its data",
    "READONLY": "it is a replica and takes no writes",
    "OOM": "its memory is full",
    "MASTERDOWN": "it has lost its master",
    "CLUSTERDOWN": "the cluster is down",
    "MAXCLIENTS": "it takes no more connections",
}
"""By code: refusals that every other command would meet too. Any other refusal is an answer to one command."""
_TOO_MANY: Final = "ERR max number of clients"
"""Which has no code of its own."""


class Refused(Exception):
    """An error that a Redis answered; `code` is its first word."""

    @property
    def code(self) -> str:
        text = str(self)
        return "MAXCLIENTS" if text.startswith(_TOO_MANY) else text.partition(" ")[0]

    @property
    def is_loss(self) -> bool:
        return self.code in _LOSSES


class Lost(Exception):
    """The connection ended before an answer came; its cause says why, where that is known."""


class LoginRefused(Exception):
    """The user or the password is wrong."""


class NoMaster(Exception):
    """No sentinel knows a master."""


class TooMany(Exception):
    """Too many commands wait for their turn, which says nothing of the Redis."""


class NoNode(Exception):
    """No node of a cluster answers as one."""


_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (LoginRefused, _LOGIN),
    (TooMany, "too many commands are waiting for it"),
    (NoMaster, "no sentinel that answers knows a master"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "it does not speak TLS as it should"),
    (ConnectionRefusedError, "the connection is refused"),
    (TimeoutError, "it does not answer in time"),
)


def reason(error: BaseException) -> str:
    """Of the error or, where that says little, of what lies beneath it."""
    if isinstance(error, Refused):
        return _LOSSES.get(error.code, "it refuses a command")
    seen: BaseException | None = error
    while seen is not None:
        for kind, told in _KINDS:
            if isinstance(seen, kind):
                return told
        seen = seen.__cause__ or seen.__context__
    return "no node of a cluster answers" if isinstance(error, NoNode) else "the connection fails"
