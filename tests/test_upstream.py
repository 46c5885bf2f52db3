"""One exchange with an upstream: whole, in time, verified, or a fault."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from gateway.request_bytes import USER_AGENT
from gateway.upstream import Upstream, Via
from providers.base import Fault, FaultKind, Request, Response
from tests.fakes import mishaps
from tests.fakes.forward_proxy import ForwardProxy
from tests.fakes.openai_upstream import Behaviour, FakeOpenAI
from tests.fakes.serving import port_of, served

SECONDS = 60.0
SOON = 0.2
TIME_TO_ARRIVE = 2.0
"""For a request, however busy the machine is."""
MOST = 2**20
DIRECT = Via()
ASKED = {"model": "text-embedding-3-small", "input": ["a"], "dimensions": 2}


def request_to(fake: FakeOpenAI, **headers: str) -> Request:
    sent = {"content-type": "application/json", "authorization": f"Bearer {fake.api_key}", **headers}
    return Request("POST", f"{fake.base_url}/embeddings", sent, orjson.dumps(ASKED))


async def send(
    upstream: Upstream, request: Request, via: Via = DIRECT, within: float = SECONDS, most: int = MOST
) -> Response | Fault:
    return await upstream.send(request, via, asyncio.get_running_loop().time() + within, most)


async def is_left(fake: FakeOpenAI) -> bool:
    """Whether the connection of the last request is given up, sooner or later."""

    def gone() -> bool:
        return bool(fake.requests) and any(request is fake.requests[-1] for request in fake.abandoned)

    return await asyncio.to_thread(fake.wait_until, gone)


def kind_of(outcome: Response | Fault) -> tuple[FaultKind, str]:
    assert isinstance(outcome, Fault)
    return outcome.kind, outcome.message


def status_of(outcome: Response | Fault) -> int:
    assert isinstance(outcome, Response)
    return outcome.status


# ── a whole exchange ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_request_as_it_is(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A request arrives as it was made, with what HTTP needs and nothing else."""
    await send(upstream, request_to(openai_upstream, **{"x-team": "search"}))
    (arrived,) = openai_upstream.requests

    assert (
        orjson.dumps(ASKED),
        {
            "host": f"127.0.0.1:{openai_upstream.port}",
            "content-type": "application/json",
            "authorization": f"Bearer {openai_upstream.api_key}",
            "x-team": "search",
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",
            "content-length": str(len(arrived.raw)),
        },
    ) == (arrived.raw, arrived.headers)


