"""Identity providers and the signing key of the routing file become their values."""

from __future__ import annotations

from collections.abc import Collection

from gateway import access_rules, proxies
from gateway.claims import ClaimNames, Issuer
from gateway.document import Path
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
