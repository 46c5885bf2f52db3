"""The targets of a model become their configurations: addresses, credentials, proxies, and what the provider can do."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Final

from gateway import checks, credential_rules, proxies, role_rules
from gateway.adapters import Adapter
from gateway.config import TargetConfig
from gateway.document import Path
from gateway.model_shape import BatchShape, CatalogFacts, ModelShape, TargetShape
from gateway.reading import Reading
from providers.base import Limits, Provider
from providers.engine import LocalProvider

_OF_SERVICES: Final = (
    *("base_url", "api_key", "api_key_file", "credentials", "api_version", "region", "project", "space_id"),
    *("proxy", "ca_file", "extra_body", "headers", "base64", "batch"),
)


def resolve(
    reading: Reading, alias: str, shape: ModelShape, known: Sequence[CatalogFacts | None], path: Path
) -> tuple[TargetConfig, ...]:
    targets: list[TargetConfig] = []
    for index, (target, facts) in enumerate(zip(shape.targets, known, strict=True)):
        where: Path = (*path, "targets", index)
        made = _target(reading, alias, shape, target, index, facts, where)
        if made.name in {other.name for other in targets}:
            reading.problem((*where, "name"), "another target of this route has this name")
        targets.append(made)
    _check_fields(reading, shape, path)
    return tuple(targets)


def is_at_home(target: TargetShape) -> bool:
    """Whether a target is a local model, or a service at its provider's own address."""
    provider = target.provider
    if isinstance(provider, LocalProvider) or target.base_url is None:
        return True
    return _host(target.base_url) in map(_host, (provider.base_url, *provider.urls_of_keys.values()))


def unit_length(target: TargetShape, facts: CatalogFacts | None) -> bool | None:
    """Whether a target's vectors come with unit length: by the catalogue, else as its provider makes all of them."""
    if facts is not None and facts.unit_length is not None:
        return facts.unit_length
    return target.provider.unit_length if isinstance(target.provider, Provider) else None


def _check_fields(reading: Reading, shape: ModelShape, path: Path) -> None:
    """Fields of a body can change its vectors, so that all targets of one kind have to send the same."""
    first: dict[str, Mapping[str, object]] = {}
    for index, target in enumerate(shape.targets):
        if first.setdefault(target.provider.name, target.extra_body) != target.extra_body:
            reading.problem(
                (*path, "targets", index, "extra_body"),
                "differs from that of another target: vectors made with different fields cannot be compared",
            )


def _target(
    reading: Reading,
    alias: str,
    model: ModelShape,
    shape: TargetShape,
    index: int,
    facts: CatalogFacts | None,
    path: Path,
) -> TargetConfig:
    provider = shape.provider
    local = isinstance(provider, LocalProvider)
    built_in: frozenset[str] = provider.built_in if isinstance(provider, LocalProvider) else frozenset()
    if local and shape.path is None:
        names = "".join(f", or `{name}`" for name in sorted(built_in))
        reading.problem(path, f"`path` is missing: a local model needs its folder{names}")
    if not local and shape.path is not None:
        reading.problem((*path, "path"), "only local models have a path")
    for name in _OF_SERVICES if local else ():
        if name in shape.model_fields_set:
            reading.problem((*path, name), "only services have this; a local model is not called over a network")
    if isinstance(provider, LocalProvider) and provider.batches and "max_concurrency" in shape.model_fields_set:
        reading.problem((*path, "max_concurrency"), "this kind of model has one queue, and computes texts together")
    api_key = credential_rules.api_key(reading, shape, path)
    base_url = None if isinstance(provider, LocalProvider) else _base_url(reading, provider, shape, api_key, path)
    for key in shape.extra_body:
        if isinstance(provider, Provider) and key in provider.owned:
            reading.problem((*path, "extra_body", key), "the gateway itself sets this field")
    takes_ids = isinstance(provider, Provider) and provider.token_ids
    if shape.token_ids and not takes_ids:
        reading.problem((*path, "token_ids"), "this provider takes no token ids")
    credentials = credential_rules.credentials(reading, shape, path)
    same_tokens = takes_ids and is_at_home(shape) and facts is not None and facts.tokenizer == model.client_tokens
    return TargetConfig(
        name=shape.name or f"{provider.name}-{index}",
        provider=provider.name,
        model=shape.model or alias,
        path=shape.path if shape.path is None or shape.path in built_in else str(reading.file(shape.path)),
        base_url=base_url,
        api_key=api_key,
        credentials=credentials,
        headers={name: value.get_secret_value() for name, value in shape.headers.items()},
        extra_body=shape.extra_body,
        proxy=_proxy(reading, shape, base_url, path),
        token_proxy=_proxy(reading, shape, getattr(credentials, "url", None), path),
        ca_file=_ca_file(reading, shape, path),
        weight=shape.weight,
        priority=shape.priority,
        max_concurrency=shape.max_concurrency,
        timeout=shape.timeout,
        api_version=shape.api_version,
        region=shape.region,
        project=shape.project,
        space_id=shape.space_id,
        limits=_limits(reading, shape, facts, path),
        may_cut=_may_cut(provider, shape),
        counts_alike=facts is not None and facts.tokenizer == "cl100k_base",
        takes_role=not model.prompts or role_rules.needs(provider, facts),
        base64=shape.base64 if shape.base64 is not None else _speaks_base64(provider, shape),
        token_ids=shape.token_ids if shape.token_ids is not None else same_tokens,
    )


