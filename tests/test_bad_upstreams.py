"""Every way in which an upstream goes wrong, through a real gateway process: right vectors, or a clear error."""

from __future__ import annotations

import base64
import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import yaml

from tests.conftest import MODELS
from tests.fakes import mishaps
from tests.fakes.openai_upstream import Behaviour, FakeOpenAI, vector_for
from tests.gateway_process import GatewayProcess

SMALL = "text-embedding-3-small"
TEXTS = ["first", "second", "third"]
Shape = tuple[int, str, str | None]


FRESH = iter(range(250))
"""What goes wrong at a target is remembered there, so that each request goes to a copy of its route."""
COPIED = (SMALL, "small-floats", "two-targets")


@pytest.fixture(scope="module")
def gateway(running_openai: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    lines = yaml.safe_load(MODELS.substitute(url=running_openai.base_url, key=running_openai.api_key))
    lines[SMALL].pop("aliases")
    copies = {f"{name}-{copy}": lines[name] for name in COPIED for copy in range(250)}
    models = {name: lines[name] for name in ("narrow", "wrong-key", "nobody-there")}
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), yaml.safe_dump({**models, **copies})) as process:
        yield process


def embed(http: httpx.Client, model: str = SMALL, timeout_ms: int = 20_000, **fields: object) -> httpx.Response:
    body = {
        "model": f"{model}-{next(FRESH)}" if model in COPIED else model,
        "input": TEXTS,
        "encoding_format": "base64",
        **fields,
    }
    return http.post("/v1/embeddings", json=body, headers={"x-request-timeout-ms": str(timeout_ms)})


def shape(answer: httpx.Response) -> Shape:
    error = answer.json()["error"]
    return answer.status_code, error["type"], error["code"]


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


def is_right(answer: httpx.Response, texts: list[str] = TEXTS) -> bool:
    """Whether each text got its own vector, in its place."""
    got = [(item["index"], base64.b64decode(item["embedding"])) for item in answer.json()["data"]]
    return got == [(index, vector_for(text).tobytes()) for index, text in enumerate(texts)]


BROKEN: Shape = (502, "server_error", "upstream_error")
UNAVAILABLE: Shape = (503, "server_error", "upstream_unavailable")
TIMEOUT: Shape = (504, "server_error", "upstream_timeout")


SPOILED = ("nan", "infinity", "zero_vector")
"""Breaches by the values of one vector."""
MISSHAPEN = {name: mishap for name, mishap in mishaps.BREACHES.items() if name not in SPOILED}


@pytest.mark.parametrize("model", [SMALL, "small-floats"])
@pytest.mark.parametrize("mishap", [*MISSHAPEN, *mishaps.MALFORMED, "missing_index", "string_index"])
def test_no_right_vectors(http: httpx.Client, openai_upstream: FakeOpenAI, model: str, mishap: str) -> None:
    """A success whose vectors are missing or wrong is a 502 that says so, after one call."""
    openai_upstream.behave(
        {
            **MISSHAPEN,
            **mishaps.MALFORMED,
            "missing_index": mishaps.missing_index(),
            "string_index": mishaps.string_index(),
        }[mishap]
    )
    answer = embed(http, model)

    assert (BROKEN, True, 1) == (shape(answer), "gave a wrong answer" in message(answer), len(openai_upstream.requests))


@pytest.mark.parametrize("mishap", SPOILED)
def test_spoiled_once(http: httpx.Client, openai_upstream: FakeOpenAI, mishap: str) -> None:
    """A batch that one vector spoils is halved; what comes right then is as good as any."""
    openai_upstream.behave(mishaps.BREACHES[mishap])

    assert (True, 3) == (is_right(embed(http)), len(openai_upstream.requests))


