"""What a service says when it fails: its words, found in whatever shape they come, and the fault that they stand for.

Services agree on little here: OpenAI's envelope, with or without a type; a text in its place; a flat object; FastAPI's
`detail`; a list of errors; RFC 7807; plain text; a proxy's page. One reader knows them all, so that a provider has to
list only where a status does not mean what it usually means.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from providers import codec
from providers.base import Fault, FaultKind, Response

LONGEST_WAIT: Final = 86_400.0
"""Seconds; a hint beyond a day says no more than a day."""

KINDS: Final[Mapping[int, FaultKind]] = {
    400: FaultKind.REJECTED,
    401: FaultKind.MISCONFIGURED,
    402: FaultKind.EXHAUSTED,
    403: FaultKind.MISCONFIGURED,
    404: FaultKind.MISCONFIGURED,
    405: FaultKind.MISCONFIGURED,
    408: FaultKind.TIMEOUT,
    413: FaultKind.REJECTED,
    422: FaultKind.REJECTED,
    424: FaultKind.OVERLOADED,
    429: FaultKind.THROTTLED,
    500: FaultKind.BROKEN,
    502: FaultKind.OVERLOADED,
    503: FaultKind.OVERLOADED,
    504: FaultKind.OVERLOADED,
    529: FaultKind.OVERLOADED,
}


@dataclass(frozen=True, slots=True)
class Said:
    """An error body's words. `codes` are all that could name the fault: codes, types, statuses, reasons."""

    message: str = field(default="", repr=False)
    codes: frozenset[str] = frozenset()
    wait: float | None = None
    """Seconds that the body asks to wait."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A fault that its status alone does not tell: it is of this kind where all that is given here fits."""

    kind: FaultKind
    status: int | None = None
    code: str | None = None
    says: str | None = None
    divisible: bool = False

    def fits(self, status: int, said: Said) -> bool:
        return (
            self.status in (None, status)
            and (self.code is None or self.code in said.codes)
            and (self.says is None or self.says.lower() in said.message.lower())
        )


def oversized(status: int | None = None, *, code: str | None = None, says: str | None = None) -> Meaning:
    """A batch refused for its size, all its inputs together: smaller ones may pass."""
    return Meaning(FaultKind.REJECTED, status, code, says, divisible=True)


COMMON: Final = (
    Meaning(FaultKind.EXHAUSTED, 429, code="insufficient_quota"),  # OpenAI's word for a quota used up
    oversized(400, code="max_tokens_per_request"),  # OpenAI
    oversized(400, says="array length must be 2048 or less"),  # OpenAI
    oversized(422, says="maximum allowed batch size"),  # Text Embeddings Inference, behind whatever name
)
"""What relays pass on from others, and hosts from the servers that they run."""


def parser(*meanings: Meaning) -> Callable[[Response], Fault]:
    """A provider's `parse_error`: the first of its own meanings that fits, else what the status usually means."""
    return functools.partial(fault, meanings=(*meanings, *COMMON))


def fault(response: Response, meanings: tuple[Meaning, ...] = COMMON) -> Fault:
    """A 413 is about the size of all inputs together, unless the service has another meaning for it."""
    said = read(response.body)
    usual = Meaning(kind_of_status(response.status), divisible=response.status == 413)
    meaning = next((meaning for meaning in meanings if meaning.fits(response.status, said)), usual)
    waits = [retry_after(response.headers)]
    if meaning.kind in (FaultKind.THROTTLED, FaultKind.OVERLOADED):
        waits.append(said.wait)
    longest = max((wait for wait in waits if wait is not None), default=None)
    if longest is None and meaning.kind is FaultKind.THROTTLED:
        longest = limits_reset(response.headers)
    return Fault(meaning.kind, said.message, response.status, longest, divisible=meaning.divisible)


