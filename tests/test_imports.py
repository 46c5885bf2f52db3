"""What a process that serves has in memory, and what it has not."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import textwrap

import pytest

from gateway.auth import key_hash, new_key

OPTIONAL = (
    *("botocore", "cryptography", "hiredis", "httpx", "jinja2", "jwt", "onnxruntime", "opentelemetry", "redis"),
    "tokenizers",
)

SERVING = f"""
import pathlib, sys
from gateway import build, loading, serving, vocabulary

house = build.house(loading.load(pathlib.Path("gateway.yaml")))
print(*(name for name in {OPTIONAL} if name in sys.modules), *["cl100k"] * vocabulary.is_loaded())
"""

KEY = f"keys: [{{name: a, sha256: {key_hash(new_key())}, limits: {{tpm: 1000}}}}]"
SQLITE = "sqlite:///gateway.db"
GOOGLE = "{issuer: https://accounts.google.com, audience: a, jwks_url: https://www.googleapis.com/oauth2/v3/certs}"


def imported(folder: pathlib.Path, access: str = "", state: str = SQLITE) -> set[str]:
    (folder / "secret").write_text("x" * 32)
    (folder / "gateway.yaml").write_text(
        textwrap.dedent(f"""
            state: {{url: "{state}"}}
            cache: {{memory: 1MiB}}
            auth:
              {KEY}
              {access}
            models:
              small: {{targets: [{{provider: openai, model: text-embedding-3-small, api_key: secret-of-openai}}]}}
        """)
    )
    done = subprocess.run([sys.executable, "-c", SERVING], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_what_is_not_configured_is_not_imported(tmp_path: pathlib.Path) -> None:
    """A worker in front of a service has nothing in memory that only other configurations need: no client of Redis, no
    templates of the console, no signatures of tokens, and no tokenizer before there is something to count.
    """
    assert imported(tmp_path) == set()


@pytest.mark.parametrize(
    ("access", "state", "expected"),
    [
        ("admin_key: 0123456789abcdef", SQLITE, {"jinja2"}),
        (f"jwt: [{GOOGLE}]", SQLITE, {"cryptography", "jwt"}),
        ("signing_key_file: secret", SQLITE, {"cryptography", "jwt"}),
        ("", "redis://127.0.0.1:1", {"hiredis"}),
        ("", "redis+cluster://127.0.0.1:1", {"hiredis", "redis"}),
    ],
    ids=["console", "issuer", "minting", "redis", "cluster"],
)
def test_what_is_configured_is_imported(tmp_path: pathlib.Path, access: str, state: str, expected: set[str]) -> None:
    """What will be used is there before the first request, which does not wait for it."""
    assert expected <= imported(tmp_path, access, state)
