"""Logging in to the console through an identity provider: a real gateway, a strict provider, and attackers."""

from __future__ import annotations

import itertools
import pathlib
import time
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest

from gateway import id_tokens
from gateway.auth import Refused
from gateway.claims import Issuer
from gateway.code_flow import LARGEST_ANSWER
from gateway.console.rendering import HEADERS
from gateway.failures import A_MINUTE
from gateway.id_tokens import OpenIdClient, Operator
from tests.fakes.issuer import private_key, reply
from tests.fakes.openid_provider import CODE_SECONDS, Client, FakeProvider
from tests.gateway_process import GatewayProcess

ADMIN_KEY = "correct-horse-battery-staple"
REDIRECT = "https://gateway.example.com/admin/ui/login/oidc"
SECRET = "a secret: with 100% of +/ in it"
ROOT = "/admin/ui"
SESSION, LOGIN = "gateway-console", "gateway-console-login"
OPERATOR = {"sub": "248289761001", "email": "ada@example.com", "groups": ["staff", "gateway-admins"]}
ADDRESSES = (f"203.0.113.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    clients = {"con sole": Client(REDIRECT, SECRET), "public": Client(REDIRECT), "other": Client("https://o.example/")}
    with FakeProvider(clients, first="RS256", second="RS256") as fake:
        yield fake


@pytest.fixture(autouse=True)
def honest(provider: FakeProvider) -> None:
    provider.person, provider.forged, provider.denied = dict(OPERATOR), None, False


def access(provider: FakeProvider, client: str) -> str:
    return f"""
        admin_key: {ADMIN_KEY}
        console:
          issuer: {provider.name}
          {client}
          authorization_url: {provider.root_url}/authorize
          token_url: {provider.root_url}/token
          jwks_url: {provider.jwks_url}
          redirect_url: {REDIRECT}
          scopes: [openid, email]
          values: [gateway-admins]
          label: Example & Sons
    """


MODELS = "small: {normalize: true, targets: [{provider: static, path: wordllama}]}"
BEHIND = "trusted_proxies: [127.0.0.0/8]"


@pytest.fixture(scope="module")
def running(provider: FakeProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "client").write_text(f"{SECRET}\n")
    text = access(provider, "client_id: con sole\n          client_secret_file: client")
    with GatewayProcess(folder, MODELS, access=text, server=BEHIND) as process:
        yield process


class Browser:
    """Keeps the gateway's cookies, and follows nothing by itself; the balancer's name leads to the gateway."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        http.headers["x-forwarded-for"] = next(ADDRESSES)

    def start(self, after: str = "keys") -> str:
        """The address that the browser is sent to."""
        answer = self.http.get(f"{ROOT}/login/oidc/start", params={"next": after})
        assert answer.status_code == 303
        return answer.headers["location"]

    def permitted(self, address: str) -> str:
        """Where the provider sends the browser back to."""
        answer = httpx.get(address, trust_env=False)
        assert answer.status_code == 302
        return str(answer.headers["location"])

    def come_back(self, address: str) -> httpx.Response:
        parts = urllib.parse.urlsplit(address)
        return self.http.get(f"{parts.path}?{parts.query}")

    def log_in(self, after: str = "keys") -> httpx.Response:
        return self.come_back(self.permitted(self.start(after)))

    @property
    def is_in(self) -> bool:
        return self.http.get(f"{ROOT}/keys").status_code == 200


@pytest.fixture(name="browser")
def _browser(running: GatewayProcess) -> Iterator[Browser]:
    with running.client(None, follow_redirects=False) as http:
        yield Browser(http)


def with_query(address: str, **changes: str | None) -> str:
    parts = urllib.parse.urlsplit(address)
    query = {**dict(urllib.parse.parse_qsl(parts.query)), **changes}
    return parts._replace(query=urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})).geturl()


def refused(browser: Browser, answer: httpx.Response, why: str, status: int = 401) -> None:
    assert (answer.status_code, why in answer.text) == (status, True), answer.text
    assert not browser.is_in
    assert LOGIN not in browser.http.cookies


def test_operator(browser: Browser) -> None:
    """An operator goes from the login page to the provider and back, and is led on to the page that was wanted."""
    shown = browser.http.get(f"{ROOT}/login?next=usage%3Fdays%3D7").text
    assert 'href="/admin/ui/login/oidc/start?next=usage%3Fdays%3D7">Log in with Example &amp; Sons</a>' in shown

    answer = browser.log_in("usage?days=7")

    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/admin/ui/usage?days=7">' in answer.text
    assert dict(answer.headers).items() >= HEADERS.items()
    assert "Logged in with ada@example.com" in browser.http.get(f"{ROOT}/keys").text


def test_cookies(browser: Browser) -> None:
    """The login's cookie comes along from another site and soon ends; the session's never comes along from one."""
    begun = browser.http.get(f"{ROOT}/login/oidc/start", headers={"x-forwarded-proto": "https"})
    assert begun.headers["set-cookie"].startswith(f"__Host-{LOGIN}=")
    assert begun.headers["set-cookie"].endswith("; HttpOnly; Max-Age=600; Path=/; SameSite=lax; Secure")

    login, session = sorted(browser.log_in().headers.get_list("set-cookie"), key=len)
    assert login.startswith(f'{LOGIN}="";')
    assert "; Max-Age=0;" in login
    assert session.startswith(f"{SESSION}=")
    assert session.endswith("; HttpOnly; Max-Age=28800; Path=/; SameSite=strict")


def test_public_client(provider: FakeProvider, tmp_path: pathlib.Path) -> None:
    """A client without a secret names itself, and proves with PKCE that it has begun the login."""
    with (
        GatewayProcess(tmp_path, MODELS, access=access(provider, "client_id: public"), server=BEHIND) as process,
        process.client(None, follow_redirects=False) as http,
    ):
        browser = Browser(http)

        assert (browser.log_in().status_code, browser.is_in) == (200, True)


def test_no_token_of_clients(browser: Browser, provider: FakeProvider) -> None:
    """An ID token for the console is no key to the gateway's models."""
    token = provider.token("first", aud="con sole")

    assert browser.http.get("/v1/models", headers={"authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ({"groups": ["staff"]}, "the claim `groups` of the ID token holds none of the values"),
        ({"groups": None}, "the claim `groups` of the ID token is missing"),
        ({"groups": "gateway-admins-of-another"}, "holds none of the values"),
        ({"groups": {"gateway-admins": True}}, "holds none of the values"),
        ({"groups": [["gateway-admins"], 1]}, "holds none of the values"),
    ],
)
def test_no_operator(browser: Browser, provider: FakeProvider, person: dict[str, Any], why: str) -> None:
    """Somebody else whom the provider knows is told by name what is missing."""
    provider.person.update(person)

    refused(browser, browser.log_in(), why, 403)


def hostile(provider: FakeProvider) -> dict[str, tuple[Callable[[dict[str, Any]], Any], str]]:
    def changed(**changes: Any) -> Callable[[dict[str, Any]], str]:
        return lambda claims: provider.token("first", **{**claims, **changes})  # a claim of None is left out

    def signed(key: Any, algorithm: str, key_id: str = "first") -> Callable[[dict[str, Any]], str]:
        return lambda claims: jwt.encode(claims, key, algorithm, {"kid": key_id})

    public = provider.jwks()["keys"][0]["n"]
    now = int(time.time())
    return {
        "another nonce": (changed(nonce="x" * 43), "`nonce`"),
        "no nonce": (changed(nonce=None), "`nonce`"),
        "another audience": (changed(aud="other"), "`aud`"),
        "no audience": (changed(aud=None), "`aud`"),
        "several audiences": (changed(aud=["con sole", "other"]), "`azp`"),
        "of another client": (changed(aud=["con sole", "other"], azp="other"), "`azp`"),
        "azp of another": (changed(azp="other"), "`azp`"),
        "another issuer": (changed(iss="https://evil.example/"), "`iss`"),
        "expired": (changed(exp=now - 60), "expired"),
        "endless": (changed(exp=None), "`exp`"),
        "of no time": (changed(iat=None), "`iat`"),
        "of the future": (changed(iat=now + 600), "`iat`"),
        "nobody": (changed(sub=None), "`sub`"),
        "another key": (signed(private_key("RS256", 7), "RS256"), "signature is wrong"),
        "unknown key": (signed(private_key("RS256", 7), "RS256", "third"), "no such key"),
        "unsigned": (signed(None, "none"), "`alg`"),
        "signed with what is public": (signed(public.encode(), "HS256"), "`alg`"),
        "signed with the client's secret": (signed(SECRET.encode() * 2, "HS256"), "`alg`"),
        "no token": (lambda claims: None, "no ID token"),
        "no text": (lambda claims: claims, "no ID token"),
    }


ATTACKS = [
    *("another nonce", "no nonce", "another audience", "no audience", "several audiences", "of another client"),
    *("azp of another", "another issuer", "expired", "endless", "of no time", "of the future", "nobody"),
    *("another key", "unknown key", "unsigned", "signed with what is public", "signed with the client's secret"),
    *("no token", "no text"),
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_tokens(browser: Browser, provider: FakeProvider, attack: str) -> None:
    """An ID token that is not wholly right logs nobody in, and the page says why."""
    provider.forged, why = hostile(provider)[attack]

    refused(browser, browser.log_in(), why)


def test_every_attack_is_tried(provider: FakeProvider) -> None:
    """The list of attacks is whole."""
    assert list(hostile(provider)) == ATTACKS


def test_several_audiences(browser: Browser, provider: FakeProvider) -> None:
    """A token for several is taken where it says that it was given to the console."""
    provider.person.update(aud=["other", "con sole"], azp="con sole", groups="gateway-admins", email=None)

    assert browser.log_in().status_code == 200
    assert f"Logged in with {OPERATOR['sub']}" in browser.http.get(f"{ROOT}/keys").text


@pytest.mark.parametrize("state", ["x" * 43, "", None, "ü"])
def test_wrong_state(browser: Browser, provider: FakeProvider, state: str | None) -> None:
    """An answer to another login is refused before anything is asked of the provider."""
    before = provider.exchanges
    address = with_query(browser.permitted(browser.start()), state=state)

    refused(browser, browser.come_back(address), "answer is to another login")
    assert provider.exchanges == before


def test_login_of_another_browser(browser: Browser, running: GatewayProcess) -> None:
    """An attacker's answer, given to somebody else's browser, does not log that one in as the attacker."""
    address = browser.permitted(browser.start())
    with running.client(None, follow_redirects=False) as http:
        victim = Browser(http)
        refused(victim, victim.come_back(address), "not begun in this browser")
        victim.start()
        refused(victim, victim.come_back(address), "answer is to another login")


def test_mix_up(browser: Browser) -> None:
    """An answer that says to be of another provider is refused: RFC 9207."""
    address = with_query(browser.permitted(browser.start()), iss="https://evil.example/")

    refused(browser, browser.come_back(address), "another identity provider")


def test_replay(browser: Browser, provider: FakeProvider) -> None:
    """A login counts once: neither the answer alone, nor with its cookie, nor with a new code, begins a session."""
    address = browser.permitted(begun := browser.start())
    cookie = browser.http.cookies[LOGIN]
    assert browser.come_back(address).status_code == 200

    browser.http.cookies.clear()
    refused(browser, browser.come_back(address), "not begun in this browser")
    for again, why in [(address, "`invalid_grant`"), (browser.permitted(begun), "used already")]:
        browser.http.cookies.set(LOGIN, cookie, "127.0.0.1")
        answer = browser.come_back(again)
        browser.http.cookies.clear()
        refused(browser, answer, why)


def test_code_of_another(browser: Browser, provider: FakeProvider) -> None:
    """A code that was given to another client, for another login, or too long ago buys nothing."""
    address = browser.permitted(browser.start())
    asked = browser.start()
    other = browser.permitted(with_query(asked, client_id="other", redirect_uri="https://o.example/"))
    for code in (
        dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(found).query))["code"] for found in (other, address)
    ):
        back = browser.permitted(browser.start())
        refused(browser, browser.come_back(with_query(back, code=code)), "`invalid_grant`")
    back = browser.permitted(browser.start())
    provider.now += CODE_SECONDS
    refused(browser, browser.come_back(back), "`invalid_grant`")


