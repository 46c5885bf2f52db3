"""The console over HTTP: who gets in, what answers allow, where forms come from, and that no text is ever markup."""

from __future__ import annotations

import html
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.console.rendering import HEADERS
from gateway.console.site import Console
from gateway.failures import A_MINUTE
from tests.gateway_process import GatewayProcess

ADMIN_KEY = "correct-horse-battery-staple"
HOSTILE = "\"><img/src=x/onerror=alert(1)>'{{7*7}}"
LOOKED_AT = [
    *("overview", "overview?live", "targets", "targets?live", "keys", "new-key", "keys/file:tests", "usage"),
    *("usage.csv", "configuration", "playground"),
]
SENT = [
    *("logout", "targets/drain", "targets/restore", "new-key", "keys/file:tests", "keys/file:tests/rotate"),
    *("keys/file:tests/revoke", "configuration/check", "configuration/reload", "playground"),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    models = f"""
        small: {{normalize: true, targets: [{{provider: static, path: wordllama}}]}}
        {json.dumps(HOSTILE)}: {{normalize: true, targets: [{{provider: static, path: wordllama}}]}}
    """
    with GatewayProcess(tmp_path_factory.mktemp("site"), models, access=f"admin_key: {ADMIN_KEY}") as process:
        yield process


class Visitor:
    """A browser's manners without a browser: cookies, and where a form comes from."""

    def __init__(self, http: httpx.Client, origin: str) -> None:
        self.http = http
        self.origin = origin
        self.token = ""

    def log_in(self, key: str = ADMIN_KEY, **headers: str) -> httpx.Response:
        answer = self.http.post("/admin/ui/login", data={"key": key}, headers={"origin": self.origin, **headers})
        if answer.status_code == 303:
            shown = self.get("new-key").text
            [self.token] = re.findall(r'name="token" value="([^"]+)"', shown)[:1]
        return answer

    def get(self, page: str) -> httpx.Response:
        return self.http.get(f"/admin/ui/{page}")

    def send(self, page: str, **fields: Any) -> httpx.Response:
        form = {"token": self.token, **fields}
        return self.http.post(f"/admin/ui/{page}", data=form, headers={"origin": self.origin})


@pytest.fixture
def stranger(running: GatewayProcess) -> Iterator[Visitor]:
    with running.client(None, follow_redirects=False) as http:
        yield Visitor(http, running.root_url)


@pytest.fixture
def operator(stranger: Visitor) -> Visitor:
    assert stranger.log_in().status_code == 303
    return stranger


@pytest.mark.parametrize("page", LOOKED_AT)
def test_pages(operator: Visitor, page: str) -> None:
    """Every page is there for whoever is logged in, with every header that keeps it safe."""
    answer = operator.get(page)

    assert answer.status_code == 200
    assert dict(answer.headers).items() >= HEADERS.items()


@pytest.mark.parametrize("page", LOOKED_AT)
def test_strangers_are_led_to_the_login(stranger: Visitor, page: str) -> None:
    """Nothing of a page is seen without a session, and the login knows which page was wanted."""
    answer = stranger.get(page)

    assert (answer.status_code, answer.content) == (303, b"")
    assert answer.headers["location"].startswith("/admin/ui/login")
    assert dict(answer.headers).items() >= HEADERS.items()


def test_no_other_pages() -> None:
    """The pages that these tests look at, and send forms to, are all that there are."""
    console = object.__new__(Console)
    named = {(method, path.replace("{key_id:path}", "file:tests")) for method, path, _ in console_pages(console)}

    assert named == {("GET", page) for page in LOOKED_AT if "live" not in page} | {("POST", page) for page in SENT}


def console_pages(console: Console) -> Iterator[tuple[str, str, Any]]:
    class Anything:
        def __getattr__(self, name: str) -> None:
            return None

    for room in ("_login", "_overview", "_targets", "_keys", "_usage", "_configuration", "_playground"):
        setattr(console, room, Anything())
    return console.behind_login()


@pytest.mark.parametrize("page", SENT)
@pytest.mark.parametrize("fault", ["token", "origin", "site", "neither"])
def test_forged_forms(operator: Visitor, page: str, fault: str) -> None:
    """A form without its session's token, or of another origin, changes nothing."""
    headers = {
        "token": {"origin": operator.origin, "sec-fetch-site": "same-origin"},
        "origin": {"origin": "https://evil.example"},
        "site": {"origin": operator.origin, "sec-fetch-site": "cross-site"},
        "neither": {},
    }[fault]
    token = "x" if fault == "token" else operator.token
    answer = operator.http.post(f"/admin/ui/{page}", data={"token": token, "name": "forged"}, headers=headers)

    assert answer.status_code == 403
    assert "forged" not in operator.get("keys").text


def test_cookie(stranger: Visitor) -> None:
    """The cookie is for this server alone; over https it is sent no other way, and has the name that ensures it."""
    plain = stranger.log_in().headers["set-cookie"]
    secure = stranger.log_in(**{"x-forwarded-proto": "https"}).headers["set-cookie"]

    assert plain.startswith("gateway-console=")
    assert secure.startswith("__Host-gateway-console=")
    for cookie in (plain, secure):
        assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=28800"} <= set(cookie.split("; "))
    assert ("Secure" in plain, "Secure" in secure) == (False, True)


def test_logging_out(operator: Visitor, running: GatewayProcess) -> None:
    """Whoever has copied a cookie is out when its owner logs out."""
    copied = operator.http.cookies["gateway-console"]
    with running.client(None, follow_redirects=False, cookies={"gateway-console": copied}) as thief:
        before = thief.get("/admin/ui/keys").status_code
        operator.send("logout")
        after = thief.get("/admin/ui/keys").status_code

    assert (before, after) == (200, 303)


@pytest.mark.parametrize("change", ["signature", "claims", "none"])
def test_forged_cookies(operator: Visitor, change: str) -> None:
    """A cookie that was not signed here is no session."""
    head, claims, signature = operator.http.cookies["gateway-console"].split(".")
    forged = {
        "signature": f"{head}.{claims}.{signature[::-1]}",
        "claims": f"{head}.{claims[:-4]}AAAA.{signature}",
        "none": f"eyJhbGciOiJub25lIn0.{claims}.",
    }[change]
    operator.http.cookies.clear()
    operator.http.cookies.set("gateway-console", forged)

    assert operator.get("keys").status_code == 303


def test_guesses_are_throttled(tmp_path: pathlib.Path) -> None:
    """After too many wrong keys an address has to wait, and the right key still opens."""
    models = "small: {normalize: true, targets: [{provider: static, path: wordllama}]}"
    with (
        GatewayProcess(tmp_path, models, access=f"admin_key: {ADMIN_KEY}") as running,
        running.client(None) as http,
    ):
        visitor = Visitor(http, running.root_url)
        answers = [visitor.log_in("guess-0")]
        while answers[-1].status_code == 401:  # two seconds give one back
            answers.append(visitor.log_in(f"guess-{len(answers)}"))
            assert len(answers) < 30 * A_MINUTE
        right = visitor.log_in()

    assert len(answers) > A_MINUTE
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert right.status_code == 303
    assert f"guess-{len(answers) - 1}" not in answers[-1].text


@pytest.mark.parametrize(
    "after", ["//evil.example", "https://evil.example", "\\evil.example", "/../../v1", "keys\r\nx: y", "@evil.example"]
)
def test_no_open_redirect(stranger: Visitor, after: str) -> None:
    """The login leads to pages of the console alone."""
    form = {"key": ADMIN_KEY, "next": after}
    answer = stranger.http.post("/admin/ui/login", data=form, headers={"origin": stranger.origin})

    assert answer.headers["location"] == "/admin/ui/overview"


@pytest.mark.parametrize(
    "form",
    [
        {"name": HOSTILE, "models": "*", "metadata": f"note = {HOSTILE}"},
        {"name": "x", "models": HOSTILE, "rpm": HOSTILE},
        {"name": HOSTILE, "models": HOSTILE, "expires": HOSTILE, "team": HOSTILE, "per": HOSTILE, "tokens": "1"},
    ],
)
def test_hostile_keys(operator: Visitor, form: dict[str, str]) -> None:
    """Whatever is written into a key is text, in lists and forms and complaints alike."""
    operator.send("new-key", **form)
    operator.send("keys/file:tests", **form)
    found = [operator.send("new-key", **form).text, operator.get("keys").text]
    found += [operator.get(f"keys/{key_id}").text for key_id in set(re.findall(r"ui/keys/(key_\w+)", found[1]))]

    assert any(html.escape("<img") in page for page in found)
    assert [page for page in found if "<img" in page] == []


@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("playground", {"texts": HOSTILE, "model": HOSTILE, "other": "small"}),
        ("playground", {"texts": HOSTILE, "model": f"{HOSTILE}no", "input_type": HOSTILE}),
        ("configuration/check", {"text": f"{HOSTILE}: [{HOSTILE}"}),
        ("configuration/check", {"text": f"'{HOSTILE.replace(chr(39), '')}': 1\nmodels: {{'<img>': 1}}"}),
        ("targets/drain", {"model": HOSTILE, "target": "nobody<img>"}),
    ],
)
def test_hostile_texts(operator: Visitor, page: str, form: dict[str, str]) -> None:
    """A model's name, an input and a message that quotes one are text."""
    answer = operator.send(page, **form)

    assert html.escape("<img") in answer.text or html.escape("<") in answer.text
    assert "<img" not in answer.text
    assert "<img" not in operator.get("targets").text + operator.get("playground").text + operator.get("usage").text