def _base_url(reading: Reading, provider: Provider, shape: TargetShape, key: str | None, path: Path) -> str | None:
    """Where the service lives, its `{region}` filled in; whatever else the provider cannot do without is there, too."""
    of_key = (url for start, url in provider.urls_of_keys.items() if (key or "").startswith(start))
    base_url = shape.base_url or next(of_key, provider.base_url)
    if base_url is None:
        reading.problem(path, "`base_url` is missing: this provider has no public address")
        return None
    needs = provider.needs | ({"region"} if "{region}" in base_url else set())
    missing = []
    for need in sorted(needs):
        given = [name for name in need.split(" or ") if getattr(shape, name) is not None]
        if not given:
            missing.append(need.replace(" or ", "` or `"))
        for name in given[1:]:
            reading.problem((*path, name), f"stands beside `{given[0]}`; give one of them")
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        listed = " and ".join(f"`{need}`" for need in missing)
        reading.problem(path, f"{listed} {verb} missing: {provider.name} is not reached without")
    return base_url.replace("{region}", shape.region or "{region}")


def _speaks_base64(provider: Adapter, shape: TargetShape) -> bool:
    """A provider's word holds at its own address, and wherever it is a server that people run themselves."""
    if isinstance(provider, LocalProvider) or not provider.base64:
        return False
    return provider.base_url is None or is_at_home(shape)


def _may_cut(provider: Adapter, shape: TargetShape) -> bool:
    """One that has a switch can be told wherever it is; another's word holds where its word on base64 does."""
    if isinstance(provider, LocalProvider) or provider.overlong == "obeys":
        return False
    return provider.overlong != "refuses" or not (provider.base_url is None or is_at_home(shape))


def _limits(reading: Reading, shape: TargetShape, facts: CatalogFacts | None, path: Path) -> Limits:
    """Of one call: the routing file's, else the model's, else the provider's own."""
    own = shape.provider.limits if isinstance(shape.provider, Provider) else Limits()
    known = facts.batch if facts is not None else BatchShape()
    given = shape.batch
    if own.inputs == 1 and (given.inputs or 1) > 1:
        reading.problem((*path, "batch", "inputs"), f"{shape.provider.name} takes one input in a call, and no list")
    return Limits(
        inputs=given.inputs or known.inputs or own.inputs,
        request_tokens=given.tokens or known.tokens or own.request_tokens,
        request_bytes=given.bytes or known.bytes or own.request_bytes,
    )


def _ca_file(reading: Reading, shape: TargetShape, path: Path) -> str | None:
    if shape.ca_file is None:
        return None
    if not reading.has_file(shape.ca_file):
        reading.problem((*path, "ca_file"), "there is no such file")
    return str(reading.file(shape.ca_file))


def _host(url: str | None) -> str:
    return urllib.parse.urlsplit(url or "").hostname or ""


def _proxy(reading: Reading, shape: TargetShape, url: str | None, path: Path) -> str | None:
    """The target's own, or the environment's for this URL."""
    if shape.proxy is not None:
        return shape.proxy.get_secret_value()
    proxy = proxies.for_url(url, reading.environ)
    if proxy is not None:
        try:
            checks.proxy_url(proxy)
        except ValueError as error:
            reading.problem((*path, "proxy"), f"the environment's proxy for this target {error}; or set NO_PROXY")
    return proxy
