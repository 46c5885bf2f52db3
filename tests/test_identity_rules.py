"""Identity providers and the signing key of a routing file become values, or problems at their places."""

from __future__ import annotations

import pathlib
import re

import pytest

from gateway.allowances import Rates
from gateway.claims import ClaimNames, Issuer
from gateway.config import Config, ConfigError
from gateway.id_tokens import OpenIdClient
from gateway.loading import load

REST = """
teams: {search: {}}
models: {m: {targets: [{provider: static, path: wordllama}]}}
"""
CONSOLE = (
    "{issuer: https://i/, client_id: c, authorization_url: https://i/a, token_url: https://i/t, jwks_url: https://i/k, "
    "redirect_url: https://g/admin/ui/login/oidc, values: [admins]}"
)
LEAST = "issuer: https://i/, audience: a, jwks_url: https://i/k"


def with_console(change: str) -> str:
    """A key that is there already is replaced."""
    key = change.partition(":")[0]
    rest = re.sub(rf"\b{key}: (\[.*?\]|[^,}}]*),? ?", "", CONSOLE)
    return f"{{admin_key: 0123456789abcdef, console: {{{change}, {rest[1:]}}}"


def loaded(folder: pathlib.Path, access: str, **environ: str) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(f"auth: {access}\n{REST}")
    return load(file, environ)


def problems(folder: pathlib.Path, access: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, access)
    return [re.sub(r"^.*?:\d+: ", "", line) for line in caught.value.lines()]


def test_nothing(tmp_path: pathlib.Path) -> None:
    """Nobody's tokens are taken, and no keys minted, unless the file says so."""
    config = loaded(tmp_path, "{}")

    assert ((), None) == (config.issuers, config.signing_key)


def test_least(tmp_path: pathlib.Path) -> None:
    """An issuer, an audience and the address of its keys are enough; its tokens may use nothing."""
    [issuer] = loaded(tmp_path, f"{{jwt: [{{{LEAST}}}]}}").issuers

    assert Issuer("https://i/", frozenset({"a"}), "https://i/k", ("RS256",), 30.0, ClaimNames(), ()) == issuer


def test_all(tmp_path: pathlib.Path) -> None:
    """Everything that can be said of an issuer arrives."""
    text = """
  jwt:
    - issuer: https://i/
      audience: [a, b]
      jwks_url: https://i/k?p=1
      algorithms: [ES256, EdDSA]
      leeway: 1m
      claims: {name: email, models: roles}
      models: ["x-*"]
      team: search
      limits: {rpm: 5}
"""
    [issuer] = loaded(tmp_path, text, HTTPS_PROXY="http://proxy:3128").issuers

    assert issuer == Issuer(
        name="https://i/",
        audiences=frozenset({"a", "b"}),
        jwks_url="https://i/k?p=1",
        algorithms=("ES256", "EdDSA"),
        leeway=60.0,
        claims=ClaimNames("email", "roles"),
        models=("x-*",),
        team="search",
        rates=Rates(rpm=5),
        proxy="http://proxy:3128",
    )


