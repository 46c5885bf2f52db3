"""Every mistake of a client that the design's error table names, against a real gateway process."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway import auth
from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.raw_client import Answer, RawClient
from tests.gateway_process import KEY, GatewayProcess

SMALL = "text-embedding-3-small"

pytestmark = pytest.mark.usefixtures("openai_upstream")


def one_letter_wrong(key: str) -> str:
    return key[:20] + ("a" if key[20] != "a" else "b") + key[21:]


def shape(answer: httpx.Response) -> tuple[int, str, str | None, str | None]:
    """Status, type, param and code; the envelope has these keys and a message, and no other."""
    error = answer.json()["error"]
    assert {"message", "type", "param", "code"} == set(error)
    assert "application/json" == answer.headers["content-type"]
    assert answer.headers["x-request-id"]
    return answer.status_code, error["type"], error["param"], error["code"]


INVALID = "invalid_request_error"
BAD_BODIES: list[tuple[str, Any, tuple[int, str, str | None, str | None], str]] = [
    ("no model", {"input": "x"}, (400, INVALID, "model", None), "`model` is missing"),
    ("model of another kind", {"model": 3, "input": "x"}, (400, INVALID, "model", None), "it is a number"),
    ("unknown model", {"model": "no", "input": "x"}, (404, INVALID, None, "model_not_found"), "does not exist"),
    ("no input", {"model": SMALL}, (400, INVALID, "input", None), "`input` is missing"),
    ("empty text", {"model": SMALL, "input": ""}, (400, INVALID, "input", None), "empty string"),
    ("empty list", {"model": SMALL, "input": []}, (400, INVALID, "input", None), "empty array"),
    ("number", {"model": SMALL, "input": 3}, (400, INVALID, "input", None), "it is a number"),
    ("object", {"model": SMALL, "input": {"a": 1}}, (400, INVALID, "input", None), "it is an object"),
    ("boolean", {"model": SMALL, "input": [True]}, (400, INVALID, "input", None), "`input[0]` is a boolean"),
    ("null item", {"model": SMALL, "input": ["a", None]}, (400, INVALID, "input", None), "item 1 is null"),
    ("mixed", {"model": SMALL, "input": ["a", 1]}, (400, INVALID, "input", None), "item 1 is a number"),
    ("nested texts", {"model": SMALL, "input": [["a"]]}, (400, INVALID, "input", None), "element 0 is a string"),
    ("nested deeper", {"model": SMALL, "input": [[[1]]]}, (400, INVALID, "input", None), "element 0 is an array"),
    ("half ids", {"model": SMALL, "input": [[1, 2.5]]}, (400, INVALID, "input", None), "element 1 is a number"),
    ("empty ids", {"model": SMALL, "input": [[1], []]}, (400, INVALID, "input", None), "`input[1]` is an empty array"),
    ("negative id", {"model": SMALL, "input": [[1, -1]]}, (400, INVALID, "input", None), "-1 at element 1"),
    ("unknown id", {"model": SMALL, "input": [[1], [200000]]}, (400, INVALID, "input", None), "`input[1]`"),
    ("ids refused", {"model": "closed", "input": [[1]]}, (400, INVALID, "input", None), "takes texts"),
    (
        "item 1,317 empty",
        {"model": SMALL, "input": ["x"] * 1317 + [""] + ["x"] * 99},
        (400, INVALID, "input", None),
        "`input[1317]` is an empty string",
    ),
    ("too many", {"model": SMALL, "input": ["x"] * 2049}, (400, INVALID, "input", None), "holds 2049 inputs"),
    ("over the route's", {"model": "closed", "input": ["x"] * 4}, (400, INVALID, "input", None), "at most 3"),
    (
        "too long",
        {"model": SMALL, "input": ["x", "word " * 9000]},
        (400, INVALID, "input", "context_length_exceeded"),
        "`input[1]` has 9001 tokens (cl100k_base); this model takes at most 8192",
    ),
    (
        "far too long",
        {"model": SMALL, "input": "x" * 2_000_000},
        (400, INVALID, "input", "context_length_exceeded"),
        "has at least 15625 tokens",
    ),
    (
        "too many tokens",
        {"model": SMALL, "input": ["word " * 8000] * 40},
        (400, "max_tokens_per_request", "input", "max_tokens_per_request"),
        "have 320040 tokens in all",
    ),
    (
        "no such length",
        {"model": SMALL, "input": "x", "dimensions": 1537},
        (400, INVALID, "dimensions", None),
        "1 to 1536 dimensions",
    ),
    (
        "never shortened",
        {"model": "ada", "input": "x", "dimensions": 512},
        (400, INVALID, "dimensions", None),
        "1536 dimensions only",
    ),
    ("dimensions 0", {"model": SMALL, "input": "x", "dimensions": 0}, (400, INVALID, "dimensions", None), "at least 1"),
    ("dimensions 1.5", {"model": SMALL, "input": "x", "dimensions": 1.5}, (400, INVALID, "dimensions", None), "1.5"),
    ("dimensions true", {"model": SMALL, "input": "x", "dimensions": True}, (400, INVALID, "dimensions", None), "bool"),
    (
        "encoding",
        {"model": SMALL, "input": "x", "encoding_format": "md5"},
        (400, INVALID, "encoding_format", None),
        "`md5`",
    ),
    ("user", {"model": SMALL, "input": "x", "user": 7}, (400, INVALID, "user", None), "must be a string"),
    (
        "metadata",
        {"model": SMALL, "input": "x", "metadata": {"a": 1}},
        (400, INVALID, "metadata", None),
        "`a` is a number",
    ),
    ("input type", {"model": SMALL, "input": "x", "input_type": "poem"}, (400, INVALID, "input_type", None), "`poem`"),
    (
        "a role that the model lacks",
        {"model": "closed", "input": "x", "input_type": "clustering"},
        (400, INVALID, "input_type", None),
        "`query`, `document`",
    ),
    (
        "two roles",
        {"model": "closed:query", "input": "x", "input_type": "document"},
        (400, INVALID, "input_type", None),
        "fixes the input type to `query`",
    ),
    (
        "owned field",
        {"model": SMALL, "input": "x", "extra_body": {"dimensions": 3}},
        (400, INVALID, "dimensions", None),
        "cannot be set",
    ),
    ("field not let through", {"model": "closed", "input": "x", "tier": 1}, (400, INVALID, "tier", None), "`region`"),
    ("extra_body", {"model": SMALL, "input": "x", "extra_body": [1]}, (400, INVALID, "extra_body", None), "an array"),
    (
        "the provider refuses a field",
        {"model": SMALL, "input": "x", "temperature": 1},
        (400, INVALID, None, None),
        "The model's backend refused this request",
    ),
]


@pytest.mark.parametrize(
    ("body", "expected", "words"), [row[1:] for row in BAD_BODIES], ids=[row[0] for row in BAD_BODIES]
)
def test_bad_body(http: httpx.Client, body: Any, expected: tuple[int, str, str | None, str | None], words: str) -> None:
    """A wrong body gets OpenAI's envelope, and a message that says what is wrong."""
    answer = http.post("/v1/embeddings", json=body)

    assert (expected, True) == (shape(answer), words in answer.json()["error"]["message"])


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is empty"),
        (b"hello", "line 1, column 1"),
        (b'{"model": "m", "input": "x"', "is not valid JSON"),
        (b'{"model": "m", "input": "x", "dimensions": NaN}', "line 1, column 44"),
        (b'{"model": "m", "input": "\xff"}', "is not valid JSON"),
        (b'{"model": "m", "input": "\\ud800"}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'["model"]', "it is an array"),
        (b"null", "it is null"),
    ],
)
def test_no_json(http: httpx.Client, raw: bytes, words: str) -> None:
    """A body that is no JSON object gets a 400 that says where it goes wrong."""
    answer = http.post("/v1/embeddings", content=raw)

    assert ((400, INVALID, None, None), True) == (shape(answer), words in answer.json()["error"]["message"])


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/embeddings", (405, INVALID, None, "method_not_supported")),
        ("DELETE", "/v1/models", (405, INVALID, None, "method_not_supported")),
        ("POST", "/v1/embeddingz", (404, INVALID, None, None)),
        ("GET", "/", (404, INVALID, None, None)),
        ("POST", "/v1/chat/completions", (404, INVALID, None, None)),
        ("GET", "/v1/models/none", (404, INVALID, None, "model_not_found")),
        ("PURGE", "/v1/embeddings", (405, INVALID, None, "method_not_supported")),
    ],
)
def test_unknown_place(
    http: httpx.Client, method: str, path: str, expected: tuple[int, str, str | None, str | None]
) -> None:
    """An unknown path or method gets the envelope, too."""
    assert expected == shape(http.request(method, path))


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, None),
        (one_letter_wrong(KEY), "invalid_api_key"),
        (auth.new_key(), "invalid_api_key"),
        ("sk-proj-something-else-entirely", "invalid_api_key"),
        ("x" * 1_000, "invalid_api_key"),
    ],
    ids=["none", "one letter wrong", "unknown", "another service's", "long"],
)
def test_bad_key(gateway: GatewayProcess, key: str | None, code: str | None) -> None:
    """A missing or wrong key is a 401, before the body is looked at."""
    with gateway.client(key) as client:
        answer = client.post("/v1/embeddings", content=b"not json")

    assert (401, INVALID, None, code) == shape(answer)


