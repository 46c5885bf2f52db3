"""The shape of a target's credentials where a key alone is not enough, one for each kind of them. It reads nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from gateway import checks
from gateway.shape import Shape
from providers.token_grants import ENTRA_AUTHORITY, ENTRA_SCOPE, IBM_TOKEN_URL

Url = Annotated[str, AfterValidator(checks.http_url)]
Name = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]


class GoogleShape(Shape):
    kind: Literal["google"]
    """A service account of Google's cloud, for Vertex AI."""
    service_account_file: str
    """The account's key file in JSON, as Google gives it out."""


class IbmShape(Shape):
    kind: Literal["ibm"]
    """An API key of IBM's cloud, for watsonx."""
    api_key: SecretStr | None = None
    """The key: `${NAME}` takes it from the environment."""
    api_key_file: str | None = None
    """A file that holds the key."""
    token_url: Url = IBM_TOKEN_URL
    """Where the key buys tokens; a private cloud has an address of its own."""


class EntraShape(Shape):
    kind: Literal["entra"]
    """An application of Microsoft Entra, for Azure."""
    tenant: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,200}$")]
    """The directory, by its id or a domain name."""
    client_id: Name
    """The application's id."""
    client_secret: SecretStr | None = None
    """The application's secret: `${NAME}` takes it from the environment."""
    client_secret_file: str | None = None
    """A file that holds the secret."""
    scope: Name = ENTRA_SCOPE
    """What the tokens are for."""
    authority: Url = ENTRA_AUTHORITY
    """Where the secret buys tokens; national clouds have addresses of their own."""


class AwsShape(Shape):
    kind: Literal["aws"]
    """An access key of AWS, for Bedrock; needs the package's extra `aws`."""
    access_key_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z_]{1,128}$")]
    """The id of the access key."""
    secret_access_key: SecretStr | None = None
    """The access key's secret: `${NAME}` takes it from the environment."""
    secret_access_key_file: str | None = None
    """A file that holds the secret."""
    session_token: SecretStr | None = None
    """The token that goes with a key lent for a time; it is not renewed."""
    session_token_file: str | None = None
    """A file that holds that token."""


CredentialsShape = Annotated[GoogleShape | IbmShape | EntraShape | AwsShape, Field(discriminator="kind")]
