"""One model's configuration becomes a `Route` with its backends and its counter."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from dataclasses import replace

from gateway import adapters, recipe, tokens
from gateway.away import waited
from gateway.backends import Remote
from gateway.coalescing import Coalescer
from gateway.config import ModelConfig, TargetConfig
from gateway.engines import Engines, Key, key_of
from gateway.routing import Backend, Route, Target
from gateway.statistics import ToldStatistics
from gateway.token_sources import TokenSources
from gateway.tokens import Counter
from gateway.upstream import Upstream, Via
from gateway.wire import OWN_FIELDS
from providers.base import Endpoint, Provider
from providers.engine import Engine, EngineError, LocalProvider, Transformer
from providers.token_grants import Grant


class BuildError(Exception):
    """A configuration that is right, but cannot be brought up on this machine; the message says what to do."""


def route(model: ModelConfig, engines: Engines, upstream: Upstream, sources: TokenSources) -> Route:
    """Connects to nothing, and loads the models that are served in this process. Raises BuildError."""
    local = {target.name: engine for target in model.targets if (engine := _engine(target, model, engines))}
    transformers = [engine for engine in local.values() if isinstance(engine, Transformer)]
    if transformers and not model.tokenizer_known:
        model = _as_told(model, transformers)
    owned = set(OWN_FIELDS)
    for target in model.targets:
        provider = adapters.find(target.provider)
        owned |= provider.owned if isinstance(provider, Provider) else set()
    return Route(
        alias=model.alias,
        aliases=model.aliases,
        space=model.space,
        dimensions=model.dimensions,
        limits=model.limits,
        targets=[
            _local_target(target, model, engines, engine)
            if (engine := local.get(target.name))
            else _remote_target(target, model, upstream, sources)
            for target in model.targets
        ],
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
        too_long=model.too_long,
        price=model.price,
        client_extra=model.client_extra,
        owned=frozenset(owned),
        rates=model.rates,
        cache=model.cache,
        made_by=_made_by(model),
        canary=model.canary,
        hedge=model.hedge,
    )


def _made_by(model: ModelConfig) -> str:
    """What decides the vectors besides their space's name: fields of bodies, and what stands for an unvouched space.

    A model that ejects who drifts takes nothing from one that goes on asking it.
    """
    fields = {target.provider: target.extra_body for target in model.targets if target.extra_body}
    only = model.targets[0]
    place = None if model.space_vouched else [only.provider, only.model, only.base_url, only.path]
    return json.dumps([fields, place, model.canary == "eject"], sort_keys=True)


def _as_told(model: ModelConfig, transformers: Sequence[Transformer]) -> ModelConfig:
    """What the routing file leaves open and the model knows: how its tokens are counted, and its longest text."""
    longest = min(filter(None, (model.limits.input_tokens, *(engine.input_tokens for engine in transformers))))
    model = replace(model, limits=replace(model.limits, input_tokens=longest))
    tokenizer = transformers[0].tokenizer
    return model if tokenizer is None else replace(model, tokenizer=tokenizer, tokenizer_known=True)


def _engine(target: TargetConfig, model: ModelConfig, engines: Engines) -> Engine | Transformer | None:
    provider = adapters.find(target.provider)
    if not isinstance(provider, LocalProvider):
        return None
    try:
        engine = engines.get(provider, target.path or "", target.model)
    except EngineError as error:
        raise BuildError(f"{_place(target, model)}: {error}") from None
    if engine.dimensions != model.dimensions.native:
        raise BuildError(
            f"{_place(target, model)}: its vectors have {engine.dimensions} dimensions, and the configuration says "
            f"{model.dimensions.native}. Set `dimensions.native` to what the model makes."
        )
    return engine


def _local_target(target: TargetConfig, model: ModelConfig, engines: Engines, engine: Engine | Transformer) -> Target:
    made = _target(target, model, engines.backend(engine, target.max_concurrency))
    if isinstance(engine, Transformer) and target.timeout is None and len(model.targets) == 1:
        # It does not hang, it has much to do: where nobody else could be asked, it may take all the time that there is.
        made = replace(made, timeout=math.inf)
    return made


def _remote_target(target: TargetConfig, model: ModelConfig, upstream: Upstream, sources: TokenSources) -> Target:
    provider = adapters.find(target.provider)
    assert isinstance(provider, Provider)  # noqa: S101 (the other kind has an engine)
    via = Via(target.proxy, target.ca_file)
    try:
        upstream.pool(via)
        credentials = sources.credentials(target)
    except (OSError, ValueError) as error:
        raise BuildError(
            f"{_place(target, model)}: its `proxy` or `ca_file` cannot be used ({type(error).__name__})."
        ) from None
    endpoint = _endpoint(target)
    made = _target(target, model, Remote(provider, endpoint, upstream, via, target.max_concurrency, credentials))
    if model.coalesce and target.limits.inputs != 1:
        meeting = Coalescer(made.limits, made.extra_body, counts_alike=made.counts_alike, waited=waited)
        made = replace(made, coalescer=meeting)
    if provider.statistics is not None:
        told = ToldStatistics(provider.statistics, endpoint, target.model, upstream, via, _loop_clock)
        made = replace(made, told=told.read)
    return made


def _target(target: TargetConfig, model: ModelConfig, backend: Backend) -> Target:
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
        extra_body=target.extra_body,
        mark=recipe.mark(target),
    )


def _place(target: TargetConfig, model: ModelConfig) -> str:
    return f"models.{model.alias}: target `{target.name}`"


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()


def ways(target: TargetConfig) -> set[Via]:
    """How a service and the endpoint of its tokens are reached; none for a local model."""
    if not isinstance(adapters.find(target.provider), Provider):
        return set()
    bought = {Via(target.token_proxy, target.ca_file)} if isinstance(target.credentials, Grant) else set()
    return {Via(target.proxy, target.ca_file), *bought}


def engine_key(target: TargetConfig) -> Key | None:
    """Which of the loaded models it is; None for a service."""
    provider = adapters.find(target.provider)
    return key_of(provider, target.path or "", target.model) if isinstance(provider, LocalProvider) else None


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
