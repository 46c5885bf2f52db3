"""The words that a backend and the gateway share: values and pure functions, no I/O, no policy.

A provider is a record of three functions over these values, plus the facts about its service.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from providers.values import frozen

TokenIds = list[int]
Input = str | TokenIds
InputType = Literal["query", "document", "classification", "clustering", "similarity"]
"""What a vector is for, in the gateway's words; each provider has its own."""
CredentialKind = Literal["google", "ibm", "entra", "aws"]
"""Credentials that are no key to be sent: three buy a bearer token, and AWS's sign each request."""


@frozen
class EmbedCall:
    """What one upstream call has to embed.

    `inputs` are all texts or all token ids, never empty, never an empty text.
    `dimensions` is set only when the upstream itself must shorten its vectors.
    `extra` holds the client's further fields of the upstream body, already checked against `Provider.owned`.
    """

    model: str
    inputs: Sequence[Input] = field(repr=False)
    dimensions: int | None = None
    input_type: InputType | None = None
    user: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a target lives and how it wants to be spoken to. Never shows its credentials."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    api_version: str | None = None
    region: str | None = None
    project: str | None = None
    space_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    base64: bool = False
    """Whether this service is known to answer base64 of float32 when asked."""


@frozen
class Request:
    """One HTTP request to an upstream. Never shows its headers and body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class Response:
    """One whole HTTP answer of an upstream; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@frozen
class Embeddings:
    """Vectors as the upstream gave them, not yet checked.

    `vectors` are little-endian float32 bytes.
    `indexes` says which input each vector belongs to; None where the wire has no index and order is the rule.
    `prompt_tokens` is what the upstream billed; None where it does not say (never a made-up zero).
    """

    vectors: Sequence[bytes] = field(repr=False)
    indexes: Sequence[int] | None = None
    prompt_tokens: int | None = None


class FaultKind(enum.StrEnum):
    """What went wrong at an upstream, in the terms that decide what happens next."""

    REJECTED = "rejected"  # it refused this input
    MISCONFIGURED = "misconfigured"  # our credentials, model name or address are wrong there
    THROTTLED = "throttled"  # too many requests
    OVERLOADED = "overloaded"  # it has no capacity, or could not be reached
    NO_SLOT = "no_slot"  # this gateway had no free slot for it in time
    TIMEOUT = "timeout"  # it did not answer in time
    BROKEN = "broken"  # it failed inside
    MALFORMED = "malformed"  # it said 2xx, but the vectors are not there, or not right
    EXHAUSTED = "exhausted"  # its quota or our credit there is used up


@frozen
class Fault:
    """A failed attempt. `message` is the upstream's own wording and may quote the input: it is never logged."""

    kind: FaultKind
    message: str = field(repr=False)
    status: int | None = None
    retry_after: float | None = None
    """Seconds that the upstream asks to wait."""
    item: int | None = None
    """Position of the bad input within the call, where known."""
    divisible: bool = False
    """Whether smaller batches may fare better: this one was refused for its size, or got a vector that is no vector."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one upstream call may hold; None means no limit known."""

    inputs: int | None = None
    input_tokens: int | None = None
    request_tokens: int | None = None
    request_bytes: int | None = None
    input_chars: int | None = None


Overlong = Literal["refuses", "obeys", "cuts", "unknown"]
"""What a service does with a text that is too long for its model.

It refuses by itself; refuses because the adapter tells it to; cuts without a word, and has no switch against it; or
nobody says.
"""


@dataclass(frozen=True, slots=True)
class Statistics:
    """How busy something that embeds is, in the four words that Infinity has for it.

    `queue_fraction` is how full its queue is, `queue_absolute` how much waits there, `results_pending` how much is
    being worked on, and `batch_size` the most inputs that it takes at a time, None where nobody knows.
    """

    queue_fraction: float
    queue_absolute: int
    results_pending: int
    batch_size: int | None


@dataclass(frozen=True, slots=True)
class StatisticsSource:
    """How a service tells its own statistics: a question, and what its answer says of one model, None if nothing."""

    build_request: Callable[[Endpoint], Request]
    parse_response: Callable[[Response, str], Statistics | None]


@dataclass(frozen=True, slots=True)
class Provider:
    """A remote embedding service: three pure functions and the facts about it.

    What every adapter promises, also one from outside that the routing file names `package.module:NAME`:

    - `build_request` gives equal requests for equal arguments: retries come back through it. It sends what the
      service documents, no nulls, and `call.extra` and `endpoint.extra_body` only underneath its own fields.
    - `parse_response` takes a 2xx answer, `parse_error` any other. Neither raises, whatever the body holds: what
      cannot be read is a `Fault`. Vectors are handed on as they came; whether they are right is checked by the gateway.
    - Usage that is not in the answer is None, never 0.
    - No function keeps anything between calls, reads a file, the environment or the clock, or shows a credential.

    `owned` are the body keys that a client's `extra_body` may not set: all that the adapter builds,
    and those that would change the model, the space or the target.
    """

    name: str
    build_request: Callable[[EmbedCall, Endpoint], Request]
    parse_response: Callable[[Response], Embeddings | Fault]
    parse_error: Callable[[Response], Fault]
    owned: frozenset[str]
    base_url: str | None = None
    limits: Limits = Limits()
    token_ids: bool = False
    """Whether the service takes token ids at all."""
    base64: bool = False
    """Whether it is known to answer base64 of float32 when asked."""
    overlong: Overlong = "unknown"
    shortens: bool = True
    """Whether it has a field for shorter vectors."""
    roles: frozenset[InputType] = frozenset()
    """The input types that it tells apart; empty where it tells none."""
    needs_role: bool = False
    """Whether it refuses a call that names no input type."""
    role_endings: tuple[str, ...] = ()
    """Endings of a model's name that tell the input type already."""
    unit_length: bool | None = None
    """Whether its vectors have unit length, whatever the model; None where that differs or nobody says."""
    needs: frozenset[Literal["region", "project", "project or space_id"]] = frozenset()
    """Fields of `Endpoint` without which no request can be built. A `{region}` in the base URL is filled from them."""
    urls_of_keys: Mapping[str, str] = field(default_factory=dict)
    """Its other public addresses, by how the keys begin that belong there."""
    key_header: str = "authorization"
    """The header, in lower case, that a key goes out in."""
    credentials: frozenset[CredentialKind] = frozenset()
    """Other credentials that it takes in place of a key. Its requests without a key have no `authorization` then."""
    statistics: StatisticsSource | None = None
    """How it can be asked how busy it is, where it can."""
