"""Tokens are fetched once, kept until shortly before they expire, and fetched anew for all who wait."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials import BearerToken, Signature
from providers import aws_signature, token_grants
from providers.aws_signature import AwsKeys
from providers.base import Fault, FaultKind, Request, Response
from tests.fakes.clock import FakeTime, settle

REQUEST = Request("POST", "https://h/v1", {"accept": "application/json"}, b"{}")
GRANT = token_grants.ibm("S3cret-key", "https://user.example/token")
LIFETIME = 3600.0
FAR = 1e9
"""A deadline that no test reaches."""


def refusal(status: int = 503, retry_after: float | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Response(status, headers, b'{"error": "S3cret-key is not the one"}')


class Endpoint:
    """A token endpoint: hands out t1, t2, … or what is lined up, to those who may pass."""

    def __init__(self, time: FakeTime, lifetime: float = LIFETIME) -> None:
        self.asked: list[tuple[Request, float]] = []
        self.coming: list[Response | Fault | Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self.takes = 0.0
        self._time = time
        self._lifetime = lifetime

    async def __call__(self, request: Request, deadline: float) -> Response | Fault:
        self.asked.append((request, deadline))
        await self.open.wait()
        self._time.now += self.takes
        if self.coming:
            outcome = self.coming.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        token = {"access_token": f"t{len(self.asked)}", "expires_in": self._lifetime}
        return Response(200, {}, json.dumps(token).encode())


class Desk:
    """A token, its endpoint and their clock."""

    def __init__(self, lifetime: float = LIFETIME) -> None:
        self.time = FakeTime()
        self.endpoint = Endpoint(self.time, lifetime)
        self.token = BearerToken(GRANT, self.endpoint, self.time.clock, lambda: 0.0)

    async def outcome(self, deadline: float = FAR) -> str | Fault:
        """The token that a request is sent with now, or why it is not."""
        made = await self.token.authorized(REQUEST, deadline)
        return made if isinstance(made, Fault) else made.headers["authorization"].removeprefix("Bearer ")

    async def kind(self) -> FaultKind | None:
        outcome = await self.outcome()
        return outcome.kind if isinstance(outcome, Fault) else None

    async def after(self, seconds: float) -> str | Fault:
        """The same so many seconds later, when everything has settled."""
        self.time.now += seconds
        outcome = await self.outcome()
        await settle()
        return outcome

    @property
    def exchanges(self) -> int:
        return len(self.endpoint.asked)


# ── fetched once ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_request() -> None:
    """A request goes out as it was built, with the token as its authorization."""
    expected = dataclasses.replace(REQUEST, headers={**REQUEST.headers, "authorization": "Bearer t1"})

    assert expected == await Desk().token.authorized(REQUEST, FAR)


async def test_exchange() -> None:
    """The token endpoint is sent the grant's request, and has ten seconds."""
    desk = Desk()
    await desk.outcome()

    assert [(GRANT.request(0.0), desk.time.now + 10)] == desk.endpoint.asked


async def test_at_once() -> None:
    """A hundred callers share one exchange."""
    desk = Desk()
    outcomes = await asyncio.gather(*(desk.outcome() for _ in range(100)))

    assert (["t1"] * 100, 1) == (outcomes, desk.exchanges)


async def test_hanging_up() -> None:
    """When the caller who began the exchange hangs up, the others get its token all the same."""
    desk = Desk()
    desk.endpoint.open.clear()
    first, *others = [asyncio.create_task(desk.outcome()) for _ in range(3)]
    await settle()
    first.cancel()
    await asyncio.wait([first])
    desk.endpoint.open.set()

    assert (["t1", "t1"], 1, True) == (await asyncio.gather(*others), desk.exchanges, first.cancelled())


async def test_nobody_left() -> None:
    """When all have hung up, the next caller gets what was asked for in vain."""
    desk = Desk()
    desk.endpoint.open.clear()
    task = asyncio.create_task(desk.outcome())
    await settle()
    task.cancel()
    await asyncio.wait([task])
    desk.endpoint.open.set()
    await settle()

    assert ("t1", 1) == (await desk.outcome(), desk.exchanges)


async def test_deadline() -> None:
    """Each waits no longer than their own deadline, and ends nobody else's wait."""
    desk = Desk()
    desk.endpoint.open.clear()
    patient = asyncio.create_task(desk.outcome())
    outcome = await desk.outcome(deadline=desk.time.now + 0.001)
    desk.endpoint.open.set()

    assert Fault(FaultKind.TIMEOUT, "its token endpoint did not answer in time") == outcome
    assert ("t1", 1) == (await patient, desk.exchanges)


