"""The admin API against a running gateway: a key's whole life, who may ask, every mistake, and attacks."""

from __future__ import annotations

import ast
import concurrent.futures
import http.client
import json
import pathlib
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from click.testing import CliRunner

from gateway.auth import key_hash, new_key, well_formed
from gateway.cli import main
from tests.gateway_process import KEY, GatewayProcess
from tests.test_error_table import INVALID, shape

ADMIN_KEY = "correct-horse-battery-staple"
ORIGIN = "https://app.example"
MODELS = """
    small: {normalize: true, targets: [{provider: static, path: wordllama}]}
    large: {normalize: true, targets: [{provider: static, path: wordllama}]}
"""
ENDPOINTS = [
    ("GET", "/admin/keys"),
    ("POST", "/admin/keys"),
    ("GET", "/admin/keys/key_1"),
    ("PATCH", "/admin/keys/key_1"),
    ("DELETE", "/admin/keys/key_1"),
    ("POST", "/admin/keys/key_1/rotate"),
    ("GET", "/admin/usage"),
    ("GET", "/admin/config"),
    ("POST", "/admin/reload"),
    ("GET", "/admin/targets"),
    ("POST", "/admin/targets/drain"),
    ("POST", "/admin/targets/restore"),
]
FILE_KEY = "/admin/keys/file:team/ci"
NO_LIMITS = {"rpm": None, "tpm": None, "concurrent": None, "shadow": False}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(
        tmp_path_factory.mktemp("admin"),
        MODELS,
        server=f"cors_origins: ['{ORIGIN}']",
        access=f"admin_key: {ADMIN_KEY}",
        keys=f"- {{name: team/ci, sha256: {key_hash(new_key())}}}",
        sections="teams: {search: {limits: {rpm: 1000}}}",
    ) as process:
        yield process


@pytest.fixture
def admin(running: GatewayProcess) -> Iterator[httpx.Client]:
    with running.client(ADMIN_KEY) as client:
        yield client


def create(admin: httpx.Client, name: str, **wish: Any) -> dict[str, Any]:
    """A new key as the API tells it, `key` included."""
    answer = admin.post("/admin/keys", json={"name": name, **wish})
    assert 201 == answer.status_code, answer.text
    made: dict[str, Any] = answer.json()
    return made


def status_of(running: GatewayProcess, key: str, model: str = "small") -> int:
    """What an embedding with OpenAI's client comes to."""
    with openai.OpenAI(base_url=running.url, api_key=key, max_retries=0) as client:
        try:
            answer = client.embeddings.create(model=model, input="x")
        except openai.APIStatusError as error:
            return error.status_code
    return 200 if len(answer.data) == 1 else 0


def seconds_until(running: GatewayProcess, key: str, status: int, model: str = "small") -> float:
    begun = time.monotonic()
    while status_of(running, key, model) != status:
        assert time.monotonic() - begun < 60
    return time.monotonic() - begun


def command(running: GatewayProcess, *arguments: str) -> str:
    """What `gateway …` prints, in this process beside the running one."""
    done = CliRunner().invoke(main, [*arguments, "--config", str(running.config)], catch_exceptions=False)
    assert 0 == done.exit_code, done.stderr
    return done.stdout


# ── a key's life ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_created(running: GatewayProcess, admin: httpx.Client) -> None:
    """A key works as soon as it is made, for the models that it may use."""
    made = create(admin, "created", models=["sm*"])

    assert (200, 404) == (status_of(running, made["key"]), status_of(running, made["key"], "large"))


def test_create_answers(admin: httpx.Client) -> None:
    """The answer tells the key and all that it may do, and no cache may keep it."""
    wish = {
        "team": "search",
        "limits": {"rpm": 5, "shadow": True},
        "model_limits": {"sm*": {"tpm": 7}},
        "budget": {"usd": 0.5, "per": "week"},
        "priority": "bulk",
        "cache": False,
        "metadata": {"owner": "me"},
    }
    answer = admin.post("/admin/keys", json={"name": "answers", "expires": "2099-01-31", **wish})
    made = answer.json()
    key, key_id, created = made.pop("key"), made.pop("id"), made.pop("created")
    expected = {
        **wish,
        "object": "key",
        "name": "answers",
        "status": "active",
        "models": ["*"],
        "limits": {**NO_LIMITS, "rpm": 5, "shadow": True},
        "model_limits": {"sm*": {**NO_LIMITS, "tpm": 7}},
        "budget": {"usd": 0.5, "tokens": None, "per": "week", "soft": 0.8},
        "expires": 4073500800.0,
        "revoked": None,
    }

    assert (201, expected, "no-store") == (answer.status_code, made, answer.headers["cache-control"])
    assert (True, True, True) == (well_formed(key), key_id.startswith("key_"), abs(time.time() - created) < 60)


