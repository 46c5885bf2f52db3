"""What each fault means, and the one sentence that a client gets for all of them."""

from __future__ import annotations

import string
import time
from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.errors import GatewayError
from gateway.policy import TABLE, Attempt, cleaned, refusal
from providers.base import Fault, FaultKind

REJECTED, THROTTLED, TIMEOUT = FaultKind.REJECTED, FaultKind.THROTTLED, FaultKind.TIMEOUT
EXHAUSTED, NO_SLOT, OVERLOADED = FaultKind.EXHAUSTED, FaultKind.NO_SLOT, FaultKind.OVERLOADED
BROKEN, MALFORMED, MISCONFIGURED = FaultKind.BROKEN, FaultKind.MALFORMED, FaultKind.MISCONFIGURED

NO_CAPACITY: Final = {OVERLOADED, THROTTLED, NO_SLOT}


def attempt(kind: FaultKind, message: str = "", items: Sequence[int] = (0,), **fields: Any) -> Attempt:
    return Attempt("first", Fault(kind, message, **fields), items)


def attempts(*kinds: FaultKind) -> list[Attempt]:
    return [attempt(kind) for kind in kinds]


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_table_is_whole() -> None:
    """Every kind of fault has its row."""
    assert set(FaultKind) == set(TABLE)


def test_only_rejection_is_final() -> None:
    """Another target may help against every fault but a rejection."""
    assert [REJECTED] == [kind for kind, verdict in TABLE.items() if not verdict.next_target]


@pytest.mark.parametrize(
    ("kind", "retries"),
    [
        (REJECTED, 0),
        (MISCONFIGURED, 0),
        (THROTTLED, 2),
        (OVERLOADED, 2),
        (NO_SLOT, 0),
        (TIMEOUT, 0),
        (BROKEN, 1),
        (MALFORMED, 0),
        (EXHAUSTED, 0),
    ],
)
def test_retries(kind: FaultKind, retries: int) -> None:
    """The same target is asked again only where that may help."""
    assert retries == TABLE[kind].retries


def test_charged() -> None:
    """What an upstream began and did not finish may be billed; what it refused is not."""
    assert {TIMEOUT, BROKEN, MALFORMED} == {kind for kind, verdict in TABLE.items() if verdict.charged}


def test_trips() -> None:
    """What an upstream fails at counts against it; the caller's mistakes, ours, and its limits do not."""
    assert {OVERLOADED, TIMEOUT, BROKEN, MALFORMED} == {kind for kind, verdict in TABLE.items() if verdict.trips}


def test_cools() -> None:
    """Who throttles is left alone a little, who has no credit left for long."""
    assert {THROTTLED: 0.5, EXHAUSTED: 300.0} == {
        kind: verdict.cools for kind, verdict in TABLE.items() if verdict.cools is not None
    }


# ── which error ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((REJECTED,), errors.InvalidRequest),
        ((MISCONFIGURED,), errors.UpstreamError),
        ((THROTTLED,), errors.Throttled),
        ((OVERLOADED,), errors.UpstreamUnavailable),
        ((NO_SLOT,), errors.Overloaded),
        ((TIMEOUT,), errors.UpstreamTimeout),
        ((BROKEN,), errors.UpstreamError),
        ((MALFORMED,), errors.UpstreamError),
        ((EXHAUSTED,), errors.QuotaExhausted),
        ((TIMEOUT, REJECTED), errors.InvalidRequest),
        ((THROTTLED, THROTTLED), errors.Throttled),
        ((THROTTLED, EXHAUSTED), errors.Throttled),
        ((EXHAUSTED, EXHAUSTED), errors.QuotaExhausted),
        ((EXHAUSTED, MISCONFIGURED), errors.UpstreamError),
        ((THROTTLED, TIMEOUT), errors.UpstreamTimeout),
        ((THROTTLED, OVERLOADED), errors.UpstreamUnavailable),
        ((THROTTLED, BROKEN), errors.UpstreamUnavailable),
        ((NO_SLOT, NO_SLOT), errors.Overloaded),
        ((NO_SLOT, BROKEN), errors.UpstreamUnavailable),
        ((BROKEN, MALFORMED), errors.UpstreamError),
    ],
)
def test_refusal(kinds: Sequence[FaultKind], expected: type[GatewayError]) -> None:
    """Each mixture of faults is one error."""
    assert expected is type(refusal(attempts(*kinds)))


