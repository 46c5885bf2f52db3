"""One model's configuration becomes a `Route` with its backends and its counter."""

from __future__ import annotations

from collections.abc import Callable

from gateway import tokens
from gateway.backends import Local, Remote
from gateway.config import ModelConfig, TargetConfig
from gateway.credentials import ANSWER_BYTES, BearerToken, Credentials, Signature
from gateway.routing import Backend, Route, Target
from gateway.tokens import Counter
from gateway.upstream import Upstream, Via
from gateway.wire import OWN_FIELDS
from providers import PROVIDERS
from providers.aws_signature import AwsKeys
from providers.base import Endpoint, Engine, EngineError, Fault, LocalProvider, Provider, Request, Response
from providers.token_grants import Grant


class BuildError(Exception):
    """A configuration that is right, but cannot be brought up on this machine; the message says what to do."""


class Engines:
    """Each local model once, however many routes use it."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Engine] = {}

    def get(self, provider: LocalProvider, path: str) -> Engine:
        key = (provider.name, path)
        if key not in self._loaded:
            self._loaded[key] = provider.load(path)
        return self._loaded[key]


class TokenSources:
    """Each token once, however many targets send it. `clock` is the event loop's, `now` in seconds since 1970."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self._upstream = upstream
        self._clock = clock
        self._now = now
        self._kept: dict[tuple[Grant, Via], BearerToken] = {}

    def credentials(self, target: TargetConfig) -> Credentials | None:
        """Raises OSError or ValueError when the way to the token endpoint cannot be used."""
        grant = target.credentials
        if grant is None:
            return None
        if isinstance(grant, AwsKeys):
            return Signature(grant, target.region or "", self._now)
        via = Via(target.token_proxy, target.ca_file)
        self._upstream.pool(via)

        async def fetch(request: Request, deadline: float) -> Response | Fault:
            return await self._upstream.send(request, via, deadline, ANSWER_BYTES)

        return self._kept.setdefault((grant, via), BearerToken(grant, fetch, self._clock, self._now))


def route(model: ModelConfig, engines: Engines, upstream: Upstream, sources: TokenSources) -> Route:
    owned = set(OWN_FIELDS)
    for target in model.targets:
        provider = PROVIDERS[target.provider]
        owned |= provider.owned if isinstance(provider, Provider) else set()
    return Route(
        alias=model.alias,
        aliases=model.aliases,
        space=model.space,
        dimensions=model.dimensions,
        limits=model.limits,
        targets=[_target(target, model, engines, upstream, sources) for target in model.targets],
        tokenizer=model.tokenizer,
        tokenizer_known=model.tokenizer_known,
        most_estimated=model.most_estimated,
        client_tokens=model.client_tokens,
        passes_token_ids=all(target.token_ids for target in model.targets),
        prompts=model.prompts,
        input_types=model.input_types,
        default_input_type=model.default_input_type,
        unit_length=model.unit_length,
        normalize=model.normalize,
        price=model.price,
        client_extra=model.client_extra,
        owned=frozenset(owned),
        rates=model.rates,
    )


def _target(
    target: TargetConfig, model: ModelConfig, engines: Engines, upstream: Upstream, sources: TokenSources
) -> Target:
    provider = PROVIDERS[target.provider]
    backend: Backend
    where = f"models.{model.alias}: target `{target.name}`"
    if isinstance(provider, LocalProvider):
        try:
            engine = engines.get(provider, target.path or "")
        except EngineError as error:
            raise BuildError(f"{where}: {error}") from None
        if engine.dimensions != model.dimensions.native:
            raise BuildError(
                f"{where}: its vectors have {engine.dimensions} dimensions, and the configuration says "
                f"{model.dimensions.native}. Set `dimensions.native` to what the model makes."
            )
        backend = Local(engine, target.max_concurrency)
    else:
        via = Via(target.proxy, target.ca_file)
        try:
            upstream.pool(via)
            credentials = sources.credentials(target)
        except (OSError, ValueError) as error:
            raise BuildError(f"{where}: its `proxy` or `ca_file` cannot be used ({type(error).__name__}).") from None
        backend = Remote(provider, _endpoint(target), upstream, via, target.max_concurrency, credentials)
    return Target(
        name=target.name,
        provider=target.provider,
        model=target.model,
        backend=backend,
        limits=target.limits,
        counts_alike=target.counts_alike and model.tokenizer == "cl100k_base",
        takes_role=target.takes_role,
        priority=target.priority,
        weight=target.weight,
        timeout=target.timeout,
    )


def _endpoint(target: TargetConfig) -> Endpoint:
    return Endpoint(
        base_url=target.base_url or "",
        api_key=target.api_key,
        api_version=target.api_version,
        region=target.region,
        project=target.project,
        space_id=target.space_id,
        headers=target.headers,
        extra_body=target.extra_body,
        base64=target.base64,
    )


def counter(route: Route) -> Counter:
    try:
        return tokens.counter(route.tokenizer)
    except ValueError as error:
        raise BuildError(f"models.{route.alias}.tokenizer: {error}") from None
    except ImportError:
        raise BuildError(
            f"models.{route.alias}.tokenizer: a tokenizer.json needs the package's extra: "
            'run `scripts/setup`, or `pip install ".[local]"` in its folder.'
        ) from None