def kind_of_status(status: int) -> FaultKind:
    """What a status means where the service has no meaning of its own; a redirect is a wrong base URL."""
    known = KINDS.get(status)
    if known is not None:
        return known
    if 300 <= status < 400:
        return FaultKind.MISCONFIGURED
    return FaultKind.REJECTED if 400 <= status < 500 else FaultKind.BROKEN


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds asked for by `retry-after-ms` or `retry-after`; of both the longer, as either may be rounded to zero.

    A date (RFC 9110, 10.2.3) is read beside the answer's own `date`, so that nobody's clock has to be right.
    """
    waits = []
    dates = [_date(headers.get(name, "")) for name in ("retry-after", "date")]
    if dates[0] is not None and dates[1] is not None:
        waits.append(min(max(0.0, dates[0] - dates[1]), LONGEST_WAIT))
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(wait) and wait >= 0:
            waits.append(min(wait, LONGEST_WAIT))
    return max(waits, default=None)


def limits_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until the limits that are used up are whole again, in OpenAI's headers: "6m0s"; None where none is.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    used_up = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    resets = [_seconds(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in used_up]
    return max((reset for reset in resets if reset is not None), default=None)


def _date(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date; None for any other text."""
    try:
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


# ── the body ──────────────────────────────────────────────────────────────────────────────────────────────────────

_WORDS: Final = ("error", "message", "Message", "msg", "detail", "errors", "title")
"""Where a message may stand, the most telling first."""
_CODES: Final = ("code", "type", "status", "error_code", "error_type", "reason")
_INNER: Final = ("error", "errors", "detail", "details")
_DEEPEST: Final = 4
_MOST_ITEMS: Final = 5
_LONGEST_PLAIN: Final = 1_000


def read(body: bytes) -> Said:
    """Never fails: what is in no known shape says nothing."""
    try:
        payload = codec.parse_json(body)
    except codec.JSONError:
        return Said(_plain(body))
    message = _text(payload)
    objects = list(_objects(payload))
    codes = {str(found[name]) for found in objects for name in _CODES if type(found.get(name)) in (str, int)}
    delays = [_seconds(found["retryDelay"]) for found in objects if isinstance(found.get("retryDelay"), str)]
    hint = _HINT.search(message)
    waits = [wait for wait in (*delays, _seconds(hint[1]) if hint else None) if wait is not None]
    return Said(message, frozenset(codes), max(waits, default=None))


def _plain(body: bytes) -> str:
    """A short text is the service's own; a page is a proxy's, and half an object tells nobody anything."""
    try:
        text = body.decode().strip()
    except UnicodeDecodeError:
        return ""
    return "" if text.startswith(("<", "{", "[")) or len(text) > _LONGEST_PLAIN else text


def _text(value: object, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_text(item, depth + 1) for item in value[:_MOST_ITEMS])))
    if isinstance(value, dict):
        words = next(filter(None, (_text(value.get(name), depth + 1) for name in _WORDS)), "")
        place = value.get("loc")  # FastAPI's: ["body", "dimensions"]
        return f"{'.'.join(map(str, place))}: {words}" if words and isinstance(place, list) else words
    return ""


def _objects(value: object, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The error's objects: the body and those within it that tell more."""
    if isinstance(value, dict):
        yield value
    elif not isinstance(value, list):
        return
    if depth < _DEEPEST:
        inner = value[:_MOST_ITEMS] if isinstance(value, list) else [value.get(name) for name in _INNER]
        for item in inner:
            yield from _objects(item, depth + 1)


_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SPAN: Final = r"\d{1,9}(?:\.\d{1,9})? ?(?:milliseconds?|ms|seconds?|s|minutes?|m|hours?|h|days?|d)(?![a-z])"
_HINT: Final = re.compile(rf"(?:try again|retry) (?:in|after) ((?:{_SPAN} ?)+)", re.IGNORECASE)
"""OpenAI's "try again in 2.812s", Azure's "retry after 55 seconds"."""
_PART: Final = re.compile(r"([\d.]+) ?([a-z]+)")


def _seconds(text: str) -> float | None:
    """The seconds of "58s", "1m12.5s" or "55 seconds"; None for any other text."""
    text = text.strip().lower()
    if re.fullmatch(rf"(?:{_SPAN} ?)+", text) is None:
        return None
    total = 0.0
    for number, unit in _PART.findall(text):
        total += float(number) * _UNITS["ms" if unit.startswith(("ms", "mil")) else unit[0]]
    return min(total, LONGEST_WAIT)
