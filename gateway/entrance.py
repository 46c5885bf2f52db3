"""Who stands at the door: keys, issuers and secrets of a `Config` become an `Authenticator` and an `AdminGuard`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
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

Trusted = Sequence[tuple[Issuer, KeySet]]
"""Issuers with their keys."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Both count failures together."""

    authenticator: Authenticator
    admin_guard: AdminGuard
    keys: KnownKeys
    failures: Failures
    trusted: Trusted


def entrance(config: Config, store: KeyStore, trusted: Trusted) -> Entrance:
    failures = Failures(addresses.networks(config.server.trusted_proxies), time.monotonic)
    keys = KnownKeys(config.keys, store, time.time, config.state.on_loss, config.teams.keys())
    return _entrance(config, keys, failures, trusted)


def renewed(before: Entrance, config: Config, trusted: Trusted) -> Entrance:
    """For another routing file over the same store: what was counted and found before is remembered."""
    failures = before.failures.behind(addresses.networks(config.server.trusted_proxies))
    return _entrance(config, before.keys.listing(config.keys, config.teams.keys()), failures, trusted)


def _entrance(config: Config, keys: KnownKeys, failures: Failures, trusted: Trusted) -> Entrance:
    mint = None if config.signing_key is None else Mint(config.signing_key, time.time)
    tokens = TokenVerifier(trusted, config.teams.keys(), time.time)
    authenticator = Authenticator(keys, mint, tokens, failures)
    return Entrance(authenticator, AdminGuard(config.admin_key, failures), keys, failures, trusted)


def trusted(config: Config, upstream: Upstream, before: Trusted = ()) -> Trusted:
    """Fetches nothing yet; keys that were fetched before are kept where they come from the same place.

    Raises BuildError.
    """
    known = {_origin(issuer): keys for issuer, keys in before}
    return [(issuer, known.get(_origin(issuer)) or _key_set(issuer, upstream)) for issuer in config.issuers]


def ways(issuers: Iterable[Issuer]) -> set[Via]:
    """How their keys are fetched."""
    return {Via(issuer.proxy) for issuer in issuers}


def _origin(issuer: Issuer) -> tuple[str, str, str | None]:
    return (issuer.name, issuer.jwks_url, issuer.proxy)


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
