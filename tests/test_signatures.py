"""Tokens and their signatures: what is one, whose it is, and every known way to pretend."""

from __future__ import annotations

import base64
import json
from typing import Any, get_args

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.signatures import Algorithm, PublicKey, Seal, Token, is_signed, looks_like_token, public_key, taken_apart
from tests.fakes.issuer import jwk_of, private_key

ALGORITHMS = get_args(Algorithm)
SECRET = b"0123456789abcdef" * 2


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def token(text: str) -> Token:
    found = taken_apart(text)
    assert found is not None
    return found


def key(algorithm: str = "RS256", number: int = 0, **members: Any) -> PublicKey:
    found = public_key({**jwk_of(private_key(algorithm, number)), **members})
    assert found is not None
    return found


def signed(algorithm: str, number: int = 0, **header: Any) -> str:
    return jwt.encode({"a": 1}, private_key(algorithm, number), algorithm, header)


# ── what a token is ───────────────────────────────────────────────────────────────────────────────────────────────


def test_taken_apart() -> None:
    """A token is its header and its claims, before anything is known of its signature."""
    found = token(f"{part({'alg': 'RS256'})}.{part({'sub': 'é'})}.x")

    assert ({"alg": "RS256"}, {"sub": "é"}) == (found.header, found.claims)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "a.b",
        "a.b.c.d",
        f"{part({})}.{part({})}",
        f"{part([])}.{part({})}.x",
        f"{part({})}.{part('a')}.x",
        f"{part(b'{')}.{part({})}.x",
        f"{part(bytes([255]))}.{part({})}.x",
        f"a.{part({})}.x",
        f"{part({})}=.{part({})}.x",
        f" {part({})}.{part({})}.x",
        f"{part({})}.{part({})}.x\n",
        f"{part({})}.{part({})}.é",
        f"{part({})}.{part(b'[' * 10_000)}.x",
        f"{part({})}.{part(b'[' * 5_000 + b']' * 5_000)}.x",
        part(b'{"a":' * 3_000 + b"1" + b"}" * 3_000) + f".{part({})}.x",
        f"{part({})}.{part(b'{' + chr(34).encode() + b'a' + chr(34).encode() + b': NaN}')}.x",
    ],
)
def test_no_token(text: str) -> None:
    """What has another form, other parts, or a bomb in them is no token."""
    assert taken_apart(text) is None


@given(st.text() | st.text("eyJ0.-_=", max_size=50))
def test_any_text(text: str) -> None:
    """No text whatever breaks the reading, and what is read looks like a token."""
    found = taken_apart(text)

    assert found is None or looks_like_token(text)


# ── whose it is ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_right_signature(algorithm: str) -> None:
    """A signature of each algorithm is right under its own key and its own name, and under no other."""
    mine = token(signed(algorithm))
    keys = {other: key(other, alg=other) for other in ALGORITHMS}
    right = [(other, as_if) for other, one in keys.items() for as_if in ALGORITHMS if is_signed(mine, one, as_if)]

    assert [(algorithm, algorithm)] == right


def test_larger_edwards_curve() -> None:
    """EdDSA has two curves."""
    mine = jwt.encode({}, private_key("Ed448"), "EdDSA")

    assert is_signed(token(mine), key("Ed448"), "EdDSA")


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_another_key(algorithm: str) -> None:
    """A signature is wrong under another key of the same kind."""
    assert not is_signed(token(signed(algorithm)), key(algorithm, 1), algorithm)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_changed(place: int) -> None:
    """A token any part of which was changed is not signed."""
    parts = signed("ES256").split(".")
    parts[place] = part({"alg": "ES256", "a": 2} if place < 2 else b"0" * 64)

    assert not is_signed(token(".".join(parts)), key("ES256"), "ES256")


def public_forms() -> list[bytes]:
    """Everything that somebody could take for the secret who knows the public key alone."""
    public = private_key("RS256").public_key()
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    info, pkcs1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
    forms = [public.public_bytes(encoding, form) for encoding in (pem, der) for form in (info, pkcs1)]
    return [*forms, forms[0].strip(), json.dumps(jwk_of(private_key("RS256"))).encode(), b""]


@pytest.mark.parametrize("secret", public_forms())
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "hs256", "RS256"])
def test_algorithm_confusion(secret: bytes, algorithm: str) -> None:
    """A token that was sealed with the public key as if it were a secret is not signed, whatever it calls itself."""
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part({'a': 1})}"
    forged = token(f"{text}.{part(hmac.sign(text.encode(), secret))}")

    assert [] == [as_if for as_if in (*ALGORITHMS, algorithm) if is_signed(forged, key(), as_if)]


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, [], "RS256 ", "rs256"])
@pytest.mark.parametrize("signature", ["", "x"])
def test_no_signature(algorithm: object, signature: str) -> None:
    """A token without a signature is not signed, however it spells that."""
    forged = token(f"{part({'alg': algorithm})}.{part({'a': 1})}.{signature}")

    assert [] == [as_if for as_if in (*ALGORITHMS, str(algorithm)) if is_signed(forged, key(), as_if)]


