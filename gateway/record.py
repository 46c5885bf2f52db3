"""What is remembered of one request for its log line and its headers: never a text, a vector or a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.allowances import Priority
from gateway.away import Away
from gateway.policy import Attempt
from gateway.store import Usage


@dataclass(slots=True)
class Record:
    """Filled in by each room that the request passes. Times are seconds on the monotonic `clock`."""

    request_id: str
    clock: Callable[[], float]
    started: float
    embeds: bool = False
    """Whether it is for embeddings, whatever comes of it."""
    key: str | None = None
    team: str = ""
    model: str | None = None
    """As the client names it."""
    route: str = ""
    """The alias of the route that was found for it."""
    items: int | None = None
    lane: Priority | None = None
    tokens: int | None = None
    targets: Sequence[str] = ()
    attempts: Sequence[Attempt] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """What any answer to this request tells, errors too."""
    away: Away = field(init=False)
    """Its time at its targets."""
    used: Usage | None = None
    """What its caller is charged with."""
    trace: str | None = None
    """The id of its trace."""
    shadowed: Sequence[str] = ()
    """Shadow limits that would have refused it."""

    def __post_init__(self) -> None:
        self.away = Away(self.clock)

    def timing(self, step: str) -> _Timing:
        """Adds the time spent inside to a step, whether it succeeds or fails."""
        return _Timing(self, step)

    def waited(self, seconds: float) -> None:
        """Of several calls that wait at the same time the longest is told."""
        self.timings["queue"] = max(seconds, self.timings.get("queue", 0.0))

    @property
    def elapsed(self) -> float:
        return self.clock() - self.started

    def server_timing(self) -> str:
        """The `server-timing` header, in milliseconds. https://www.w3.org/TR/server-timing/"""
        steps = [f"{step};dur={seconds * 1000:.3f}, " for step, seconds in self.timings.items()]
        return f"{''.join(steps)}total;dur={self.elapsed * 1000:.3f}"

    def log_fields(self, method: str, path: str, status: int) -> dict[str, Any]:
        """The request's log line: only what is known, and nothing that a client must keep to itself."""
        fields: dict[str, Any] = {
            "id": self.request_id,
            "trace": self.trace,
            "method": method,
            "path": path,
            "status": status,
            "ms": round(self.elapsed * 1000, 3),
            "key": self.key,
            "model": self.model,
            "items": self.items,
            "lane": self.lane,
            "tokens": self.tokens,
            "targets": list(self.targets) or None,
            "failed": [_told(attempt) for attempt in self.attempts] or None,
            "shadowed": list(self.shadowed) or None,
            "metadata": dict(self.metadata) or None,
            "error": self.error,
        }
        return {name: value for name, value in fields.items() if value is not None}


class _Timing:
    """A class, because contextlib's generators take a microsecond more, four times a request."""

    __slots__ = ("_begun", "_record", "_step")

    def __init__(self, record: Record, step: str) -> None:
        self._record = record
        self._step = step

    def __enter__(self) -> None:
        self._begun = self._record.clock()

    def __exit__(self, *raised: object) -> None:
        timings, step = self._record.timings, self._step
        timings[step] = timings.get(step, 0.0) + self._record.clock() - self._begun


def _told(attempt: Attempt) -> dict[str, Any]:
    """Without its message, which may quote an input."""
    return {
        "target": attempt.target,
        "fault": attempt.fault.kind,
        "status": attempt.fault.status,
        "items": len(attempt.items),
        "ms": round(attempt.seconds * 1000, 3),
    }