def test_shown(admin: httpx.Client) -> None:
    """A key is shown by its id as it was made, but for the key itself."""
    made = create(admin, "shown", limits={"rpm": 5})
    del made["key"]

    assert made == admin.get(f"/admin/keys/{made['id']}").json()


def test_listed(admin: httpx.Client) -> None:
    """The list has the routing file's keys first, and each new one at its end."""
    before = admin.get("/admin/keys").json()
    made = create(admin, "listed")
    del made["key"]
    after = admin.get("/admin/keys").json()

    assert {"object": "list", "data": [*before["data"], made]} == after
    assert ["file:tests", "file:team/ci"] == [key["id"] for key in after["data"][:2]]


def test_changed(running: GatewayProcess, admin: httpx.Client) -> None:
    """A change is told at once, and obeyed within seconds."""
    made = create(admin, "changed", models=["small"], limits={"rpm": 1000, "tpm": 5})
    key = made.pop("key")
    before = status_of(running, key)
    changed = admin.patch(f"/admin/keys/{made['id']}", json={"models": ["large"], "limits": {"tpm": None}})

    assert (200, {**made, "models": ["large"], "limits": {**NO_LIMITS, "rpm": 1000}}) == (before, changed.json())
    assert seconds_until(running, key, 200, "large") < 30
    assert 404 == status_of(running, key, "small")


def test_change_of_nothing(admin: httpx.Client) -> None:
    """An empty change changes nothing."""
    made = create(admin, "as it is", limits={"rpm": 5})
    del made["key"]

    assert made == admin.patch(f"/admin/keys/{made['id']}", json={}).json()


def test_rotated(running: GatewayProcess, admin: httpx.Client) -> None:
    """During the overlap both keys work, and revoking ends each within seconds."""
    old = create(admin, "rotated", models=["small"], limits={"rpm": 1000})
    new = admin.post(f"/admin/keys/{old['id']}/rotate", json={"overlap": "1h"}).json()
    both = (status_of(running, old["key"]), status_of(running, new["key"]), status_of(running, new["key"], "large"))
    ending = admin.get(f"/admin/keys/{old['id']}").json()

    assert ((200, 200, 404), "rotated", old["limits"], "ending") == (
        *(both, new["name"], new["limits"], ending["status"]),
    )
    for key in (old, new):
        revoked = admin.delete(f"/admin/keys/{key['id']}").json()
        assert ("revoked", True) == (revoked["status"], seconds_until(running, key["key"], 401) < 30)


def test_rotated_at_once(running: GatewayProcess, admin: httpx.Client) -> None:
    """Without an overlap the old key stops within seconds, and the new one works."""
    old = create(admin, "rotated at once")
    new = admin.post(f"/admin/keys/{old['id']}/rotate", json={"overlap": "0"}).json()

    assert (True, 200) == (seconds_until(running, old["key"], 401) < 30, status_of(running, new["key"]))


def test_revoked_twice(admin: httpx.Client) -> None:
    """A key that has ended can be revoked again, and its end stays."""
    path = f"/admin/keys/{create(admin, 'revoked twice')['id']}"

    assert admin.delete(path).json() == admin.delete(path).json()


def test_command_line_beside(running: GatewayProcess, admin: httpx.Client) -> None:
    """Keys of the API are the command line's, too, in both directions."""
    made = create(admin, "beside", limits={"rpm": 1000})
    key_id, key = made["id"], made.pop("key")
    del made["status"]
    listed = {row.pop("id"): row for row in json.loads(command(running, "keys", "list", "--json"))}
    command(running, "keys", "update", key_id, "--tpm", "1000000")
    changed = admin.get(f"/admin/keys/{key_id}").json()
    admin.patch(f"/admin/keys/{key_id}", json={"name": "renamed"})
    command(running, "keys", "revoke", "renamed")
    revoked = admin.get(f"/admin/keys/{key_id}").json()

    assert made == {"id": key_id, **{name: listed[key_id][name] for name in made if name != "id"}}
    assert ({**NO_LIMITS, "rpm": 1000, "tpm": 1000000}, "revoked") == (changed["limits"], revoked["status"])
    assert seconds_until(running, key, 401) < 30