def test_key_in_the_header() -> None:
    """A key that a token brings along does not count."""
    own = jwk_of(private_key("RS256", 1))
    forged = signed("RS256", 1, jwk=own, jku="https://evil.example.com/jwks", x5u="https://evil.example.com/x", kid="k")

    assert not is_signed(token(forged), key("RS256", kid="k"), "RS256")


def test_unencoded_payload() -> None:
    """A token whose claims are said to lie elsewhere is not signed."""
    text = jwt.PyJWS().encode(b"{}", private_key("RS256"), "RS256", {"b64": False}, is_payload_detached=True)
    first, _, last = text.split(".")

    assert not is_signed(token(f"{first}.{part({})}.{last}"), key(), "RS256")


def test_invalid_curve_signature() -> None:
    """A signature of zeros is wrong: https://nvd.nist.gov/vuln/detail/CVE-2022-21449."""
    parts = signed("ES256").split(".")

    assert not is_signed(token(f"{parts[0]}.{parts[1]}.{part(bytes(64))}"), key("ES256"), "ES256")


# ── the keys of a set ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("members", "fits"),
    [
        ({}, True),
        ({"use": "sig", "kid": "k"}, True),
        ({"key_ops": ["verify"]}, True),
        ({"alg": "RS256", "x5c": [], "unknown": 1}, True),
        ({"alg": "RS512"}, False),
    ],
)
def test_key(members: dict[str, Any], fits: bool) -> None:
    """A key is for what its owner says."""
    assert fits == key("RS256", **members).fits("RS256")


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"key_ops": 1},
        {"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZg"},
        {"kty": "EC"},
        {"kty": ["RSA"]},
        {"kty": None},
        {"kid": 1},
        {"alg": 1},
        {"n": 1},
        {"n": "é"},
        {"n": ""},
        {"e": "AA"},
        {"e": None},
        jwk_of(rsa.generate_private_key(65537, 1024)),  # noqa: S505 (that is the point)
    ],
)
def test_no_key(members: dict[str, Any]) -> None:
    """What is for something else, too weak, of another kind or broken is no key."""
    assert public_key({**jwk_of(private_key("RS256")), **members}) is None


@pytest.mark.parametrize(
    "members", [{"crv": "secp256k1"}, {"crv": "P-384"}, {"crv": "Ed25519"}, {"crv": None}, {"x": "AA"}, {"y": None}]
)
def test_no_point(members: dict[str, Any]) -> None:
    """What is no point of a curve that is known is no key."""
    assert public_key({**jwk_of(private_key("ES256")), **members}) is None


@pytest.mark.parametrize("value", [None, 1, "a", [], {}])
def test_no_jwk(value: object) -> None:
    """What is no JSON Web Key at all is no key."""
    assert public_key(value) is None


def test_private_key_in_a_set() -> None:
    """Of a private key that was published by mistake, the public half counts."""
    published = jwt.algorithms.RSAAlgorithm.to_jwk(private_key("RS256"), as_dict=True)
    published.pop("key_ops")
    found = public_key(published)

    assert found is not None
    assert not hasattr(found.key, "sign")


def test_nothing_is_shown() -> None:
    """Neither a token nor a key shows itself."""
    shown = repr(token(signed("RS256"))) + repr(key("RS256"))

    assert [] == [word for word in (signed("RS256")[-20:], "header", "object at") if word in shown]


# ── the gateway's own ─────────────────────────────────────────────────────────────────────────────────────────────


def test_sealed() -> None:
    """What was sealed is read again."""
    assert {"sub": "é", "n": [1.5]} == Seal(SECRET, "p").claims(Seal(SECRET, "p").sealed({"sub": "é", "n": [1.5]}))


def test_other_seals() -> None:
    """Another secret's seal, and one for another purpose, are not ours."""
    ours = Seal(SECRET, "p")

    assert [None, None] == [ours.claims(other.sealed({})) for other in (Seal(SECRET[1:], "p"), Seal(SECRET, "q"))]


def test_purpose_in_a_copied_header() -> None:
    """A token for one purpose is not one for another, even with its header rewritten."""
    _, claims, seal = Seal(SECRET, "p").sealed({}).split(".")
    header = part({"alg": "HS256", "typ": "q"})

    assert Seal(SECRET, "q").claims(f"{header}.{claims}.{seal}") is None


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "a.b.c",
        f"{part({'alg': 'none', 'typ': 'p'})}.{part({})}.",
        jwt.encode({}, SECRET, "HS256", {"typ": "p"}),
        jwt.encode({}, private_key("RS256"), "RS256", {"typ": "p"}),
    ],
)
def test_forged_seal(forged: str) -> None:
    """What was not sealed here is not ours, the secret itself used as a key included."""
    assert Seal(SECRET, "p").claims(forged) is None
