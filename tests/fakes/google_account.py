"""A service account of Google's cloud with keys of its own, as its key file describes it."""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

EMAIL: Final = "gateway@acme.iam.gserviceaccount.com"
KEY_ID: Final = "0123456789abcdef0123456789abcdef01234567"
PRIVATE: Final = rsa.generate_private_key(65537, 2048)
PUBLIC: Final = PRIVATE.public_key()


def pem(key: Any = PRIVATE, password: bytes | None = None) -> str:
    lock = serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    raw: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    return raw.decode()


def key_file(**fields: Any) -> str:
    """The file's text; a field of None is left out."""
    content = {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": KEY_ID,
        "private_key": pem(),
        "client_email": EMAIL,
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
        **fields,
    }
    return json.dumps({name: value for name, value in content.items() if value is not None})