def test_forged_cookie(browser: Browser) -> None:
    """The login's cookie is the gateway's own, and a session's is none."""
    address = browser.permitted(browser.start())
    cookie = browser.http.cookies[LOGIN]
    assert browser.come_back(address).status_code == 200
    session = browser.http.cookies[SESSION]
    for forged in (session, cookie[:-4] + "AAAA", "x"):
        browser.http.cookies.clear()
        browser.http.cookies.set(LOGIN, forged, "127.0.0.1")
        refused(browser, browser.come_back(address), "not begun in this browser")


def test_denied(browser: Browser, provider: FakeProvider) -> None:
    """What the provider says when it logs nobody in is shown as text."""
    provider.denied = True

    refused(browser, browser.log_in(), "(`access_denied`: &lt;b&gt;no&lt;/b&gt;)")


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "x' onload='y",
        "",
        "é;url=x",
    ],
)
def test_open_redirect(browser: Browser, after: str) -> None:
    """Whatever a link asks for, the login leads to the console alone."""
    assert 'content="0; url=/admin/ui/overview"' in browser.log_in(after).text


@pytest.mark.parametrize(
    ("status", "body", "expected", "why"),
    [
        (503, b"", 503, "cannot be asked right now"),
        (302, b"", 401, "does not take its code"),
        (400, b'{"error": "<b>"}', 401, "`&lt;b&gt;`"),
        (200, b"<html>", 401, "no ID token"),
        (200, b"[]", 401, "no ID token"),
        (200, b" " * (LARGEST_ANSWER + 1), 503, "cannot be asked right now"),
    ],
)
def test_bad_answers(
    browser: Browser, provider: FakeProvider, status: int, body: bytes, expected: int, why: str
) -> None:
    """Whatever the provider's token endpoint answers becomes a page that says what is the matter."""
    address = browser.permitted(browser.start())
    provider.behave(reply(status, body, {"location": "/token"} if status == 302 else None))

    refused(browser, browser.come_back(address), why, expected)