def test_wrong_key_is_not_echoed(gateway: GatewayProcess) -> None:
    """The message shows only enough of a wrong key to recognise it."""
    wrong = one_letter_wrong(KEY)
    with gateway.client(wrong) as client:
        answer = client.post("/v1/embeddings")

    assert (False, True) == (wrong in answer.text, wrong[-4:] in answer.text)


@pytest.mark.parametrize(("path", "status"), [("/v1/embeddings", 401), ("/openai/v1/embeddings", 200)])
def test_api_key_header(gateway: GatewayProcess, path: str, status: int) -> None:
    """Azure's key header counts on Azure's paths alone."""
    with gateway.client(
        None,
    ) as client:
        answer = client.post(path, json={"model": SMALL, "input": "x"}, headers={"api-key": KEY})

    assert status == answer.status_code


def test_large_body(http: httpx.Client) -> None:
    """A body over the cap is refused by its declared length."""
    answer = http.post("/v1/embeddings", content=b"x" * (8 * 2**20 + 1))

    assert (413, INVALID, None, "request_too_large") == shape(answer)


def test_huge_chunked_body(http: httpx.Client) -> None:
    """200 MB without a declared length are refused while they arrive."""

    def chunks() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 2**20

    answer = http.post("/v1/embeddings", content=chunks())

    assert (413, INVALID, None, "request_too_large") == shape(answer)


