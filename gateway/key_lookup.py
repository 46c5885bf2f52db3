"""A key by its id, for an operator: one of the routing file, which is changed there, or one of the state."""

from __future__ import annotations

from collections.abc import Sequence

from gateway import keys
from gateway.auth import KeyRecord
from gateway.errors import InvalidRequest, NotFound
from gateway.keys import KeyUnknown
from gateway.store import KeyStore


async def find(listed: Sequence[KeyRecord], store: KeyStore, key_id: str) -> KeyRecord:
    """`listed` are the routing file's. Raises NotFound."""
    for record in listed:
        if record.id == key_id:
            return record
    try:
        return await keys.find(store, key_id)
    except KeyUnknown as error:
        raise NotFound(str(error)) from None


async def changeable(listed: Sequence[KeyRecord], store: KeyStore, key_id: str) -> KeyRecord:
    """Raises NotFound, and InvalidRequest for a key of the routing file."""
    record = await find(listed, store, key_id)
    if record in listed:
        raise InvalidRequest("This key stands in the routing file, and is changed there.")
    return record
