"""The shape of identity providers in the routing file: whose tokens are taken, and who logs in to the console."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway import checks
from gateway.model_shape import RatesShape
from gateway.quantities import Duration
from gateway.shape import Shape
from gateway.signatures import Algorithm

Claim = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
SecureUrl = Annotated[str, AfterValidator(checks.secure_url)]


class ClaimsShape(Shape):
    name: Claim = "sub"
    """Claim that logs and usage call the caller by."""
    models: Claim = "gateway_models"
    """Claim with the models it may use: a list of names, or one string with blanks or commas between them."""
    team: Claim = "gateway_team"
    """Claim with the team whose limits and budget it shares."""
    limits: Claim = "gateway_limits"
    """Claim with what it may ask for: an object of `rpm`, `tpm` and `concurrent`."""


class ConsoleShape(Shape):
    issuer: Text
    """The `iss` of its ID tokens, letter by letter."""
    client_id: Text
    """What the provider knows the console as; its ID tokens must be for it (`aud`)."""
    client_secret_file: str | None = None
    """A file that holds the client's secret; without one it is a public client, which PKCE keeps safe."""
    authorization_url: SecureUrl
    """Where people log in: the `authorization_endpoint` of its /.well-known/openid-configuration."""
    token_url: SecureUrl
    """Where codes become tokens: its `token_endpoint`."""
    jwks_url: SecureUrl
    """Where its public keys are: its `jwks_uri`."""
    redirect_url: Annotated[str, AfterValidator(checks.redirect_url)]
    """The console's own address and /admin/ui/login/oidc, letter by letter as the provider has it."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = ["RS256"]
    """The signatures that are accepted."""
    leeway: Annotated[Duration, AfterValidator(checks.leeway)] = 30.0
    """How far its clock may differ from this one."""
    scopes: Annotated[list[Annotated[str, AfterValidator(checks.scope)]], Field(min_length=1)] = ["openid"]
    """What is asked for; `openid` has to be among them."""
    claim: Claim = "groups"
    """Claim of the ID token that says who is an operator: a string, or a list of strings."""
    values: Annotated[list[Text], Field(min_length=1)]
    """What that claim must be, or hold; one of several is enough."""
    label: Annotated[str, Field(min_length=1, max_length=60)] = "single sign-on"
    """What the login page calls the provider."""


class JwtShape(Shape):
    issuer: Text
    """The `iss` of its tokens, letter by letter."""
    audience: Text | Annotated[list[Text], Field(min_length=1)]
    """The `aud` that its tokens have for this gateway; one of several is enough."""
    jwks_url: SecureUrl
    """Where its public keys are: the `jwks_uri` of its /.well-known/openid-configuration."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] = ["RS256"]
    """The signatures that are accepted."""
    leeway: Annotated[Duration, AfterValidator(checks.leeway)] = 30.0
    """How far its clock may differ from this one."""
    claims: ClaimsShape = ClaimsShape()
    """What its claims are called."""
    models: list[str] | None = None
    """Models that a token without that claim may use [auth.default_models]."""
    team: str | None = None
    """One of `teams`, for tokens without that claim."""
    limits: RatesShape = RatesShape()
    """What each subject may ask for whose token does not have that claim."""