def test_compressed_body(http: httpx.Client) -> None:
    """A compressed body is refused by name."""
    answer = http.post("/v1/embeddings", content=b"x", headers={"content-encoding": "gzip"})

    assert (415, INVALID, None, "unsupported_content_encoding") == shape(answer)


def raw_exchange(gateway: GatewayProcess, request: bytes) -> Answer:
    """What comes back for bytes that no HTTP client would send."""
    with RawClient(int(gateway.root_url.rpartition(":")[2])) as client:
        with contextlib.suppress(OSError):  # it may have had enough before it has read all
            client.send(request)
        return client.answer()


@pytest.mark.parametrize(
    ("request_bytes", "line"),
    [
        (b"BREW /v1/embeddings HTTP/1.1\r\nhost: x\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "HTTP/1.1 400 Bad Request"),
        (
            b"GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + b"x" * 2**20 + b"\r\n\r\n",
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
    ],
    ids=["unknown method", "TLS", "a megabyte of header"],
)
def test_no_http(gateway: GatewayProcess, request_bytes: bytes, line: str) -> None:
    """What is no HTTP request gets the envelope before the connection is closed."""
    answer = raw_exchange(gateway, request_bytes)
    error = json.loads(answer.body)["error"]

    assert (line, {"message", "type", "param", "code"}) == (answer.line, set(error))


def test_empty_bearer(gateway: GatewayProcess) -> None:
    """A bearer without a key is no key."""
    answer = raw_exchange(gateway, b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \r\n\r\n")

    assert 401 == answer.status


def test_slow_body(gateway: GatewayProcess) -> None:
    """A body that never ends is given up when the request's time is."""
    head = (
        f"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        "x-request-timeout-ms: 100\r\ncontent-length: 100\r\n\r\n{"
    )
    answer = raw_exchange(gateway, head.encode())

    assert 408 == answer.status


def test_require_space(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A route of another space than the client insists on is refused before any upstream call."""
    answer = http.post(
        "/v1/embeddings",
        json={"model": SMALL, "input": "x"},
        headers={"x-embedding-require-space": "openai/text-embedding-3-large"},
    )

    assert ((409, INVALID, None, "space_mismatch"), "false", []) == (
        shape(answer),
        answer.headers["x-should-retry"],
        openai_upstream.requests,
    )


@pytest.mark.parametrize("wish", ["0", "-1", "soon", "1.5", "", "٣"])
def test_bad_timeout_wish(http: httpx.Client, wish: str) -> None:
    """A time-out that is no whole number of milliseconds is refused."""
    answer = http.post(
        "/v1/embeddings", json={"model": SMALL, "input": "x"}, headers=[(b"x-request-timeout-ms", wish.encode())]
    )

    assert 400 == answer.status_code


def test_client_shortens_the_timeout(http: httpx.Client, openai_upstream: FakeOpenAI) -> None:
    """A client's shorter time-out ends the request when the client wants it ended."""
    openai_upstream.behave(mishaps.never_answers())
    before = time.monotonic()
    answer = http.post("/v1/embeddings", json={"model": SMALL, "input": "x"}, headers={"x-request-timeout-ms": "3000"})

    assert ((504, "server_error", None, "upstream_timeout"), True) == (shape(answer), time.monotonic() - before < 18)


def test_own_request_id(http: httpx.Client) -> None:
    """A client's own request id comes back."""
    answer = http.get("/v1/models", headers={"x-request-id": "abc-123"})

    assert "abc-123" == answer.headers["x-request-id"]


def test_insane_request_id(http: httpx.Client) -> None:
    """A request id that could harm a log is replaced."""
    answer = http.get("/v1/models", headers={"x-request-id": "a b\tc"})

    assert answer.headers["x-request-id"].startswith("req_")


def test_log_line(http: httpx.Client, gateway: GatewayProcess) -> None:
    """One request leaves one line: who, what, how much, how it went."""
    http.post(
        "/v1/embeddings",
        json={
            "model": SMALL,
            "input": ["top secret text", "x"],
            "metadata": {"job": "nightly"},
            "user": "private-user",
        },
        headers={"x-request-id": "logged-1"},
    )

    line = gateway.request_log("logged-1")
    measured = {name: line.pop(name) for name in ("at", "ms")}

    assert (
        {
            "level": "info",
            "event": "request",
            "id": "logged-1",
            "method": "POST",
            "path": "/v1/embeddings",
            "status": 200,
            "key": "tests",
            "model": SMALL,
            "items": 2,
            "lane": "interactive",
            "tokens": 4,
            "targets": ["openai-0"],
            "metadata": {"job": "nightly"},
        },
        True,
    ) == (line, measured["ms"] > 0)


def test_logs_hold_no_secret(http: httpx.Client, gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """No text, vector or key of any request, good or bad, is in the log."""
    secret = "a text that nobody else may read"
    openai_upstream.behave(mishaps.error(400, message=f"cannot embed {secret}"))
    for body in ({"model": SMALL, "input": secret}, {"model": "no", "input": [secret, 1]}, {"model": secret * 9}):
        http.post("/v1/embeddings", json=body)
    http.post("/v1/embeddings", content=json.dumps({"input": secret})[:-1].encode())

    assert [False] * 3 == [
        hidden in gateway.stderr for hidden in (secret[:15] + "t that", KEY, openai_upstream.api_key)
    ]


def test_long_url(gateway: GatewayProcess) -> None:
    """A URL that never ends is given up, before anybody has shown a key."""
    host, port = gateway.root_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /" + b"a" * 1000)
        for _ in range(100):
            try:
                connection.sendall(b"a" * 2**18)
            except OSError:  # it has closed already
                break
        else:
            raise AssertionError("25 MB of URL were taken")


def test_many_long_texts(http: httpx.Client) -> None:
    """The first of many texts that are too long ends the counting."""
    answer = http.post("/v1/embeddings", json={"model": SMALL, "input": ["a" * 900_000] * 8})

    assert ((400, INVALID, "input", "context_length_exceeded"), True) == (
        shape(answer),
        "`input[0]`" in answer.json()["error"]["message"],
    )


def test_special_ids(http: httpx.Client) -> None:
    """Ids that mark the end of a text are no text for a model of another vocabulary."""
    answer = http.post("/v1/embeddings", json={"model": "local", "input": [[15339], [15339, 100257]]})

    assert ((400, INVALID, "input", None), True) == (
        shape(answer),
        answer.json()["error"]["message"].startswith("`input[1]`: The token id at position 1"),
    )


@pytest.mark.parametrize("field", ["model", "input", "dimensions", "encoding_format", "user"])
def test_owned_fields_of_a_local_model(http: httpx.Client, field: str) -> None:
    """OpenAI's own fields cannot be hidden in `extra_body`, whatever the backend."""
    answer = http.post("/v1/embeddings", json={"model": "local", "input": "x", "extra_body": {field: "x"}})

    assert (400, INVALID, field, None) == shape(answer)


def test_header_secrets_stay_here(tmp_path: pathlib.Path) -> None:
    """An upstream that quotes a configured header does not tell the client what it holds."""
    with FakeOpenAI() as fake:
        models = (
            f"m: {{targets: [{{provider: openai, model: {SMALL}, base_url: '{fake.base_url}', "
            f"api_key: {fake.api_key}, headers: {{x-team-key: correct-horse-battery}}}}]}}"
        )
        with GatewayProcess(tmp_path, models) as gateway, gateway.client() as http:
            fake.behave(mishaps.error(400, message="Bad x-team-key: correct-horse-battery."))
            answer = http.post("/v1/embeddings", json={"model": "m", "input": "x"})

    assert "The model's backend refused this request: Bad x-team-key: [hidden]." == answer.json()["error"]["message"]


def test_counting_keeps_to_the_deadline(http: httpx.Client) -> None:
    """A request whose time is up while its tokens are counted is told so."""
    answer = http.post(
        "/v1/embeddings",
        json={"model": SMALL, "input": [" " * 900_000 + letter for letter in "abcde"]},
        headers={"x-request-timeout-ms": "1000"},
    )

    assert (504, "server_error", None, "upstream_timeout") == shape(answer)
