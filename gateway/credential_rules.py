"""What a target authorizes itself with: one key, or credentials of a kind that fits its provider."""

from __future__ import annotations

from pydantic import BaseModel

from gateway import checks
from gateway.adapters import Adapter
from gateway.credential_shape import AwsShape, CredentialsShape, EntraShape, GoogleShape, IbmShape
from gateway.document import Path
from gateway.model_shape import TargetShape
from gateway.reading import Reading
from providers import PROVIDERS, aws_signature, token_grants
from providers.aws_signature import AwsKeys
from providers.base import Provider
from providers.token_grants import Grant, ServiceAccount


def api_key(reading: Reading, shape: TargetShape, path: Path) -> str | None:
    key = _secret(reading, shape, "api_key", path)
    provider = shape.provider
    if not isinstance(provider, Provider):
        return None
    names = [name for name in ("api_key", "api_key_file") if getattr(shape, name) is not None]
    if names and shape.credentials is not None:
        reading.problem((*path, names[0]), "stands beside `credentials`; give one of them")
    header = provider.key_header if names else "authorization" if shape.credentials is not None else None
    for name in shape.headers:
        if name.lower() == header:
            given = names[0] if names else "credentials"
            reading.problem(
                (*path, "headers", name), f"stands beside `{given}`, which sets this header; give one of them"
            )
    return key


def credentials(reading: Reading, shape: TargetShape, path: Path) -> Grant | AwsKeys | None:
    given = shape.credentials
    if given is None:
        return None
    path = (*path, "credentials")
    if not _fits(given, shape.provider):
        fitting = ", ".join(f"`{name}`" for name, provider in PROVIDERS.items() if _fits(given, provider))
        reading.problem((*path, "kind"), f"these are credentials for {fitting}, not for `{shape.provider.name}`")
        return None
    return _read(reading, given, path)


def _fits(given: CredentialsShape, provider: Adapter) -> bool:
    return isinstance(provider, Provider) and given.kind in provider.credentials


def _read(reading: Reading, given: CredentialsShape, path: Path) -> Grant | AwsKeys | None:
    match given:
        case GoogleShape():
            return _service_account(reading, given, path)
        case IbmShape():
            key = _needed(reading, given, "api_key", path)
            return None if key is None else token_grants.ibm(key, given.token_url)
        case EntraShape():
            secret = _needed(reading, given, "client_secret", path)
            if secret is None:
                return None
            return token_grants.entra(given.tenant, given.client_id, secret, given.scope, given.authority)
        case AwsShape():
            if not aws_signature.is_installed():
                reading.problem(
                    (*path, "kind"),
                    'needs the package\'s extra: `pip install ".[aws]"` in its folder installs botocore',
                )
            secret = _needed(reading, given, "secret_access_key", path)
            token = _secret(reading, given, "session_token", path)
            return None if secret is None else AwsKeys(given.access_key_id, secret, token)


def _service_account(reading: Reading, given: GoogleShape, path: Path) -> ServiceAccount | None:
    path = (*path, "service_account_file")
    text = reading.text_of(given.service_account_file, path)
    if text is None:
        return None
    try:
        account = token_grants.service_account(text)
    except ValueError as error:
        reading.problem(path, str(error))
        return None
    try:
        checks.http_url(account.url)
    except ValueError as error:
        reading.problem(path, f"its `token_uri` {error}")
    return account


def _needed(reading: Reading, shape: BaseModel, name: str, path: Path) -> str | None:
    if getattr(shape, name) is None and getattr(shape, f"{name}_file") is None:
        reading.problem(path, f"`{name}` or `{name}_file` is missing")
    return _secret(reading, shape, name, path)


def _secret(reading: Reading, shape: BaseModel, name: str, path: Path) -> str | None:
    """What stands under a key, or in the file that its `_file` names; None where it is neither, or unfit."""
    given, file = getattr(shape, name), getattr(shape, f"{name}_file")
    if given is not None and file is not None:
        reading.problem((*path, f"{name}_file"), f"stands beside `{name}`; give one of them")
    place: Path = (*path, name)
    secret: str | None = None
    if given is not None:
        secret = given.get_secret_value()
    elif file is not None:
        place = (*path, f"{name}_file")
        secret = reading.text_of(file, place)
    if secret is not None and not (secret and secret.isascii() and secret.isprintable() and " " not in secret):
        reading.problem(place, "is empty, or holds blanks or characters that no key has")
        return None
    return secret