def test_no_inline_code(operator: Visitor) -> None:
    """No page has a script, a style or a handler of its own, which the policy would stop."""
    found = {page: re.findall(r"<script(?! src)|<style|\sstyle=|\son\w+=|javascript:", operator.get(page).text)
             for page in LOOKED_AT if page != "usage.csv"}  # fmt: skip

    assert {page: faults for page, faults in found.items() if faults} == {}


def test_a_key_is_shown_once(operator: Visitor) -> None:
    """The answer that makes a key has it, and no later page."""
    made = operator.send("new-key", name="once", models="small, large", usd="12.5", per="day", metadata="owner = me")
    [key] = re.findall(r"sk-gateway-\w+", made.text)[:1]
    [key_id] = re.findall(r"ui/keys/(key_\w+)", made.text)
    shown = operator.get(f"keys/{key_id}").text

    assert made.status_code == 201
    assert key not in shown + operator.get("keys").text
    assert 'value="small, large"' in shown
    assert 'value="12.5"' in shown
    assert "owner = me" in shown


def test_mistakes_of_a_form(operator: Visitor) -> None:
    """A form that cannot be met comes back as it was filled in, with what is wrong."""
    answer = operator.send("new-key", name="wrong", models="*", rpm="many", tpm="7")

    assert answer.status_code == 400
    assert "`rpm` must be a whole number" in html.unescape(answer.text)
    assert 'value="many"' in answer.text
    assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize(
    ("page", "status"),
    [("nope", 404), ("keys/key_0", 404), ("usage?from=x", 400), ("usage?from=2026-01-02&to=2026-01-01", 400)],
)
def test_pages_that_are_not(operator: Visitor, page: str, status: int) -> None:
    """A page that cannot be made says why, as safely as the others."""
    answer = operator.get(page)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert dict(answer.headers).items() >= HEADERS.items()