# ── kept until it expires ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lifetime", "later", "exchanges"),
    [
        (3600, 0, 1),
        (3600, 3299, 1),
        (3600, 3300, 2),
        (36_000, 35_699, 1),
        (36_000, 35_700, 2),
        (100, 89, 1),
        (100, 90, 2),
    ],
)
async def test_renewal(lifetime: float, later: float, exchanges: int) -> None:
    """A token is renewed five minutes before it expires, or a tenth of its lifetime where that is less."""
    desk = Desk(lifetime)
    await desk.outcome()
    await desk.after(later)

    assert exchanges == desk.exchanges


async def test_nobody_waits_for_a_renewal() -> None:
    """While a token is renewed, it is still handed out; then the new one is."""
    desk = Desk()
    await desk.outcome()
    desk.endpoint.open.clear()
    during = [await desk.after(3300), await desk.after(1)]
    desk.endpoint.open.set()
    await settle()

    assert (["t1", "t1"], "t2", 2) == (during, await desk.outcome(), desk.exchanges)


async def test_expired() -> None:
    """For a token that has expired meanwhile, a new one is waited for."""
    desk = Desk()
    await desk.outcome()

    assert ("t2", 2) == (await desk.after(3600), desk.exchanges)


async def test_time_of_the_exchange() -> None:
    """A token's lifetime counts from when it was asked for."""
    desk = Desk(lifetime=100)
    desk.endpoint.takes = 60
    first = await desk.outcome()

    assert ("t1", "t2") == (first, await desk.after(40))


async def test_late() -> None:
    """A token that has expired when it comes is nobody's."""
    desk = Desk(lifetime=60)
    desk.endpoint.takes = 60
    expected = Fault(FaultKind.OVERLOADED, "its token endpoint gave a token that had expired when it came")

    assert expected == await desk.outcome()


# ── failures ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (refusal(401), Fault(FaultKind.MISCONFIGURED, "its token endpoint answered with status 401", 401, 1.0)),
        (refusal(503), Fault(FaultKind.OVERLOADED, "its token endpoint answered with status 503", 503, 1.0)),
        (
            Response(200, {}, b"{"),
            Fault(FaultKind.MALFORMED, "the answer of its token endpoint is not JSON", 200, 1.0),
        ),
        (Fault(FaultKind.OVERLOADED, "no connection"), Fault(FaultKind.OVERLOADED, "no connection", None, 1.0)),
        (Fault(FaultKind.TIMEOUT, "too late"), Fault(FaultKind.TIMEOUT, "too late", None, 1.0)),
    ],
    ids=["refused", "out of order", "no token", "unreachable", "timeout"],
)
async def test_failure(given: Response | Fault, expected: Fault) -> None:
    """All who wait for an exchange that fails get its fault, with the time to wait."""
    desk = Desk()
    desk.endpoint.coming = [given]

    assert [expected, expected] == list(await asyncio.gather(desk.outcome(), desk.outcome()))


async def test_pause() -> None:
    """After a failure the endpoint is left alone for a second, and callers are told how much of it remains."""
    desk = Desk()
    desk.endpoint.coming = [refusal()]
    await desk.outcome()
    outcome = await desk.after(0.75)
    exchanges = desk.exchanges

    assert Fault(FaultKind.OVERLOADED, "its token endpoint answered with status 503", 503, 0.25) == outcome
    assert (1, "t2") == (exchanges, await desk.after(0.25))


@pytest.mark.parametrize(
    ("asked", "pauses"),
    [
        (None, [1, 2, 4, 8, 16, 30, 30]),
        (3.0, [3, 3, 4, 8, 16, 30, 30]),
        (86_400.0, [300] * 7),
    ],
)
async def test_longer_pauses(asked: float | None, pauses: list[float]) -> None:
    """The pause doubles with each failure to half a minute; one that the endpoint asks for is kept to five."""
    desk = Desk()
    desk.endpoint.coming = [refusal(retry_after=asked)] * 7
    outcomes = [await desk.after(pause) for pause in [0, *pauses[:-1]]]

    assert pauses == [outcome.retry_after for outcome in outcomes if isinstance(outcome, Fault)]


async def test_success_forgets_failures() -> None:
    """After a success the first pause is a short one again."""
    desk = Desk(lifetime=100)
    desk.endpoint.coming = [refusal(), refusal()]
    outcomes = [await desk.after(seconds) for seconds in (0, 1, 2)]
    desk.endpoint.coming = [refusal()]
    failed = await desk.after(100)

    assert ("t3", 1.0) == (outcomes[-1], failed.retry_after if isinstance(failed, Fault) else None)


async def test_failing_renewal() -> None:
    """A token that cannot be renewed is handed out until it expires, and renewed when that is possible again."""
    desk = Desk(lifetime=100)
    await desk.outcome()
    desk.endpoint.coming = [refusal()] * 4
    before = [await desk.after(seconds) for seconds in (90, 1, 2, 4)]
    kind = (await desk.after(3), await desk.kind())[1]

    assert (["t1"] * 4, FaultKind.OVERLOADED, "t6") == (before, kind, await desk.after(5))


