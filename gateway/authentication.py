"""Who is calling: whatever a request shows becomes a `Caller`, or a refusal that is counted against its address.

The form of what is shown decides who looks at it, so that nothing is ever tried as two kinds of credential:

- `sk-gateway-minted-…`  a minted key, checked with the gateway's own secret;
- `sk-gateway-…`         a key, found by its hash;
- three parts of base64  a token, checked with the public keys of the issuer that it names;
- anything else          nothing of ours.

**A valid key is never throttled**: what is shown is checked first, and only its failure is measured. What checking
costs is bounded otherwise. Forms, checksums and signatures cost microseconds and ask nobody. A key that this process
has found before may always be looked up again. Other well-formed keys may be guesses: from an address with too many
failures they are looked up one after the other, in one line for all such addresses, so that a flood has one look-up of
the store in flight and no more. A valid key that stands in that line is found when its turn comes, microseconds later
over SQLite; only where the state is so slow that it takes longer than `LINE_SECONDS` is it told to try again.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Final

from gateway import signatures
from gateway.addresses import Source
from gateway.auth import PREFIX, SHORTEST_ADMIN_KEY, Caller, KeyRecord, Refused, key_hash, masked, well_formed
from gateway.errors import NO_RETRY, GatewayError, RateLimited, Unauthenticated, retry_headers
from gateway.failures import Failures
from gateway.known_keys import REMEMBERED, KnownKeys, Shelf
from gateway.minted import MINTED_PREFIX, Mint
from gateway.oidc import TokenVerifier

LONGEST: Final = 16 * 1024
"""Characters; tokens that list a person's groups have some thousand."""
LINE_SECONDS: Final = 5.0
_BEARERS: Final = (b"Bearer ", b"bearer ")


class Authenticator:
    """Without a `mint` there are no minted keys."""

    def __init__(self, keys: KnownKeys, mint: Mint | None, tokens: TokenVerifier, failures: Failures) -> None:
        self._keys = keys
        self._mint = mint
        self._tokens = tokens
        self._failures = failures
        self._line = asyncio.Lock()
        self._callers: dict[str, tuple[KeyRecord, Caller]] = {}

    def known(self, authorization: bytes | None) -> Caller | None:
        """The caller of a usual header, if its key was found lately; all others have to be looked at closely."""
        if authorization is None or authorization[:7] not in _BEARERS:
            return None
        record = self._keys.by_hash.at_once(hashlib.sha256(authorization[7:]).hexdigest())
        return self._caller_of(record) if record is not None and self._keys.usable(record) else None

    async def caller(self, shown: str | None, source: Source) -> Caller:
        """Raises Unauthenticated, RateLimited, StateUnavailable or UpstreamUnavailable.

        The message does not tell an unknown key from a revoked or expired one.
        """
        if shown is None:
            raise Unauthenticated(
                "This request has no API key. Send one of this gateway's keys as `Authorization: Bearer sk-gateway-…`."
            )
        caller = await self._caller(shown, source)
        if isinstance(caller, str):
            raise _failed(self._failures, source, caller)
        return caller

    async def _caller(self, shown: str, source: Source) -> Caller | str:
        """The caller, or what is wrong in whole sentences."""
        if len(shown) > LONGEST:
            return f"What this request shows as its API key is longer than {LONGEST} characters."
        if shown.startswith(MINTED_PREFIX):
            return await self._of_minted(shown, source)
        if not shown.startswith(PREFIX) and signatures.looks_like_token(shown):
            caller = await self._tokens.caller(shown)
            return f"The token is not valid here: {caller.reason}." if isinstance(caller, Refused) else caller
        record, keys = None, self._keys.by_hash
        if shown.isascii() and (keys.knows(name := key_hash(shown)) or well_formed(shown)):
            record = await self._found(keys, name, source)
        if record is None:
            return (
                f"The API key `{masked(shown)}` is not valid here: it is mistyped, expired, revoked, or not one of "
                f"this gateway's keys, which start with `{PREFIX}`."
            )
        return self._caller_of(record)

    def _caller_of(self, record: KeyRecord) -> Caller:
        """Made once of a record, which stays the same one for as long as it is believed."""
        known, caller = self._callers.get(record.id, (None, None))
        if known is not record or caller is None:
            caller = Caller.of(record)
            if len(self._callers) >= REMEMBERED:
                self._callers.clear()
            self._callers[record.id] = (record, caller)
        return caller

    async def _of_minted(self, shown: str, source: Source) -> Caller | str:
        minted = Refused("this gateway mints none") if self._mint is None else self._mint.read(shown)
        if isinstance(minted, Refused):
            return f"The minted key is not valid here: {minted.reason}."
        parent = await self._found(self._keys.by_id, minted.parent, source)
        if parent is None:
            return "The minted key is not valid here: the key that it was minted from is revoked or expired."
        return minted.caller(parent)

    async def _found(self, shelf: Shelf, name: str, source: Source) -> KeyRecord | None:
        """The record of this name, if it still works."""
        if shelf.knows(name) or self._failures.wait(source) == 0:
            record = await shelf.find(name)
        else:
            try:
                async with asyncio.timeout(LINE_SECONDS), self._line:
                    record = await shelf.find(name)
            except TimeoutError:
                raise RateLimited(
                    "Too many wrong API keys came from this address, so that this one could not be looked at in time. "
                    "Try again shortly.",
                    headers=retry_headers(1.0),
                ) from None
        return record if record is not None and self._keys.usable(record) else None


class AdminGuard:
    """Knows the admin key, and that a short one can be guessed: with one it lets nobody in, as without any."""

    def __init__(self, admin_key: str | None, failures: Failures) -> None:
        self.is_open = admin_key is not None and len(admin_key) >= SHORTEST_ADMIN_KEY
        self._digest = _digest(admin_key or "")
        self._failures = failures

    def check(self, shown: str | None, source: Source) -> None:
        """Raises Unauthenticated, or RateLimited for a wrong key after too many."""
        if shown is None:
            raise Unauthenticated("This needs the admin key, as `Authorization: Bearer …`.")
        if not (secrets.compare_digest(_digest(shown), self._digest) and self.is_open):
            raise _failed(self._failures, source, "This needs the admin key, and what was sent is another.")


def _digest(text: str) -> bytes:
    """Of equal length for any two, so that comparing tells nothing, not even how long the key is."""
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _failed(failures: Failures, source: Source, message: str) -> GatewayError:
    wait = failures.add(source)
    if wait == 0:
        return Unauthenticated(message, code="invalid_api_key")
    headers = {**retry_headers(wait), **NO_RETRY}
    return RateLimited(
        f"{message} Too many failed attempts came from this address: wait {headers['retry-after']} seconds.",
        headers=headers,
    )