def test_drain_and_restore(operator: Visitor) -> None:
    """A drained target shows as such, and its form restores it."""
    drained = operator.send("targets/drain", model="small", target="static-0").status_code
    shown = operator.get("targets").text
    operator.send("targets/restore", model="small", target="static-0")

    assert (drained, "drained" in shown) == (303, True)
    assert 'badge warn">drained' not in operator.get("targets").text


def test_reload(operator: Visitor, running: GatewayProcess) -> None:
    """A reload tells what it changed, or why nothing was."""
    whole = running.config.read_text()
    running.config.write_text(f"{whole}\nunknown: 1\n")
    refused = operator.send("configuration/reload")
    running.config.write_text(whole)
    done = operator.send("configuration/reload")

    assert (refused.status_code, "goes on serving" in refused.text) == (400, True)
    assert (done.status_code, "nothing changed" in done.text) == (200, True)


def test_own_file_changes_nothing(operator: Visitor, running: GatewayProcess) -> None:
    """The running file pasted is right, and what is not known of a text is not called a change."""
    answer = operator.send("configuration/check", text=running.config.read_text())

    assert (answer.status_code, "Nothing is wrong" in answer.text) == (200, True)
    assert "secrets, and where files lie, are not compared" in answer.text


def test_secrets_are_hidden(operator: Visitor) -> None:
    """Not even the operator's own key is on a page."""
    assert ADMIN_KEY not in "".join(operator.get(page).text for page in LOOKED_AT)


@pytest.mark.parametrize("access", ["", "admin_key: short"])
def test_no_admin_key(tmp_path: pathlib.Path, access: str) -> None:
    """Without a good admin key there is no console."""
    models = "small: {normalize: true, targets: [{provider: static, path: wordllama}]}"
    with GatewayProcess(tmp_path, models, access=access) as running, running.client(None) as http:
        found = [http.get(path).status_code for path in ("/admin", "/admin/ui/login", "/admin/ui/static/console.css")]

    assert found == [404, 404, 404]
