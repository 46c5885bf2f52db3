"""Exchanges of a lasting secret for a token: what is asked, and what the answers say."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from providers import token_grants
from providers.base import Fault, FaultKind, Request, Response
from providers.token_grants import FormGrant, Token
from tests.fakes.google_account import EMAIL, KEY_ID, PUBLIC, key_file, pem

NOW = 1_700_000_000.75
FORM = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}


def form(request: Request) -> dict[str, str]:
    """What a request's body says, each name once."""
    pairs = urllib.parse.parse_qsl(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def response(payload: object, status: int = 200, **headers: str) -> Response:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Response(status, headers, raw)


# ── Google ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_assertion() -> None:
    """Google is sent an assertion about its account that is good for an hour, signed with the account's key."""
    request = token_grants.service_account(key_file()).request(NOW)
    sent = form(request)
    claims = jwt.decode(
        sent["assertion"],
        PUBLIC,
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
        options={"verify_exp": False, "verify_iat": False},
    )

    assert {
        "iss": EMAIL,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    } == claims
    assert {"alg": "RS256", "typ": "JWT", "kid": KEY_ID} == jwt.get_unverified_header(sent["assertion"])
    assert {"grant_type", "assertion"} == set(sent)
    assert "urn:ietf:params:oauth:grant-type:jwt-bearer" == sent["grant_type"]


def test_address() -> None:
    """The file says where its account buys tokens, and that is whom the assertion is for."""
    request = token_grants.service_account(key_file(token_uri="http://here/t")).request(NOW)
    claims = jwt.decode(form(request)["assertion"], options={"verify_signature": False})

    assert ("POST", "http://here/t", FORM, "http://here/t") == (
        request.method,
        request.url,
        request.headers,
        claims["aud"],
    )


def test_same_assertion() -> None:
    """The same moment gives the same request."""
    account = token_grants.service_account(key_file())

    assert account.request(NOW) == account.request(NOW)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        (
            "[]",
            "is no key file of a service account: "
            "`client_email`, `private_key`, `private_key_id`, `token_uri` not in it",
        ),
        (key_file(client_email=""), "is no key file of a service account: `client_email` not in it"),
        (key_file(token_uri=5), "is no key file of a service account: `token_uri` not in it"),
        (key_file(private_key="S3cret"), "its `private_key` is no RSA key in PEM"),
        (key_file(private_key="S3crét"), "its `private_key` is no RSA key in PEM"),
        (key_file(private_key=pem(password=b"x")), "its `private_key` is no RSA key in PEM"),
        (key_file(private_key=pem(ec.generate_private_key(ec.SECP256R1()))), "its `private_key` is no RSA key in PEM"),
        (
            key_file(
                private_key=PUBLIC.public_bytes(
                    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
                ).decode()
            ),
            "its `private_key` is no RSA key in PEM",
        ),
    ],
    ids=["no JSON", "no object", "empty", "no text", "no key", "no ASCII", "locked", "elliptic", "public"],
)
def test_other_files(text: str, sentence: str) -> None:
    """A file that is no service account's is refused without being quoted."""
    with pytest.raises(ValueError, match="is") as caught:
        token_grants.service_account(text)

    assert sentence == str(caught.value)


