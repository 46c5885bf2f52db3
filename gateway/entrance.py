"""Who stands at the door: keys, issuers and secrets of a `Config` become an `Authenticator` and an `AdminGuard`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway import addresses, signatures
from gateway.assembly import BuildError
from gateway.authentication import AdminGuard, Authenticator
from gateway.claims import Issuer
from gateway.code_flow import EXCHANGE_SECONDS, LARGEST_ANSWER, CodeFlow
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
    callers = [(issuer, keys) for issuer, keys in trusted if issuer in config.issuers]
    tokens = TokenVerifier(callers, config.teams.keys(), time.time)
    authenticator = Authenticator(keys, mint, tokens, failures)
    return Entrance(authenticator, AdminGuard(config.admin_key, failures), keys, failures, trusted)


def trusted(config: Config, upstream: Upstream, before: Trusted = ()) -> Trusted:
    """Fetches nothing yet; keys that were fetched before are kept where they come from the same place.

    Raises BuildError.
    """
    known = {_origin(issuer): keys for issuer, keys in before}
    return [(issuer, known.get(_origin(issuer)) or _key_set(issuer, upstream)) for issuer in config.every_issuer]


def code_flow(config: Config, trusted: Trusted, upstream: Upstream) -> CodeFlow | None:
    """How people log in to the console with an identity provider. Raises BuildError."""
    client = config.operators
    if client is None:
        return None
    via = Via(client.token_proxy)
    _check(upstream, via, "auth.console", client.token_url)

    async def send(request: Request) -> Response | Fault:
        deadline = asyncio.get_running_loop().time() + EXCHANGE_SECONDS
        return await upstream.send(request, via, deadline, LARGEST_ANSWER)

    return CodeFlow(client, next(keys for issuer, keys in trusted if issuer == client.issuer), send, time.time)


def ways(config: Config) -> set[Via]:
    """How identity providers are reached."""
    proxies = {issuer.proxy for issuer in config.every_issuer}
    return {Via(proxy) for proxy in proxies | ({config.operators.token_proxy} if config.operators else set())}


def _origin(issuer: Issuer) -> tuple[str, str, str | None]:
    return (issuer.name, issuer.jwks_url, issuer.proxy)


def _key_set(issuer: Issuer, upstream: Upstream) -> KeySet:
    via = Via(issuer.proxy)
    _check(upstream, via, "auth", issuer.jwks_url)
    request = Request("GET", issuer.jwks_url, {"accept": "application/json"}, b"")

    async def fetch() -> Response | Fault:
        deadline = asyncio.get_running_loop().time() + FETCH_SECONDS
        return await upstream.send(request, via, deadline, LARGEST_SET)

    signatures.by_public_key()
    return KeySet(issuer.name, fetch, time.monotonic)


def _check(upstream: Upstream, via: Via, place: str, url: str) -> None:
    """Raises BuildError."""
    try:
        upstream.pool(via)
    except (OSError, ValueError) as error:
        raise BuildError(
            f"{place}: the proxy that the environment names for `{url}` cannot be used ({type(error).__name__})."
        ) from None