MIXTURES = st.lists(st.sampled_from(FaultKind), min_size=1, max_size=5)
MESSAGES = st.text() | st.text(alphabet=string.printable)
ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        st.text(),
        st.builds(
            Fault,
            st.sampled_from(FaultKind),
            MESSAGES,
            st.none() | st.integers(300, 599),
            st.none() | st.floats(0, 86_400),
            st.none() | st.integers(-1, 6),
        ),
        st.lists(st.integers(0, 2047), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=5,
)


@given(ATTEMPTS)
def test_any_attempts_are_refused(attempts: list[Attempt]) -> None:
    """Whatever was tried, the outcome is an error that has words and sane headers."""
    error = refusal(attempts)

    assert (True, True) == (bool(error.message), all(value.isascii() for value in error.headers.values()))


@given(MIXTURES, st.randoms(use_true_random=False))
def test_order_does_not_matter(kinds: list[FaultKind], source: Any) -> None:
    """The kind of error is the same in whatever order the targets failed."""
    shuffled = source.sample(kinds, len(kinds))

    assert type(refusal(attempts(*kinds))) is type(refusal(attempts(*shuffled)))


@given(MIXTURES)
def test_any_rejection(kinds: list[FaultKind]) -> None:
    """One rejection among the faults is a 400."""
    assert 400 == refusal(attempts(*kinds, REJECTED)).status


@given(st.lists(st.sampled_from([THROTTLED, EXHAUSTED]), min_size=1))
def test_all_throttled(kinds: list[FaultKind]) -> None:
    """Throttling by every target is a 429."""
    assert 429 == refusal(attempts(*kinds)).status


@given(MIXTURES.map(lambda kinds: [kind for kind in kinds if kind is not REJECTED]))
def test_any_timeout(kinds: list[FaultKind]) -> None:
    """One timeout among faults without a rejection is a 504."""
    assert 504 == refusal(attempts(*kinds, TIMEOUT)).status


@given(MIXTURES.filter(lambda kinds: not {REJECTED, TIMEOUT} & set(kinds) and not set(kinds) <= {THROTTLED, EXHAUSTED}))
def test_anything_else(kinds: list[FaultKind]) -> None:
    """Other faults are a 503 where one of them is a lack of capacity, else a 502."""
    assert (503 if NO_CAPACITY & set(kinds) else 502) == refusal(attempts(*kinds)).status


# ── what it says ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("item", "expected"),
    [(None, None), (0, 7), (2, 9), (3, None), (-1, None)],
)
def test_item(item: int | None, expected: int | None) -> None:
    """The item at fault is its position in the request, where it is known."""
    assert expected == attempt(REJECTED, items=[7, 8, 9], item=item).item


@pytest.mark.parametrize(
    ("message", "item", "expected"),
    [
        ("Too long.", 1, ("`input[8]` was refused by the model's backend: Too long.", "input")),
        ("Too long.", None, ("The model's backend refused this request: Too long.", None)),
        ("", 1, ("`input[8]` was refused by the model's backend and gave no reason.", "input")),
        ("", None, ("The model's backend refused this request and gave no reason.", None)),
        (
            "See https://host/docs",
            None,
            ("The model's backend refused this request: See [url]", None),
        ),
    ],
)
def test_rejection(message: str, item: int | None, expected: tuple[str, str | None]) -> None:
    """A rejection carries the upstream's own words, cleaned, with the item's position."""
    error = refusal([attempt(REJECTED, message, [7, 8, 9], item=item)])

    assert expected == (error.message, error.param)


def test_first_rejection() -> None:
    """Of several rejections the first is told."""
    error = refusal([attempt(BROKEN, "a"), attempt(REJECTED, "b"), attempt(REJECTED, "c")])

    assert "The model's backend refused this request: b" == error.message