# ── IBM and Entra ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_ibm() -> None:
    """IBM is sent the key in a form."""
    request = token_grants.ibm("a+b&c=d").request(NOW)

    assert ("POST", "https://iam.cloud.ibm.com/identity/token", FORM) == (request.method, request.url, request.headers)
    assert {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": "a+b&c=d"} == form(request)


@pytest.mark.parametrize("authority", ["https://login.microsoftonline.com", "https://login.microsoftonline.com/"])
def test_entra(authority: str) -> None:
    """Entra is sent the application's secret in a form, at the directory's own address."""
    request = token_grants.entra("acme.com", "app-1", "s~e&c", "https://x/.default", authority).request(NOW)

    assert ("POST", "https://login.microsoftonline.com/acme.com/oauth2/v2.0/token", FORM) == (
        request.method,
        request.url,
        request.headers,
    )
    assert {
        "grant_type": "client_credentials",
        "client_id": "app-1",
        "client_secret": "s~e&c",
        "scope": "https://x/.default",
    } == form(request)


def test_secrets_hide() -> None:
    """No grant and no token shows its secrets."""
    shown = [
        token_grants.service_account(key_file()),
        token_grants.ibm("S3cret"),
        token_grants.entra("t", "c", "S3cret", "s", "a"),
        Token("S3cret", 1),
    ]

    assert ("S3cret" in repr(shown), "PRIVATE" in repr(shown), "RSA" in repr(shown)) == (False, False, False)


@pytest.mark.parametrize("other", ["k-1", "k-2"])
def test_equal_grants(other: str) -> None:
    """Grants are equal when they buy the same token."""
    same = other == "k-1"
    first, second = (token_grants.service_account(key_file(private_key_id=key)) for key in ("k-1", other))
    ones: list[FormGrant] = [token_grants.ibm(key) for key in ("k-1", other)]

    assert (same, same) == (first == second and hash(first) == hash(second), len(set(ones)) == 1)


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"access_token": "ya29.a-b_c", "expires_in": 3599, "token_type": "Bearer"}, Token("ya29.a-b_c", 3599.0)),
        (
            {"access_token": "e", "refresh_token": "r", "expires_in": 3600, "expiration": 1473188353},
            Token("e", 3600.0),
        ),
        ({"access_token": "e", "expires_in": 0.5}, Token("e", 0.5)),
    ],
    ids=["Google", "IBM", "a moment"],
)
def test_answer(payload: object, expected: Token) -> None:
    """A token comes with its lifetime."""
    assert expected == token_grants.parse(response(payload))


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (b"<html>", "is not JSON"),
        ([], "has no `access_token` that could be sent"),
        ({"expires_in": 1}, "has no `access_token` that could be sent"),
        ({"access_token": "", "expires_in": 1}, "has no `access_token` that could be sent"),
        ({"access_token": "a b", "expires_in": 1}, "has no `access_token` that could be sent"),
        ({"access_token": "a\r\nHost: x", "expires_in": 1}, "has no `access_token` that could be sent"),
        ({"access_token": 5, "expires_in": 1}, "has no `access_token` that could be sent"),
        *(
            ({"access_token": "S3cret", "expires_in": value}, "has no `expires_in` in seconds")
            for value in (0, -1, True, None, "3600", [1])
        ),
        (b'{"access_token": "S3cret", "expires_in": 1e999}', "is not JSON"),
    ],
    ids=str,
)
def test_wrong_answer(payload: object, what: str) -> None:
    """An answer of success without a token that can be used is malformed."""
    expected = Fault(FaultKind.MALFORMED, f"the answer of its token endpoint {what}", 200)

    assert expected == token_grants.parse(response(payload))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, FaultKind.MISCONFIGURED),
        (400, FaultKind.MISCONFIGURED),
        (401, FaultKind.MISCONFIGURED),
        (403, FaultKind.MISCONFIGURED),
        (404, FaultKind.MISCONFIGURED),
        (422, FaultKind.MISCONFIGURED),
        (429, FaultKind.THROTTLED),
        (500, FaultKind.BROKEN),
        (503, FaultKind.OVERLOADED),
    ],
)
def test_refusal(status: int, kind: FaultKind) -> None:
    """A refused exchange is the configuration's fault, unless the endpoint is out of order; nothing of it is quoted."""
    said: dict[str, Any] = {"error": "invalid_grant", "error_description": "S3cret is wrong"}
    expected = Fault(kind, f"its token endpoint answered with status {status}", status, 7.0)

    assert expected == token_grants.parse(response(said, status, **{"retry-after": "7"}))