def test_created_at_once(admin: httpx.Client) -> None:
    """Of many keys that are made under one name at the same moment at most one works."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: admin.post("/admin/keys", json={"name": "popular"}), range(16)))
    working = [
        key for key in admin.get("/admin/keys").json()["data"] if (key["name"], key["status"]) == ("popular", "active")
    ]

    assert {201: len(working), 400: 16 - len(working)} == {
        status: [answer.status_code for answer in answers].count(status) for status in (201, 400)
    }
    assert len(working) <= 1


def test_usage(running: GatewayProcess, admin: httpx.Client) -> None:
    """Within seconds usage tells what a key has used; a request over its limit is one, and an error, without tokens."""
    made = create(admin, "measured", limits={"rpm": 1, "tpm": 1000})
    with running.client(made["key"]) as client:
        answers = [client.post("/v1/embeddings", json={"model": "small", "input": ["x", "y z"]}) for _ in range(2)]
        begun = time.monotonic()
        while (used := client.get("/v1/usage").json()["total"])["requests"] < 2:
            assert time.monotonic() - begun < 60
    everyones = admin.get("/admin/usage", params={"key": made["id"]}).json()["total"]
    tokens = answers[0].json()["usage"]["total_tokens"]
    told = {name: used[name] for name in ("requests", "errors", "inputs", "tokens")}

    assert ([200, 429], everyones) == ([answer.status_code for answer in answers], used)
    assert {"requests": 2, "errors": 1, "inputs": 4, "tokens": tokens} == told


# ── who may ask ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
@pytest.mark.parametrize(("key", "code"), [(None, None), (KEY, "invalid_api_key")], ids=["no key", "a client's key"])
def test_who_may_not(running: GatewayProcess, method: str, path: str, key: str | None, code: str | None) -> None:
    """Every endpoint asks for the admin key, before it reads what was sent; a client's key is none."""
    with running.client(key) as client:
        answer = client.request(method, path, content="no JSON")

    assert (401, INVALID, None, code) == shape(answer)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (b"", None),
        (b"Bearer", None),
        (f"Basic {ADMIN_KEY}".encode(), None),
        (f"Bearer {ADMIN_KEY}x".encode(), "invalid_api_key"),
        (f"Bearer {ADMIN_KEY[:-1]}".encode(), "invalid_api_key"),
        (f"Bearer {ADMIN_KEY.upper()}".encode(), "invalid_api_key"),
        (b"Bearer \xc3\xa9\xff", "invalid_api_key"),
        (f"Bearer {'x' * 50_000}".encode(), "invalid_api_key"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_not_the_admin_key(running: GatewayProcess, header: bytes, code: str | None) -> None:
    """Nothing is the admin key but the whole of it, as a bearer."""
    with running.client(None) as client:
        answer = client.get("/admin/keys", headers={b"authorization": header})

    assert (401, INVALID, None, code) == shape(answer)


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/embeddings"), ("GET", "/v1/usage")])
def test_admin_key_is_no_client_key(admin: httpx.Client, method: str, path: str) -> None:
    """The admin key embeds nothing, and has used nothing."""
    answer = admin.request(method, path, content=b'{"model": "small", "input": "x"}')

    assert (401, INVALID, None, "invalid_api_key") == shape(answer)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_without_an_admin_key(gateway: GatewayProcess, method: str, path: str) -> None:
    """A gateway without an admin key has no admin API."""
    with gateway.client(KEY) as client:
        answer = client.request(method, path)

    assert (404, INVALID, None, None) == shape(answer)


def test_with_a_short_admin_key(tmp_path: pathlib.Path) -> None:
    """Nor has one whose admin key could be guessed."""
    short = "x" * 15
    with GatewayProcess(tmp_path, MODELS, access=f"admin_key: {short}") as running, running.client(short) as client:
        answers = [client.request(method, path) for method, path in ENDPOINTS]

    assert [(404, INVALID, None, None)] * len(ENDPOINTS) == [shape(answer) for answer in answers]


def test_constant_time() -> None:
    """What is shown is compared with the admin key by its digest and in constant time, and in no other way."""
    files = sorted((pathlib.Path(__file__).parents[1] / "gateway").rglob("*.py"))
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    calls = [ast.unparse(node) for node in nodes if isinstance(node, ast.Call)]
    equalities = [
        ast.unparse(node)
        for node in nodes
        if isinstance(node, ast.Compare) and any(isinstance(sign, ast.Eq | ast.NotEq | ast.In) for sign in node.ops)
    ]

    assert 1 == len([call for call in calls if call.startswith("secrets.compare_digest(_digest(shown), ")])
    assert [] == [text for text in equalities if "admin_key" in text or "shown ==" in text or "_digest" in text]


def test_no_key_is_logged(running: GatewayProcess, admin: httpx.Client) -> None:
    """Neither a new key nor the admin key stands in the log, even where one is sent as an id."""
    key = create(admin, "unlogged")["key"]
    answer = admin.get(f"/admin/keys/{key}")
    line = running.request_log(answer.headers["x-request-id"])

    assert (404, "/admin/keys/sk-gateway-…") == (answer.status_code, line["path"])
    assert (False, False, False) == (key in running.stderr, ADMIN_KEY in running.stderr, key in answer.text)


def test_web_pages(running: GatewayProcess, admin: httpx.Client) -> None:
    """Web pages may call what is for clients, and never the admin API."""
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    answers = [admin.options(path, headers=asks) for path in ("/v1/embeddings", "/admin/keys")]
    answers.append(admin.get("/admin/keys", headers={"origin": ORIGIN}))

    assert [(200, ORIGIN), (405, None), (200, None)] == [
        (answer.status_code, answer.headers.get("access-control-allow-origin")) for answer in answers
    ]


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────────────────────

KEYS, MINE = "/admin/keys", "/admin/keys/MINE"
BAD = (400, INVALID, None, None)
MISSING = (404, INVALID, None, None)


def bad(field: str) -> tuple[int, str, str, None]:
    return 400, INVALID, field, None


MISTAKES: list[tuple[str, str, Any, tuple[int, str, str | None, str | None], str]] = [
    ("POST", KEYS, b"", BAD, "is empty"),
    ("POST", KEYS, b"{", BAD, "is not valid JSON"),
    ("POST", KEYS, b"\xff", BAD, "is not valid JSON"),
    ("POST", KEYS, b'{"name": "\\ud800"}', BAD, "is not valid JSON"),
    ("POST", KEYS, b'{"name": "a", "budget": {"usd": NaN}}', BAD, "is not valid JSON"),
    ("POST", KEYS, b'{"name": "a", "budget": {"usd": 1e400}}', BAD, "is not valid JSON"),
    ("POST", KEYS, b"[]", BAD, "must be a JSON object"),
    ("POST", KEYS, b'"a"', BAD, "must be a JSON object"),
    ("POST", KEYS, {}, bad("name"), "`name` is missing."),
    ("POST", KEYS, {"name": None}, bad("name"), "`name` must be a string"),
    ("POST", KEYS, {"name": 5}, bad("name"), "`name` must be a string"),
    ("POST", KEYS, {"name": ""}, bad("name"), "`name` must have "),
    ("POST", KEYS, {"name": "a\r\nx-evil: 1"}, bad("name"), "`name` must have "),
    ("POST", KEYS, {"name": "x" * 101}, bad("name"), "`name` must have "),
    ("POST", KEYS, {"name": "taken"}, bad("name"), "There is a working key `taken` already."),
    ("POST", KEYS, {"name": "a", "models": []}, bad("models"), "Name at least one model"),
    ("POST", KEYS, {"name": "a", "models": None}, bad("models"), "must be a list"),
    ("POST", KEYS, {"name": "a", "models": ["b c"]}, bad("models.0"), "printable characters and no blank"),
    ("POST", KEYS, {"name": "a", "models": ["x" * 201]}, bad("models.0"), "1 to 200"),
    ("POST", KEYS, {"name": "a", "models": ["b"] * 101}, bad("models"), "at most 100"),
    ("POST", KEYS, {"name": "a", "team": "no"}, bad("team"), "There is no team `no`; the routing file has `search`."),
    ("POST", KEYS, {"name": "a", "limits": {"rpm": 0}}, bad("limits.rpm"), "at least 1"),
    ("POST", KEYS, {"name": "a", "limits": {"rpm": True}}, bad("limits.rpm"), "a whole number"),
    ("POST", KEYS, {"name": "a", "limits": {"rpm": 1.5}}, bad("limits.rpm"), "a whole number"),
    ("POST", KEYS, {"name": "a", "limits": {"rpm": "5"}}, bad("limits.rpm"), "a whole number"),
    ("POST", KEYS, {"name": "a", "limits": {"rpm": 10**16}}, bad("limits.rpm"), "at most"),
    ("POST", KEYS, b'{"name": "a", "limits": {"tpm": 1e300}}', bad("limits.tpm"), "a whole number"),
    ("POST", KEYS, {"name": "a", "limits": []}, bad("limits"), "a mapping"),
    ("POST", KEYS, {"name": "a", "limits": {"shadow": 1}}, bad("limits.shadow"), "true or false"),
    ("POST", KEYS, {"name": "a", "budget": {"usd": 0, "per": "day"}}, bad("budget.usd"), "at least"),
    ("POST", KEYS, {"name": "a", "budget": {"usd": -1, "per": "day"}}, bad("budget.usd"), "at least"),
    ("POST", KEYS, {"name": "a", "budget": {"usd": 1e300, "per": "day"}}, bad("budget.usd"), "at most"),
    ("POST", KEYS, {"name": "a", "budget": {"usd": False, "per": "day"}}, bad("budget.usd"), "a number"),
    ("POST", KEYS, {"name": "a", "budget": {"usd": 1}}, bad("budget.per"), "is missing"),
    ("POST", KEYS, {"name": "a", "budget": {"per": "day"}}, bad("budget"), "must say how much"),
    ("POST", KEYS, {"name": "a", "budget": {"usd": 1, "per": "hour"}}, bad("budget.per"), "'month'"),
    ("POST", KEYS, {"name": "a", "priority": "high"}, bad("priority"), "'bulk'"),
    ("POST", KEYS, {"name": "a", "expires": "2020-01-01"}, bad("expires"), "is past"),
    ("POST", KEYS, {"name": "a", "expires": "x" * 10_000}, bad("expires"), "is no time"),
    ("POST", KEYS, {"name": "a", "expires": 4e9}, bad("expires"), "must be a string"),
    ("POST", KEYS, {"name": "a", "expires": "101d" * 3}, bad("expires"), "is no time"),
    ("POST", KEYS, {"name": "a", "metadata": {"a": 1}}, bad("metadata.a"), "must be a string"),
    ("POST", KEYS, {"name": "a", "metadata": {"x" * 65: ""}}, bad(f"metadata.{'x' * 65}"), "at most 64"),
    ("POST", KEYS, {"name": "a", "key": KEY}, bad("key"), "unknown key; known here are"),
    ("POST", KEYS, {"name": "a", "modles": ["*"]}, bad("modles"), "did you mean `models`?"),
    ("PATCH", MINE, b"[]", BAD, "must be a JSON object"),
    ("PATCH", MINE, {"models": None}, bad("models"), "cannot be null"),
    ("PATCH", MINE, {"name": "taken"}, bad("name"), "There is a working key `taken` already."),
    ("PATCH", MINE, {"revoked": None}, bad("revoked"), "unknown key"),
    ("PATCH", MINE, {"limits": {"rpm": "5"}}, bad("limits.rpm"), "a whole number"),
    ("PATCH", "/admin/keys/key_0", {"name": "b"}, MISSING, "There is no key `key_0` in the state."),
    ("PATCH", FILE_KEY, {"name": "b"}, BAD, "This key stands in the routing file"),
    ("GET", "/admin/keys/key_0", None, MISSING, "There is no key `key_0` in the state."),
    ("DELETE", "/admin/keys/key_0", None, MISSING, "There is no key `key_0` in the state."),
    ("DELETE", FILE_KEY, None, BAD, "This key stands in the routing file"),
    ("POST", f"{FILE_KEY}/rotate", {"overlap": "0"}, BAD, "This key stands in the routing file"),
    ("POST", "/admin/keys/key_0/rotate", {"overlap": "0"}, MISSING, "There is no key `key_0` in the state."),
    ("POST", f"{MINE}/rotate", b"", BAD, "is empty"),
    ("POST", f"{MINE}/rotate", {}, bad("overlap"), "must hold `overlap` alone"),
    ("POST", f"{MINE}/rotate", {"overlap": 0}, bad("overlap"), "must hold `overlap` alone"),
    ("POST", f"{MINE}/rotate", {"overlap": "0", "name": "b"}, bad("overlap"), "must hold `overlap` alone"),
    ("POST", f"{MINE}/rotate", {"overlap": "-1h"}, bad("overlap"), "is no time"),
    ("POST", f"{MINE}/rotate", {"overlap": "9999999999d"}, bad("overlap"), "longer than 100 years"),
    ("GET", "/admin/usage?days=3", None, BAD, "Usage can be asked for by"),
    ("GET", "/admin/usage?format=xml", None, BAD, "Usage can be asked for by"),
    ("GET", "/admin/usage?from=yesterday", None, BAD, "`from` must be a day like 2026-11-21."),
    ("GET", "/admin/usage?to=2026-13-01", None, BAD, "`to` must be a day like 2026-11-21."),
    ("GET", "/admin/usage?from=20261121", None, BAD, "`from` must be a day like 2026-11-21."),
    ("GET", "/admin/nothing", None, MISSING, "There is nothing at `GET /admin/nothing`."),
    ("GET", "/admin/target", None, MISSING, "There is nothing at `GET /admin/target`."),
]


@pytest.fixture(scope="module")
def mine(running: GatewayProcess) -> str:
    """The id of a key that mistakes are made about, beside another that is named `taken`."""
    with running.client(ADMIN_KEY) as admin:
        create(admin, "taken")
        return str(create(admin, "mine")["id"])


@pytest.mark.parametrize(("method", "path", "body", "expected", "says"), MISTAKES)
def test_mistakes(
    *,
    admin: httpx.Client,
    mine: str,
    method: str,
    path: str,
    body: Any,
    expected: tuple[int, str, str | None, str | None],
    says: str,
) -> None:
    """A mistake is answered in OpenAI's envelope, with the field at fault and what is possible, and changes nothing."""
    before = admin.get("/admin/keys").json()
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    answer = admin.request(method, path.replace("MINE", mine), content=content)
    message = answer.json()["error"]["message"]

    assert (expected, True, True) == (shape(answer), says in message, len(message) < 1000), message
    assert before == admin.get("/admin/keys").json()


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST"])
def test_ended_keys(admin: httpx.Client, method: str) -> None:
    """A key that has ended is still shown, and its successor is made anew, not by rotation."""
    path = f"/admin/keys/{create(admin, f'ended by {method}')['id']}"
    admin.delete(path)
    answers = {
        "PATCH": admin.patch(path, json={"metadata": {"a": "b"}}),
        "DELETE": admin.delete(path),
        "POST": admin.post(f"{path}/rotate", json={"overlap": "0"}),
    }

    assert {"PATCH": 200, "DELETE": 200, "POST": 400}[method] == answers[method].status_code
    assert "revoked" == admin.get(path).json()["status"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/admin/keys", "GET, HEAD, POST"),
        ("OPTIONS", "/admin/keys/", "GET, HEAD, POST"),
        ("POST", "/admin/keys/key_1", "DELETE, GET, HEAD, PATCH"),
        ("POST", "/admin/usage", "GET, HEAD"),
        ("GET", "/v1/embeddings", "POST"),
    ],
)
def test_wrong_methods(admin: httpx.Client, method: str, path: str, allowed: str) -> None:
    """A wrong method is told all that its path takes."""
    answer = admin.request(method, path)

    assert ((405, INVALID, None, "method_not_supported"), True) == (
        shape(answer),
        set(allowed.split(", ")) <= set(answer.headers["allow"].split(", ")),
    )


