"""Identity providers and the signing key of the routing file become their values."""

from __future__ import annotations

from collections.abc import Collection

from gateway import access_rules, proxies
from gateway.auth import SHORTEST_ADMIN_KEY
from gateway.claims import ClaimNames, Issuer
from gateway.document import Path
from gateway.id_tokens import OpenIdClient
from gateway.minted import LEAST_SECRET
from gateway.reading import Reading
from gateway.schema import AuthShape


def issuers(reading: Reading, shape: AuthShape, teams: Collection[str]) -> tuple[Issuer, ...]:
    found: dict[str, Issuer] = {}
    for index, jwt in enumerate(shape.jwt):
        path: Path = ("auth", "jwt", index)
        if jwt.issuer in found:
            reading.problem((*path, "issuer"), "this issuer is listed twice; one entry can have several audiences")
        if jwt.team is not None and jwt.team not in teams:
            reading.problem((*path, "team"), "there is no such team under `teams`")
        found[jwt.issuer] = Issuer(
            name=jwt.issuer,
            audiences=frozenset([jwt.audience] if isinstance(jwt.audience, str) else jwt.audience),
            jwks_url=jwt.jwks_url,
            algorithms=tuple(jwt.algorithms),
            leeway=jwt.leeway,
            claims=ClaimNames(**jwt.claims.model_dump()),
            models=tuple(shape.default_models if jwt.models is None else jwt.models),
            team=jwt.team,
            rates=access_rules.rates(jwt.limits),
            proxy=proxies.for_url(jwt.jwks_url, reading.environ),
        )
    return tuple(found.values())


def operators(reading: Reading, shape: AuthShape, admin_key: str | None) -> OpenIdClient | None:
    """`admin_key` is None, too, where its file could not be read."""
    console, path = shape.console, ("auth", "console")
    if console is None:
        return None
    if len(admin_key or "") < SHORTEST_ADMIN_KEY and not (admin_key is None and shape.admin_key_file):
        reading.problem(
            ("auth", "admin_key"),
            f"`auth.console` needs it too, of at least {SHORTEST_ADMIN_KEY} characters: without it there is no /admin",
        )
    if "openid" not in console.scopes:
        reading.problem((*path, "scopes"), "must hold `openid`: the provider gives no ID token without it")
    secret = None
    if console.client_secret_file is not None:
        secret = reading.text_of(console.client_secret_file, (*path, "client_secret_file"))
        if secret == "":
            reading.problem((*path, "client_secret_file"), "is empty; a public client has no such key")
    return OpenIdClient(
        issuer=Issuer(
            name=console.issuer,
            audiences=frozenset([console.client_id]),
            jwks_url=console.jwks_url,
            algorithms=tuple(console.algorithms),
            leeway=console.leeway,
            proxy=proxies.for_url(console.jwks_url, reading.environ),
        ),
        client_id=console.client_id,
        client_secret=secret,
        authorization_url=console.authorization_url,
        token_url=console.token_url,
        redirect_url=console.redirect_url,
        scopes=tuple(console.scopes),
        claim=console.claim,
        values=frozenset(console.values),
        label=console.label,
        token_proxy=proxies.for_url(console.token_url, reading.environ),
    )


def signing_key(reading: Reading, shape: AuthShape) -> bytes | None:
    if shape.signing_key_file is None:
        return None
    path: Path = ("auth", "signing_key_file")
    secret = reading.bytes_of(shape.signing_key_file, path)
    if secret is not None and len(secret) < LEAST_SECRET:
        reading.problem(
            path, f"holds {len(secret)} bytes, and {LEAST_SECRET} are needed; `openssl rand -base64 48` makes some"
        )
    return secret