@pytest.mark.parametrize(("models", "expected"), [("", ("d",)), (", models: []", ()), (", models: [x]", ("x",))])
def test_default_models(tmp_path: pathlib.Path, models: str, expected: tuple[str, ...]) -> None:
    """An issuer that names no models has the default's."""
    [issuer] = loaded(tmp_path, f"{{default_models: [d], jwt: [{{{LEAST}{models}}}]}}").issuers

    assert expected == issuer.models


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        ("{jwt: [{issuer: i, audience: a}]}", "auth.jwt[0].jwks_url: is missing"),
        (f"{{jwt: [{{{LEAST}, algorithms: [none]}}]}}", "auth.jwt[0].algorithms[0]: must be 'RS256', 'RS384'"),
        (f"{{jwt: [{{{LEAST}, algorithms: [RS256, HS256]}}]}}", "auth.jwt[0].algorithms[1]: must be 'RS256', 'RS384'"),
        (f"{{jwt: [{{{LEAST}, algorithms: [rs256]}}]}}", "auth.jwt[0].algorithms[0]: must be 'RS256', 'RS384'"),
        (f"{{jwt: [{{{LEAST}, algorithms: []}}]}}", "auth.jwt[0].algorithms: must hold at least 1"),
        (f"{{jwt: [{{{LEAST}, leeway: 1h}}]}}", "auth.jwt[0].leeway: must be at most 5m"),
        (f"{{jwt: [{{{LEAST}, team: ads}}]}}", "auth.jwt[0].team: there is no such team under `teams`"),
        (f"{{jwt: [{{{LEAST}}}, {{{LEAST}}}]}}", "auth.jwt[1].issuer: this issuer is listed twice"),
        (f"{{jwt: [{{{LEAST}, clams: {{}}}}]}}", "auth.jwt[0].clams: unknown key; did you mean `claims`?"),
        ("{jwt: [{issuer: i, audience: [], jwks_url: https://i/k}]}", "auth.jwt[0].audience: "),
        ("{jwt: [{issuer: i, audience: 1, jwks_url: https://i/k}]}", "auth.jwt[0].audience: must be a string"),
        ("{jwt: [{issuer: '', audience: a, jwks_url: https://i/k}]}", "auth.jwt[0].issuer: must have at least 1"),
        ("{jwt: [{issuer: i, audience: a, jwks_url: http://i/k}]}", "auth.jwt[0].jwks_url: must be https://"),
        (f"{{console: {CONSOLE}}}", "auth.admin_key: `auth.console` needs it too, of at least 16 characters"),
        (f"{{admin_key: short, console: {CONSOLE}}}", "auth.admin_key: `auth.console` needs it too"),
        (with_console("scopes: [email]"), "auth.console.scopes: must hold `openid`"),
        (with_console("scopes: ['openid email']"), "auth.console.scopes[0]: must be one scope"),
        (with_console("values: []"), "auth.console.values: must hold at least 1"),
        (with_console("algorithms: [HS256]"), "auth.console.algorithms[0]: must be 'RS256', 'RS384'"),
        (with_console("token_url: http://i/t"), "auth.console.token_url: must be https://"),
        (
            with_console("redirect_url: https://g/admin"),
            "auth.console.redirect_url: must be the address of this gateway",
        ),
        (with_console("client_secret_file: missing"), "auth.console.client_secret_file: cannot be read"),
        (with_console("client_secret_file: empty"), "auth.console.client_secret_file: is empty"),
        ("{signing_key_file: missing}", "auth.signing_key_file: cannot be read: No such file or directory"),
        ("{signing_key_file: short}", "auth.signing_key_file: holds 31 bytes, and 32 are needed"),
    ],
)
def test_problem(tmp_path: pathlib.Path, access: str, problem: str) -> None:
    """What cannot be meant is told at its place."""
    (tmp_path / "short").write_bytes(b"x" * 31)
    (tmp_path / "empty").write_bytes(b"\n")
    [told] = problems(tmp_path, access)

    assert told.startswith(problem)


def test_operators(tmp_path: pathlib.Path) -> None:
    """The console's provider arrives with its defaults; its secret does not show."""
    (tmp_path / "client").write_text(" a secret\n")
    config = loaded(tmp_path, with_console("client_secret_file: client"), HTTPS_PROXY="http://proxy:3128")

    assert config.operators == OpenIdClient(
        issuer=Issuer("https://i/", frozenset({"c"}), "https://i/k", proxy="http://proxy:3128"),
        client_id="c",
        client_secret="a secret",
        authorization_url="https://i/a",
        token_url="https://i/t",
        redirect_url="https://g/admin/ui/login/oidc",
        scopes=("openid",),
        claim="groups",
        values=frozenset({"admins"}),
        label="single sign-on",
        token_proxy="http://proxy:3128",
    )
    assert "a secret" not in repr(config)
    assert config.issuers == ()


@pytest.mark.parametrize("secret", [b"x" * 32, bytes(range(256)), b"\n" * 40])
def test_signing_key(tmp_path: pathlib.Path, secret: bytes) -> None:
    """The signing key is the bytes of its file, whatever they are, and does not show."""
    (tmp_path / "secret").write_bytes(secret)
    config = loaded(tmp_path, "{signing_key_file: secret}")

    assert (secret, False) == (config.signing_key, repr(secret) in repr(config))