@pytest.mark.parametrize("path", ["/admin/keys", FILE_KEY, "/admin/usage"])
def test_heads(admin: httpx.Client, path: str) -> None:
    """HEAD is answered like GET, without the body, for keys of the file, too."""
    head, got = admin.head(path), admin.get(path)

    assert (200, b"", got.headers["content-length"]) == (head.status_code, head.content, head.headers["content-length"])


# ── attacks ───────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = [
    "'; DROP TABLE keys; --",
    '" OR "1"="1',
    "%' OR 1=1 --",
    "{gateway:limits:2}:*",
    "]] return redis.call('FLUSHALL') --[[",
    "*",
    "key_*",
    "[a-z]?",
    "../../etc/passwd",
    "${GATEWAY_ADMIN_KEY}",
    "{{7*7}}{0.__class__}%s%n",
    '=HYPERLINK("http://evil")',
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts(admin: httpx.Client, text: str) -> None:
    """A text that means something elsewhere is only a text here, in whatever field it stands."""
    pattern = text.replace(" ", "_")
    made = create(admin, text, models=[pattern], model_limits={pattern: {"rpm": 5}}, metadata={text[:64]: text})
    del made["key"]
    shown = admin.get(f"/admin/keys/{made['id']}").json()
    before = {key["id"]: key["status"] for key in admin.get("/admin/keys").json()["data"]}
    usage = admin.get("/admin/usage", params={"key": text, "team": text, "model": text})
    admin.delete(f"/admin/keys/{made['id']}")
    after = {key["id"]: key["status"] for key in admin.get("/admin/keys").json()["data"]}

    assert (text, [pattern], [pattern], {text[:64]: text}) == (
        *(shown["name"], shown["models"], list(shown["model_limits"]), shown["metadata"]),
    )
    assert (made, [], {**before, made["id"]: "revoked"}) == (shown, usage.json()["data"], after)