@pytest.mark.parametrize(
    ("waits", "seconds", "milliseconds"),
    [
        ((None,), "1", "1000"),
        ((0.0,), "1", "1000"),
        ((2.812,), "3", "2812"),
        ((30.0, 2.0), "2", "2000"),
        ((None, 2.0), "2", "2000"),
        ((0.0, 2.0), "2", "2000"),
    ],
)
@pytest.mark.parametrize("kind", [THROTTLED, OVERLOADED])
def test_wait(kind: FaultKind, waits: Sequence[float | None], seconds: str, milliseconds: str) -> None:
    """The client is told the shortest wait that a target asked for, or a second."""
    error = refusal([attempt(kind, retry_after=wait) for wait in waits])

    assert {"retry-after": seconds, "retry-after-ms": milliseconds} == error.headers


def test_wait_in_words() -> None:
    """The wait stands in the message, too."""
    error = refusal([attempt(THROTTLED, retry_after=2.5)])

    assert "The model's backend takes no more requests at the moment. Try again in 2.5 seconds." == error.message


def test_exhausted_targets_ask_for_no_wait() -> None:
    """What an exhausted target says of waiting does not count."""
    error = refusal([attempt(EXHAUSTED, retry_after=1.0), attempt(THROTTLED, retry_after=5.0)])

    assert "5" == error.headers["retry-after"]


def test_exhausted_is_not_retried() -> None:
    """A quota used up everywhere tells clients not to try again."""
    assert {"x-should-retry": "false"} == refusal(attempts(EXHAUSTED)).headers


def test_no_slot_may_be_retried() -> None:
    """A gateway without a free slot tells clients to try again in a second."""
    assert {"retry-after": "1", "retry-after-ms": "1000"} == refusal(attempts(NO_SLOT)).headers


@pytest.mark.parametrize(
    ("item", "where"),
    [(1, " for `input[8]`"), (None, "")],
)
def test_breach(item: int | None, where: str) -> None:
    """A breach of contract is told with its item."""
    error = refusal([attempt(BROKEN), attempt(MALFORMED, "the vector is all zeros", [7, 8, 9], item=item)])

    assert error.message == (
        f"The model's backend gave a wrong answer{where}: the vector is all zeros. No vectors were returned; "
        "try again, and tell the gateway's operator if it persists."
    )


def test_last_breach() -> None:
    """Of several breaches the first of the last target is told."""
    error = refusal(
        [
            Attempt(target, Fault(MALFORMED, message), [0])
            for target, message in (("t0", "one"), ("t1", "two"), ("t1", "three"))
        ]
    )

    assert "gave a wrong answer: two." in error.message


@pytest.mark.parametrize("kind", sorted(set(FaultKind) - {REJECTED, MALFORMED}))
def test_their_words_stay_here(kind: FaultKind) -> None:
    """What an upstream says of its own failure is not told to the client."""
    assert "secret" not in refusal([attempt(kind, "a secret of the upstream")]).message


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            (MISCONFIGURED, MISCONFIGURED),
            "The model's backend refuses the gateway's configuration of it. Tell the gateway's operator.",
        ),
        (
            (MISCONFIGURED, BROKEN),
            "The model's backend failed. Try again, and tell the gateway's operator if it persists.",
        ),
    ],
)
def test_502(kinds: Sequence[FaultKind], expected: str) -> None:
    """Trying again is advised unless the configuration alone is at fault."""
    assert expected == refusal(attempts(*kinds)).message


# ── cleaning ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        "",
        "input cannot be an empty string",
        "This model's maximum context length is 8192 tokens, however you requested 8610 tokens.",
        "The model `text-embedding-3-small` does not support specifying dimensions.",
        "Model sentence-transformers/all-MiniLM-L6-v2 takes at most 256 tokens.",
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "intfloat/multilingual-e5-large-instruct has no such parameter.",
        "Unknown field `max_input_tokens`; known are `output_dimension`, `encoding_format`.",
        "max_tokens_per_request",
        "Must be less than or equal to 1536.",
        "The basic plan does not include it.",
        "Send a bearer token.",
        "Use Bearer authentication!",
        "A state-of-the-art-and-then-some model, organised well.",
        "Version 1.2.3 of 2026-10-21 at 07:28:00.",
        "Zu lang: höchstens 512 Zeichen, 日本語のテキスト.",
        "Disk-shaped risk-averse desk_jobs are fine.",
        "Antidisestablishmentarianism is one token too many: 12345678901234567890.",
    ],
)
def test_sentences_stay(message: str) -> None:
    """An ordinary sentence stays as it is, with its names of models, fields and numbers."""
    assert message == cleaned(message)


