"""Who stands at the door: keys, issuers and secrets of a `Config` become an `Authenticator` and an `AdminGuard`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway import addresses
from gateway.assembly import BuildError
from gateway.authentication import AdminGuard, Authenticator
from gateway.claims import Issuer
from gateway.config import Config
from gateway.failures import Failures
from gateway.key_sets import FETCH_SECONDS, LARGEST_SET, KeySet
from gateway.known_keys import KnownKeys
from gateway.minted import Mint
from gateway.oidc import TokenVerifier
from gateway.store import KeyStore
from gateway.upstream import Upstream, Via
from providers.base import Fault, Request, Response


@dataclass(frozen=True, slots=True)
class Entrance:
    """Both count failures together."""

    authenticator: Authenticator
    admin_guard: AdminGuard


Trusted = Sequence[tuple[Issuer, KeySet]]
"""Issuers with their keys."""


def entrance(config: Config, store: KeyStore, trusted: Trusted) -> Entrance:
    failures = Failures(addresses.networks(config.server.trusted_proxies), time.monotonic)
    keys = KnownKeys(config.keys, store, time.time, config.state.on_loss, config.teams.keys())
    mint = None if config.signing_key is None else Mint(config.signing_key, time.time)
    tokens = TokenVerifier(trusted, config.teams.keys(), time.time)
    return Entrance(Authenticator(keys, mint, tokens, failures), AdminGuard(config.admin_key, failures))


def trusted(config: Config, upstream: Upstream) -> Trusted:
    """Fetches nothing yet. Raises BuildError."""
    return [(issuer, _key_set(issuer, upstream)) for issuer in config.issuers]


def _key_set(issuer: Issuer, upstream: Upstream) -> KeySet:
    via = Via(issuer.proxy)
    try:
        upstream.pool(via)
    except (OSError, ValueError) as error:
        raise BuildError(
            f"auth.jwt: the proxy that the environment names for `{issuer.jwks_url}` cannot be used "
            f"({type(error).__name__})."
        ) from None
    request = Request("GET", issuer.jwks_url, {"accept": "application/json"}, b"")

    async def fetch() -> Response | Fault:
        deadline = asyncio.get_running_loop().time() + FETCH_SECONDS
        return await upstream.send(request, via, deadline, LARGEST_SET)

    return KeySet(issuer.name, fetch, time.monotonic)