async def test_mistake() -> None:
    """What should never happen reaches everybody who waits, and nobody who comes later."""
    desk = Desk()
    desk.endpoint.coming = [ZeroDivisionError()]
    outcomes = await asyncio.gather(desk.outcome(), desk.outcome(), return_exceptions=True)

    assert [True, True] == [isinstance(outcome, ZeroDivisionError) for outcome in outcomes]
    assert "t2" == await desk.outcome()


async def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """A failed exchange is logged once, with where and why, and without what was said."""
    caplog.set_level(logging.DEBUG)
    desk = Desk()
    desk.endpoint.coming = [refusal(401)]
    await asyncio.gather(desk.outcome(), desk.outcome())
    fields = [record.__dict__["fields"] for record in caplog.records if record.name == "gateway"]

    assert [{"endpoint": "user.example", "fault": "misconfigured", "status": 401}] == fields
    assert "S3cret" not in caplog.text


# ── a refused token ───────────────────────────────────────────────────────────────────────────────────────────────


async def authorized(desk: Desk) -> Request:
    request = await desk.token.authorized(REQUEST, FAR)
    assert isinstance(request, Request)
    return request


async def test_refused() -> None:
    """A token that an upstream refuses is given up for another."""
    desk = Desk()
    again = desk.token.refused(await authorized(desk))

    assert (True, "t2") == (again, await desk.outcome())


async def test_refused_to_many() -> None:
    """When many are refused with one token, one exchange serves them all."""
    desk = Desk()
    requests = [await authorized(desk) for _ in range(10)]
    again = []
    for request in requests:
        again.append(desk.token.refused(request))
        await desk.outcome()

    assert ([True] * 10, 2) == (again, desk.exchanges)


@pytest.mark.parametrize(("later", "again"), [(0, False), (9.9, False), (10, True)])
async def test_refused_every_time(later: float, again: bool) -> None:
    """An upstream that refuses the new token, too, gets another one only after ten seconds."""
    desk = Desk()
    desk.token.refused(await authorized(desk))
    request = await authorized(desk)
    desk.time.now += later

    assert (again, f"t{2 + again}") == (desk.token.refused(request), await desk.outcome())


# ── the promise ───────────────────────────────────────────────────────────────────────────────────────────────────

outcomes = st.one_of(
    st.floats(0.5, 500).map(lambda lifetime: ("token", lifetime)),
    st.sampled_from([401, 429, 500, 503]).map(lambda status: ("refusal", status)),
)


@given(
    st.lists(st.tuples(st.floats(0, 400), st.floats(0, 20), outcomes, st.booleans()), min_size=1, max_size=25),
)
def test_no_expired_token(steps: list[tuple[float, float, tuple[str, float], bool]]) -> None:
    """Whatever endpoint and upstreams do, no token is handed out that has expired."""

    async def run() -> list[tuple[float, float]]:
        time = FakeTime()
        ends: dict[str, float] = {}
        handed: list[tuple[float, float]] = []
        coming: list[tuple[float, tuple[str, float]]] = []

        async def fetch(request: Request, deadline: float) -> Response:
            takes, (what, number) = coming[-1]
            value, issued = f"t{len(ends)}", time.now
            time.now += takes
            if what == "refusal":
                return refusal(int(number))
            ends[value] = issued + number
            return Response(200, {}, json.dumps({"access_token": value, "expires_in": number}).encode())

        token = BearerToken(GRANT, fetch, time.clock, time.clock)
        for pause, takes, outcome, refused in steps:
            time.now += pause
            coming.append((takes, outcome))
            made = await token.authorized(REQUEST, FAR)
            if isinstance(made, Request):
                handed.append((time.now, ends[made.headers["authorization"].removeprefix("Bearer ")]))
                if refused:
                    token.refused(made)
            await settle()
        return handed

    assert all(now < end for now, end in asyncio.run(run()))


# ── without tokens ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("keys", "secrets"),
    [
        (AwsKeys("AKID", "S3cret"), ("AKID", "S3cret")),
        (AwsKeys("AKID", "S3cret", "T0ken"), ("AKID", "S3cret", "T0ken")),
    ],
)
async def test_signature(keys: AwsKeys, secrets: tuple[str, ...]) -> None:
    """A signature is made at the moment of sending, and a refused one would be refused again."""
    now = iter((1e9, 2e9))
    credentials = Signature(keys, "eu-west-1", lambda: next(now))
    first, second = [await credentials.authorized(REQUEST, FAR) for _ in range(2)]

    assert aws_signature.signer(keys, "eu-west-1")(REQUEST, 1e9) == first
    assert aws_signature.signer(keys, "eu-west-1")(REQUEST, 2e9) == second
    assert (False, secrets) == (credentials.refused(second), tuple(credentials.secrets))


async def test_token_hides() -> None:
    """The token that is kept does not show itself."""
    desk = Desk()
    await desk.outcome()

    assert ("t1" in repr(desk.token._held), True) == (False, desk.token._held is not None)