RANDOM_43 = "q3Zp0Lx8TnVb2MkRw7YcJd5HgFs1AeUo9iQtXvN4zKl"
HEX_32 = "0123456789abcdef0123456789abcdef"


def parts_of(secret: str, message: str) -> list[str]:
    """What four characters of a secret are still to be read in a message."""
    left = message.replace("[hidden]", "")
    return [secret[at : at + 4] for at in range(len(secret) - 3) if secret[at : at + 4] in left]


@pytest.mark.parametrize(
    "secret",
    [
        "sk-upstream-secret-0123456789",
        "sk-proj-abcdefgh",
        "sk-abcdefghijklmnop",
        "sk-ant-api03-AbCd_EfGh-IjKl",
        f"sk-gateway-{RANDOM_43}Ab12Cd",
        "nvapi-AbCdEfGhIjKlMnOp",
        f"jina_{HEX_32}",
        "hf_abcdefghijklmnopqrst",
        "pa-AbCdEfGhIjKlMnOpQrSt",
        "sk-upstr***************6789",
        "sk-proj-****MxYA",
        f"my-company-key-{HEX_32}",
        RANDOM_43,
        HEX_32,
        HEX_32[:20],
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "c2VjcmV0LXNlY3JldDEyMzQ1Njc4OTA=",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ],
)
@pytest.mark.parametrize("frame", ["Incorrect API key provided: {}.", "key={}", '{{"token":"{}"}}', "{}", "x/{}"])
def test_keys_are_hidden(frame: str, secret: str) -> None:
    """Nothing of a key is left, wherever it stands."""
    assert [] == parts_of(secret, cleaned(frame.format(secret)))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Authorization: Bearer abc123 is wrong", "Authorization: Bearer [hidden] is wrong"),
        ("bearer   my-token", "bearer [hidden]"),
        ("Bearer letMeIn", "Bearer [hidden]"),
        ("Basic dXNlcjpwYXNz", "Basic [hidden]"),
        ("no access for org-AbC123 here", "no access for [hidden] here"),
        ("see https://user:pass@host/x?key=1 and HTTP://B", "see [url] and [url]"),
        ("redis+sentinel://cache:6379/0 is down", "[url] is down"),
        ("(https://host/path)", "([url]"),
        ("connect to 10.0.0.17:8080 failed", "connect to [address] failed"),
        ("from 192.168.1.254.", "from [address]."),
        ("one\n\n  two\tthree ", "one two three"),
    ],
)
def test_cleaned(message: str, expected: str) -> None:
    """Bearer tokens, organisations, URLs and addresses are hidden, and all is put on one line."""
    assert expected == cleaned(message)


@pytest.mark.parametrize(("length", "expected"), [(500, "é" * 500), (501, "é" * 500 + "…"), (9999, "é" * 500 + "…")])
def test_long_message(length: int, expected: str) -> None:
    """A message of more than 500 characters is cut."""
    assert expected == cleaned("é" * length)


def test_far_end() -> None:
    """Of a message that is far too long only the beginning is read, however little is left of that."""
    assert "the end" not in cleaned(f"https://host/{'a' * 100} " * 20 + "the end")


@pytest.mark.parametrize("place", range(1940, 2010, 3))
def test_no_half_key(place: int) -> None:
    """Where a long message is cut, no half of a key comes to light."""
    addresses = f"https://host/{'a' * 46} " * 32  # 1920 characters that become few

    assert [] == parts_of(RANDOM_43, cleaned(f"{addresses.ljust(place)}{RANDOM_43} {RANDOM_43}"))


@pytest.mark.parametrize("part", ["a.", "a+", "a-", "a_", "a/", "A1", " ", "bearer ", "1.", "://", "é", "*", "org-"])
def test_any_length_is_cleaned_quickly(part: str) -> None:
    """A message of a megabyte takes no longer than its length asks for, whatever it repeats."""
    begun = time.process_time()
    cleaned(part * 500_000)

    assert time.process_time() - begun < 5  # seconds of this process's own; it took hours


@given(MESSAGES)
def test_one_line(message: str) -> None:
    """A cleaned message is on one line."""
    once = cleaned(message)

    assert " ".join(once.split()) == once