async def test_whole_answer(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """An answer is handed on whole."""
    openai_upstream.behave(mishaps.answers(200, b"x" * 300_000))
    answer = await send(upstream, request_to(openai_upstream))

    assert isinstance(answer, Response)
    assert (200, b"x" * 300_000) == (answer.status, answer.body)


@pytest.mark.parametrize("status", [201, 400, 401, 404, 429, 500, 503, 529])
async def test_any_status_is_an_answer(upstream: Upstream, openai_upstream: FakeOpenAI, status: int) -> None:
    """An answer of any status is no fault here."""
    openai_upstream.behave(mishaps.answers(status))

    assert status == status_of(await send(upstream, request_to(openai_upstream)))


async def test_header_names(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """The names of an answer's headers are in lower case."""
    openai_upstream.behave(mishaps.answers(200, headers={"Retry-After-MS": "7"}))
    answer = await send(upstream, request_to(openai_upstream))

    assert isinstance(answer, Response)
    assert "7" == answer.headers["retry-after-ms"]


async def test_gzip(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A compressed answer is decompressed."""
    openai_upstream.behave(mishaps.gzipped())
    answer = await send(upstream, request_to(openai_upstream))

    assert isinstance(answer, Response)
    assert "list" == orjson.loads(answer.body)["object"]


async def test_connections_are_kept(upstream: Upstream) -> None:
    """A second request goes over the first one's connection."""
    clients: list[tuple[str, int]] = []

    async def app(scope: Scope, receive: Receive, reply: Send) -> None:
        clients.append(scope["client"])
        await reply({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await reply({"type": "http.response.body"})

    with served(app) as server:
        for _ in range(2):
            await send(upstream, Request("POST", f"http://127.0.0.1:{port_of(server)}/", {}, b""))

    assert (2, 1) == (len(clients), len(set(clients)))


async def test_connections_are_not_limited(upstream: Upstream) -> None:
    """As many requests as anyone sends are under way at the same time."""
    everyone = asyncio.Barrier(120)

    async def app(scope: Scope, receive: Receive, reply: Send) -> None:
        await everyone.wait()
        await reply({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await reply({"type": "http.response.body"})

    with served(app) as server:
        request = Request("POST", f"http://127.0.0.1:{port_of(server)}/", {}, b"")
        answers = await asyncio.gather(*(send(upstream, request) for _ in range(120)))

    assert [200] * 120 == [status_of(answer) for answer in answers]


async def test_pools_are_shared(upstream: Upstream) -> None:
    """Targets that are reached alike share a pool, others do not."""
    alike = upstream.pool(Via()) is upstream.pool(Via())

    assert (True, True) == (alike, upstream.pool(Via()) is not upstream.pool(Via(proxy="http://127.0.0.1:9")))


# ── what it refuses to do ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(upstream: Upstream, openai_upstream: FakeOpenAI, status: int) -> None:
    """A redirect is an answer, which nobody follows."""
    openai_upstream.behave(mishaps.redirect(f"{openai_upstream.base_url}/embeddings", status))
    answer = await send(upstream, request_to(openai_upstream))

    assert (status, 1) == (status_of(answer), len(openai_upstream.requests))


async def test_cookies_are_not_kept(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A cookie that an upstream sets does not come back to it."""
    openai_upstream.behave(mishaps.set_cookie())
    for _ in range(2):
        await send(upstream, request_to(openai_upstream))

    assert [None, None] == [request.headers.get("cookie") for request in openai_upstream.requests]


async def test_oversized_answer(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """An answer without end is given up."""
    openai_upstream.behave(mishaps.huge_body(None))
    outcome = await send(upstream, request_to(openai_upstream))

    assert (FaultKind.MALFORMED, "its answer is larger than any right one") == kind_of(outcome)


async def test_oversized_answer_is_left(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """The connection of an answer without end is closed."""
    openai_upstream.behave(mishaps.huge_body(None))
    await send(upstream, request_to(openai_upstream))

    assert await is_left(openai_upstream)


@pytest.mark.parametrize(("most", "expected"), [(1000, Response), (999, Fault)])
async def test_largest_answer(
    upstream: Upstream, openai_upstream: FakeOpenAI, most: int, expected: type[Response | Fault]
) -> None:
    """An answer may reach the limit, not pass it."""
    openai_upstream.behave(mishaps.answers(200, b"x" * 1000))

    assert expected is type(await send(upstream, request_to(openai_upstream), most=most))


async def test_oversized_once_decompressed(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """The limit is for the decompressed answer."""
    openai_upstream.behave(mishaps.answers(200, gzip.compress(bytes(2 * MOST)), {"content-encoding": "gzip"}))
    outcome = await send(upstream, request_to(openai_upstream))

    assert (FaultKind.MALFORMED, "its answer is larger than any right one") == kind_of(outcome)


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mishap", [mishaps.never_answers, mishaps.never_finishes])
async def test_deadline(upstream: Upstream, openai_upstream: FakeOpenAI, mishap: Callable[[], Behaviour]) -> None:
    """An upstream that is not done by the deadline timed out."""
    openai_upstream.behave(mishap())
    outcome = await send(upstream, request_to(openai_upstream), within=SOON)

    assert (FaultKind.TIMEOUT, "it did not answer in time") == kind_of(outcome)


async def test_deadline_is_on_the_clock(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A deadline is neither cut short nor overrun by much."""
    openai_upstream.behave(mishaps.never_answers())
    begun = asyncio.get_running_loop().time()
    await send(upstream, request_to(openai_upstream), within=SOON)

    assert SOON <= asyncio.get_running_loop().time() - begun < SOON + SECONDS / 2


async def test_upstream_is_left_at_the_deadline(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """When the deadline comes, the connection is closed."""
    openai_upstream.behave(mishaps.never_answers())
    await send(upstream, request_to(openai_upstream), within=TIME_TO_ARRIVE)

    assert await is_left(openai_upstream)


async def test_deadline_that_is_over(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A deadline that is over leaves no time to connect."""
    outcome = await send(upstream, request_to(openai_upstream), within=-1)

    assert (FaultKind.TIMEOUT, "it did not answer in time") == kind_of(outcome)


async def test_cancelled(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A client that hangs up takes its upstream call along."""
    openai_upstream.behave(mishaps.never_answers())
    sending = asyncio.create_task(send(upstream, request_to(openai_upstream)))
    assert await asyncio.to_thread(openai_upstream.wait_until, lambda: len(openai_upstream.requests) == 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert await is_left(openai_upstream)


# ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mishap", [mishaps.cut_connection, mishaps.closed_unanswered])
async def test_cut_connection(upstream: Upstream, openai_upstream: FakeOpenAI, mishap: Callable[[], Behaviour]) -> None:
    """An upstream that closes the connection before its answer is whole is overloaded."""
    openai_upstream.behave(mishap())
    outcome = await send(upstream, request_to(openai_upstream))

    assert (FaultKind.OVERLOADED, "it closed the connection before the answer was whole") == kind_of(outcome)


async def test_nobody_there(upstream: Upstream) -> None:
    """An address where nobody listens is overloaded."""
    outcome = await send(upstream, Request("POST", "http://127.0.0.1:9/v1", {}, b""))

    assert (FaultKind.OVERLOADED, "no connection could be made") == kind_of(outcome)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/v1", "127.0.0.1/v1", "http://host:port/v1", "http://a\0b/v1"])
async def test_bad_url(upstream: Upstream, url: str) -> None:
    """A URL that cannot be used is our misconfiguration."""
    outcome = await send(upstream, Request("POST", url, {}, b""))

    assert (FaultKind.MISCONFIGURED, "its URL cannot be used") == kind_of(outcome)


async def test_bad_header(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A header that cannot be sent is our misconfiguration."""
    outcome = await send(upstream, request_to(openai_upstream, **{"x-note": "one\r\nx-two: 2"}))

    assert (FaultKind.MISCONFIGURED, "its URL or headers cannot be sent") == kind_of(outcome)


async def test_not_gzip(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """An answer that is not compressed as it says is malformed."""
    openai_upstream.behave(mishaps.answers(200, b"plain", {"content-encoding": "gzip"}))
    outcome = await send(upstream, request_to(openai_upstream))

    assert (FaultKind.MALFORMED, "its answer could not be decompressed") == kind_of(outcome)


async def test_after_a_fault(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """After a broken connection the next request is answered."""
    openai_upstream.behave(mishaps.cut_connection())
    await send(upstream, request_to(openai_upstream))

    assert 200 == status_of(await send(upstream, request_to(openai_upstream)))


# ── TLS ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_own_authority(upstream: Upstream, secure: FakeOpenAI) -> None:
    """A certificate of the target's own authority is trusted."""
    outcome = await send(upstream, request_to(secure), Via(ca_file=str(secure.ca_file)))

    assert 200 == status_of(outcome)


async def test_unknown_authority(upstream: Upstream, secure: FakeOpenAI) -> None:
    """A certificate of an unknown authority is refused before anything is sent."""
    secure.clear()
    outcome = await send(upstream, request_to(secure))

    assert ((FaultKind.OVERLOADED, "no connection could be made"), []) == (kind_of(outcome), secure.requests)


async def test_authority_of_the_platform(
    upstream: Upstream, secure: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of an authority that the platform names is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.ca_file))

    assert 200 == status_of(await send(upstream, request_to(secure)))


async def test_another_name(upstream: Upstream, secure: FakeOpenAI) -> None:
    """A certificate for another name is refused."""
    request = request_to(secure)
    alike = request.url.replace("127.0.0.1", "127.1")  # the same address, by a name that the certificate has not
    outcome = await send(
        upstream, Request("POST", alike, request.headers, request.body), Via(ca_file=str(secure.ca_file))
    )

    assert (FaultKind.OVERLOADED, "no connection could be made") == kind_of(outcome)


@pytest.mark.parametrize("contents", [None, "", "no certificate"], ids=["missing", "empty", "words"])
def test_bad_authority_file(tmp_path: Path, contents: str | None) -> None:
    """A file that holds no certificates is refused when the pool is made."""
    path = tmp_path / "ca.pem"
    if contents is not None:
        path.write_text(contents)

    with pytest.raises(OSError, match=r".+"):
        Upstream().pool(Via(ca_file=str(path)))


# ── proxies ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_proxy(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A target's proxy is asked for the whole URL."""
    with ForwardProxy() as proxy:
        outcome = await send(upstream, request_to(openai_upstream), Via(proxy=proxy.url))

    assert (200, [f"{openai_upstream.base_url}/embeddings"]) == (status_of(outcome), proxy.seen)


async def test_proxy_tunnel(upstream: Upstream, secure: FakeOpenAI) -> None:
    """A proxy is asked for a tunnel to a target with TLS, whose certificate is verified through it."""
    with ForwardProxy() as proxy:
        outcome = await send(upstream, request_to(secure), Via(proxy.url, str(secure.ca_file)))

    assert (200, [f"127.0.0.1:{secure.port}"]) == (status_of(outcome), proxy.seen)


async def test_tunnel_to_nobody(upstream: Upstream) -> None:
    """A proxy that gets no connection is overloaded."""
    with ForwardProxy() as proxy:
        outcome = await send(upstream, Request("POST", "https://127.0.0.1:9/v1", {}, b""), Via(proxy.url))

    assert (FaultKind.OVERLOADED, "the proxy made no connection") == kind_of(outcome)


async def test_environment_is_not_asked(
    upstream: Upstream, openai_upstream: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies of the environment are for the configuration to read."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert 200 == status_of(await send(upstream, request_to(openai_upstream)))
