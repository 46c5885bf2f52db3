"""What is remembered of one request for its log line and its headers: never a text, a vector or a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.allowances import Priority
from gateway.away import Away
from gateway.policy import Attempt
from gateway.store import Usage
from gateway.turn_head import Header


class Record(Away):
    """Filled in by each room that the request passes. Times are seconds on the monotonic `clock`.

    What nobody has filled in is the class's, so that a record costs what is known of its request.
    """

    embeds = False
    """Whether it is for embeddings, whatever comes of it."""
    key: str | None = None
    team = ""
    model: str | None = None
    """As the client names it."""
    route = ""
    """The alias of the route that was found for it."""
    items: int | None = None
    lane: Priority | None = None
    tokens: int | None = None
    targets: Sequence[str] = ()
    attempts: Sequence[Attempt] = ()
    metadata: Mapping[str, str] | None = None
    error: str | None = None
    headers: Sequence[Header] = ()
    """What any answer to this request tells, errors too."""
    used: Usage | None = None
    """What its caller is charged with."""
    trace: str | None = None
    """The id of its trace."""
    shadowed: Sequence[str] = ()
    """Shadow limits that would have refused it."""
    _elapsed: float | None = None
    _step = ""
    _begun = 0.0

    def __init__(self, request_id: str, clock: Callable[[], float], started: float, **known: Any) -> None:
        super().__init__(clock)
        self.request_id = request_id
        self.started = started
        self.timings: dict[str, float] = {}
        for name, value in known.items():
            setattr(self, name, value)

    def step(self, name: str) -> None:
        """The next step begins, which ends the one before; "" is none that is told."""
        now, ended = self.clock(), self._step
        if ended:
            self.timings[ended] = self.timings.get(ended, 0.0) + now - self._begun
        self._step, self._begun = name, now

    def end(self) -> None:
        """Its time is over, whenever somebody asks for it."""
        self._elapsed = self.clock() - self.started

    @property
    def elapsed(self) -> float:
        """Seconds until now, or until its end."""
        return self.clock() - self.started if self._elapsed is None else self._elapsed

    def server_timing(self) -> str:
        """The `server-timing` header, in milliseconds. https://www.w3.org/TR/server-timing/"""
        if self._step:
            self.step("")
        timings = self.timings
        if self.waited:
            timings["queue"] = self.waited
        steps = "".join([f"{step};dur={seconds * 1000:.3f}, " for step, seconds in timings.items()])
        return f"{steps}total;dur={self.elapsed * 1000:.3f}"

    def log_fields(self, method: str, path: str, status: int) -> dict[str, Any]:
        """The request's log line: only what is known, and nothing that a client must keep to itself."""
        fields: dict[str, Any] = {"id": self.request_id}
        if self.trace is not None:
            fields["trace"] = self.trace
        fields["method"], fields["path"], fields["status"] = method, path, status
        fields["ms"] = round(self.elapsed * 1000, 3)
        if self.key is not None:
            fields["key"] = self.key
        if self.model is not None:
            fields["model"] = self.model
        if self.items is not None:
            fields["items"] = self.items
        if self.lane is not None:
            fields["lane"] = self.lane
        if self.tokens is not None:
            fields["tokens"] = self.tokens
        if self.targets:
            fields["targets"] = list(self.targets)
        if self.attempts:
            fields["failed"] = [_told(attempt) for attempt in self.attempts]
        if self.shadowed:
            fields["shadowed"] = list(self.shadowed)
        if self.metadata:
            fields["metadata"] = dict(self.metadata)
        if self.error is not None:
            fields["error"] = self.error
        return fields


def _told(attempt: Attempt) -> dict[str, Any]:
    """Without its message, which may quote an input."""
    return {
        "target": attempt.target,
        "fault": attempt.fault.kind,
        "status": attempt.fault.status,
        "items": len(attempt.items),
        "ms": round(attempt.seconds * 1000, 3),
    }