def test_null_for_a_number(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """NaN as some servers write it, a null among the numbers, is found out like any."""
    openai_upstream.behave(mishaps.For("second", mishaps.null_number), times=None)

    assert "for `input[1]`: the vector holds NaN" in message(embed(http, "small-floats"))


def test_too_large_a_batch(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A batch that is refused for its size comes in halves."""
    openai_upstream.behave(mishaps.error(413))

    assert (True, 3) == (is_right(embed(http)), len(openai_upstream.requests))


def test_too_large_an_input(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """An input that is refused for its size wherever it stands is a 400 that names it."""
    openai_upstream.behave(mishaps.For("second", lambda place: mishaps.error(413)), times=None)
    answer = embed(http)

    assert (400, "invalid_request_error", None) == shape(answer)
    assert "`input[1]` was refused by the model's backend: Request entity too large." == message(answer)


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (mishaps.For("second", mishaps.nan), "for `input[1]`: the vector holds NaN"),
        (mishaps.For("third", mishaps.zero_vector), "for `input[2]`: the vector is all zeros"),
        (mishaps.one_wrong_length(1, 256), "for `input[1]`: the vector has 256 values where this model's have 1536"),
        (mishaps.one_too_few(), "2 vectors came back for 3 inputs"),
    ],
)
def test_breach_names_the_item(
    http: httpx.Client, openai_upstream: FakeOpenAI, behaviour: Behaviour, words: str
) -> None:
    """The message of a breach names the item and what is wrong with its vector."""
    openai_upstream.behave(behaviour, times=None)

    assert words in message(embed(http))


@pytest.mark.parametrize(
    ("behaviour", "tries", "expected"),
    [
        (
            mishaps.error(400, message="Invalid 'input[0]': input cannot be an empty string."),
            1,
            (400, "invalid_request_error", None),
        ),
        (mishaps.error(401), 1, BROKEN),
        (mishaps.error(403), 1, BROKEN),
        (mishaps.error(404), 1, BROKEN),
        (mishaps.redirect("http://127.0.0.1:9/v1/embeddings"), 1, BROKEN),
        (mishaps.insufficient_quota(), 1, (429, "insufficient_quota", "insufficient_quota")),
        (mishaps.rate_limited(retry_after="60"), 1, (429, "requests", "rate_limit_exceeded")),
        (mishaps.error(500), 2, BROKEN),
        (mishaps.error(502), 3, UNAVAILABLE),
        (mishaps.error(503), 3, UNAVAILABLE),
        (mishaps.error(529), 3, UNAVAILABLE),
        (mishaps.html(503), 3, UNAVAILABLE),
        (mishaps.cut_connection(), 3, UNAVAILABLE),
        (mishaps.closed_unanswered(), 3, UNAVAILABLE),
    ],
    ids=lambda value: "",
)
def test_refusals(
    http: httpx.Client, openai_upstream: FakeOpenAI, behaviour: Behaviour, tries: int, expected: Shape
) -> None:
    """Each kind of refusal is tried again as often as may help, then told as what it is to the client."""
    openai_upstream.behave(behaviour, times=None)
    answer = embed(http)

    assert (expected, tries) == (shape(answer), len(openai_upstream.requests))


@pytest.mark.parametrize(
    "behaviour",
    [mishaps.error(500), mishaps.error(503), mishaps.html(503), mishaps.cut_connection(), mishaps.closed_unanswered()],
    ids=["500", "503", "HTML", "cut", "closed"],
)
def test_recovered(http: httpx.Client, openai_upstream: FakeOpenAI, behaviour: Behaviour) -> None:
    """A single failure goes unnoticed."""
    openai_upstream.behave(behaviour)

    assert is_right(embed(http))


def test_throttled_with_a_hint(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A short wait that the upstream asks for is waited out."""
    openai_upstream.behave(mishaps.rate_limited(retry_after_ms="20"))

    assert is_right(embed(http))


def test_throttled_too_long(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A wait that is longer than the request's time is handed to the client, who may have more."""
    openai_upstream.behave(mishaps.rate_limited(retry_after="60"))
    answer = embed(http)

    assert ("60", "60000") == (answer.headers["retry-after"], answer.headers["retry-after-ms"])


def test_quota_is_not_retried_by_clients(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A used-up quota tells OpenAI's clients not to try again."""
    openai_upstream.behave(mishaps.insufficient_quota())

    assert "false" == embed(http).headers["x-should-retry"]


@pytest.mark.parametrize("behaviour", [mishaps.never_answers(), mishaps.never_finishes()], ids=["never", "half"])
def test_silence(http: httpx.Client, openai_upstream: FakeOpenAI, behaviour: Behaviour) -> None:
    """An upstream that falls silent is given up when the request's time is, and its connection is closed."""
    openai_upstream.behave(behaviour)
    answer = embed(http, timeout_ms=3000)

    assert (TIMEOUT, True) == (
        shape(answer),
        openai_upstream.wait_until(lambda: len(openai_upstream.abandoned) == 1),
    )


def test_huge_answer(http: httpx.Client, gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """A gigabyte is not read to its end."""
    openai_upstream.behave(mishaps.huge_body(2**30))
    answer = embed(http)

    assert (BROKEN, True) == (shape(answer), openai_upstream.bytes_sent < 30 * 2**20)


def test_gzip_bomb_is_bounded(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A compressed answer is measured by what it unpacks to."""
    bomb = gzip.compress(b" " * 2**27)
    openai_upstream.behave(mishaps.answers(200, bomb, {"content-encoding": "gzip"}))

    assert BROKEN == shape(embed(http))


def test_damaged_gzip(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """An answer that cannot be unpacked is a wrong answer."""
    openai_upstream.behave(mishaps.answers(200, b"no gzip", {"content-encoding": "gzip"}))

    assert BROKEN == shape(embed(http))


@pytest.mark.parametrize(
    "behaviour",
    [
        mishaps.shuffled(),
        mishaps.leading_whitespace(),
        mishaps.gzipped(),
        mishaps.ignored_encoding("float"),
        mishaps.ignored_encoding("base64"),
        mishaps.set_cookie(),
    ],
    ids=["shuffled", "whitespace", "gzip", "float", "base64", "cookie"],
)
@pytest.mark.parametrize("model", [SMALL, "small-floats"])
def test_odd_but_right(http: httpx.Client, openai_upstream: FakeOpenAI, model: str, behaviour: Behaviour) -> None:
    """What is unusual and yet complete is put in order."""
    openai_upstream.behave(behaviour)

    assert is_right(embed(http, model))


def test_cookies_are_not_kept(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """An upstream's cookie is not sent back, as it would tie tenants together."""
    openai_upstream.behave(mishaps.set_cookie())
    embed(http)
    embed(http)

    assert "cookie" not in openai_upstream.requests[1].headers


@pytest.mark.parametrize(
    ("behaviour", "usage", "source"),
    [
        (mishaps.slow(0), 3, "reported"),
        (mishaps.no_usage(), 3, "counted"),
        (mishaps.zero_usage(), 3, "counted"),
    ],
    ids=["reported", "none", "zero"],
)
def test_usage(http: httpx.Client, openai_upstream: FakeOpenAI, behaviour: Behaviour, usage: int, source: str) -> None:
    """Usage is the upstream's own, or counted with its tokenizer, and says which."""
    openai_upstream.behave(behaviour)
    answer = embed(http)

    assert ({"prompt_tokens": usage, "total_tokens": usage}, source) == (
        answer.json()["usage"],
        answer.headers["x-embedding-usage"],
    )


def test_upstream_message_is_cleaned(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A refusal carries the upstream's reason without its keys and addresses."""
    secret = openai_upstream.api_key
    openai_upstream.behave(
        mishaps.error(400, message=f"Bad value for key {secret} at https://internal.example/v1 in field x.")
    )

    assert message(embed(http)) == (
        "The model's backend refused this request: Bad value for key [hidden] at [url] in field x."
    )


def test_wrong_credentials_are_not_the_clients(http: httpx.Client) -> None:
    """An upstream's 401 is the operator's matter, and never told as the client's."""
    answer = embed(http, "wrong-key")

    assert (BROKEN, True) == (shape(answer), "configuration" in message(answer))


def test_nobody_listens(http: httpx.Client) -> None:
    """An upstream that cannot be reached is told as unavailable."""
    assert UNAVAILABLE == shape(embed(http, "nobody-there"))


def test_no_slot(http: httpx.Client, gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """A call that finds no free slot before its deadline is refused as overloaded."""
    release = threading.Event()
    openai_upstream.behave(mishaps.held(release))
    with ThreadPoolExecutor(1) as pool, gateway.client() as other:
        first = pool.submit(embed, other, "narrow")
        assert openai_upstream.wait_until(lambda: len(openai_upstream.requests) == 1)
        second = embed(http, "narrow", timeout_ms=1000)
        release.set()
        first.result()

    assert ((503, "server_error", "overloaded"), True) == (shape(second), "retry-after" in second.headers)


@pytest.mark.parametrize(
    "behaviour",
    [
        mishaps.error(401),
        mishaps.insufficient_quota(),
        mishaps.rate_limited(retry_after="30"),
        *MISSHAPEN.values(),
    ],
    ids=["401", "quota", "throttled", *MISSHAPEN],
)
def test_next_target(http: httpx.Client, openai_upstream: FakeOpenAI, behaviour: Behaviour) -> None:
    """What one target cannot do the next one does, and the answer says who did."""
    openai_upstream.behave(behaviour)
    answer = embed(http, "two-targets")

    assert (True, "second") == (is_right(answer), answer.headers["x-embedding-target"])


def test_rejection_is_final(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """An input that one target refuses is not offered to the next."""
    openai_upstream.behave(mishaps.error(400), times=None)
    answer = embed(http, "two-targets")

    assert (400, 1) == (answer.status_code, len(openai_upstream.requests))


def test_hung_target_leaves_time(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A target that hangs does not eat the time of the next."""
    openai_upstream.behave(mishaps.never_answers())

    assert is_right(embed(http, "two-targets", timeout_ms=10_000))


def test_failed_attempts_are_logged(http: httpx.Client, gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """The request's log line tells which target failed, and how."""
    openai_upstream.behave(mishaps.error(401))
    answer = embed(http, "two-targets")

    [failed] = gateway.request_log(answer.headers["x-request-id"])["failed"]
    took = failed.pop("ms")

    assert ({"target": "first", "fault": "misconfigured", "status": 401, "items": 3}, True) == (failed, took > 0)


def test_still_up(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """After all of this the same process still answers rightly."""
    assert is_right(embed(http))