def test_guessing(browser: Browser, provider: FakeProvider) -> None:
    """Failed logins count as wrong keys do; from then on the provider is not asked for that address."""
    guesses, answer = 0, None
    while answer is None or answer.status_code == 200:  # on a machine so slow that the pause was over
        while browser.come_back(f"{REDIRECT}?code=x&state=y").status_code != 429:  # two seconds give one back
            guesses += 1
            assert guesses < 30 * A_MINUTE
        before = provider.exchanges
        answer = browser.log_in()

    assert guesses >= A_MINUTE
    assert (answer.status_code, provider.exchanges) == (429, before)
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert browser.http.get(f"{ROOT}/login").status_code == 200


def test_leeway() -> None:
    """A provider's clock may differ by the leeway, and no more."""
    issuer = Issuer("i", frozenset({"c"}), "https://i/k")
    client = OpenIdClient(issuer, "c", None, "", "", "", ("openid",), "groups", frozenset({"a"}), "", None)
    told = {"iss": "i", "sub": "s", "aud": "c", "nonce": "n", "groups": ["a"], "iat": 1000, "exp": 1100}
    moments = (969.9, 970.0, 1129.9, 1130.0)

    verdicts = [type(id_tokens.operator(told, client, "n", now)) for now in moments]
    assert verdicts == [Refused, Operator, Operator, Refused]