def test_hostile_command(running: GatewayProcess, admin: httpx.Client) -> None:
    """On the command line, too, `*` is only a name, and an id goes before a name that looks like it."""
    star, other = create(admin, "*"), create(admin, "other")
    named = create(admin, other["id"])
    command(running, "keys", "revoke", "*")
    command(running, "keys", "revoke", other["id"])
    statuses = {key["id"]: key["status"] for key in admin.get("/admin/keys").json()["data"]}

    assert ["revoked", "revoked", "active", "active"] == [
        statuses[key_id] for key_id in (star["id"], other["id"], named["id"], "file:team/ci")
    ]


@pytest.mark.parametrize(
    "key_id",
    [
        *("../usage", "..", ".", "../../v1/models", "%2e%2e%2fusage", "..%2f..%2fetc%2fpasswd", "%00", "key_%25", "*"),
        *("key_____________", "'%20OR%201=1%20--", "%0d%0ax-evil:%201", "%ff", "x" * 30_000, "file:", "file:*", "//"),
    ],
)
def test_hostile_ids(running: GatewayProcess, key_id: str) -> None:
    """An id is a name and no path, no pattern and no header."""
    host, _, port = running.root_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", f"/admin/keys/{key_id}", headers={"authorization": f"Bearer {ADMIN_KEY}"})
    answer = connection.getresponse()
    error = json.loads(answer.read())["error"]
    connection.close()

    assert (404, INVALID, None, None) == (answer.status, error["type"], error["param"], error["code"])
    assert (None, True, True) == (
        answer.getheader("x-evil"),
        len(error["message"]) < 500,
        error["message"].isprintable(),
    )


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b" " * (2**20 + 1), {}, (413, INVALID, None, "request_too_large")),
        (b'{"name": "' + b"x" * (2**20 - 12) + b'"}', {}, bad("name")),
        (b'{"name": "a", "' + b"x" * (2**20 - 20) + b'": 1}', {}, bad("x" * 100 + "…")),
        (json.dumps(dict.fromkeys(map(str, range(70_000)))).encode(), {}, bad("0")),
        (json.dumps({"name": "a", "models": ["m"] * 200_000}).encode(), {}, bad("models")),
        (b"[" * 2**19, {}, BAD),
        (b'{"a":' * 900 + b"1" + b"}" * 900, {}, bad("a")),
        (b'{"limits":' + b'{"a":' * 900 + b"1" + b"}" * 901, {}, bad("limits.a")),
        (b"{}", {"content-encoding": "gzip"}, (415, INVALID, None, "unsupported_content_encoding")),
    ],
    ids=["too large", "name", "field", "fields", "models", "deep list", "deep", "deep limits", "gzip"],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_hostile_bodies(
    admin: httpx.Client, mine: str, method: str, body: bytes, headers: dict[str, str], expected: tuple[Any, ...]
) -> None:
    """A large or deep body is refused in few words."""
    answer = admin.request(method, KEYS if method == "POST" else f"{KEYS}/{mine}", content=body, headers=headers)

    assert (expected, True) == (shape(answer), len(answer.content) < 2000)


def test_query_of_hostile_days(admin: httpx.Client) -> None:
    """A day is a day, whatever alphabet its digits are of."""
    days = ["２０２６-11-21", "2026-11-21' OR '1'='1", "2026-11-21\x00", "2026-11-21T00:00", "", " 2026-11-21"]
    answers = [admin.get(f"/admin/usage?from={urllib.parse.quote(day)}") for day in days]

    assert [BAD] * len(days) == [shape(answer) for answer in answers]
