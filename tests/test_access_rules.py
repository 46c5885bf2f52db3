"""Keys, teams and the admin key of a routing file."""

from __future__ import annotations

import pathlib

import pytest

from gateway.allowances import Budget, Rates, Team
from gateway.config import CacheConfig, Config, ConfigError
from gateway.loading import load

MODELS = "models: {m: {targets: [{provider: static, path: wordllama}]}}\n"
HASH = "0123456789abcdef" * 4


def loaded(folder: pathlib.Path, text: str) -> Config:
    (folder / "gateway.yaml").write_text(text + "\n" + MODELS)
    return load(folder / "gateway.yaml", {})


def problems(folder: pathlib.Path, text: str) -> list[tuple[str, str]]:
    """Each place with what is wrong there."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    return [(problem.place, problem.message) for problem in caught.value.problems]


def test_teams(tmp_path: pathlib.Path) -> None:
    """A team has limits and a budget, money in billionths of a dollar."""
    config = loaded(tmp_path, "teams: {search: {limits: {tpm: 5}, budget: {usd: 0.1, per: month}}, bare: {}}")

    assert {"search": Team(Rates(tpm=5), Budget("month", 100_000_000)), "bare": Team()} == config.teams


def test_key_with_a_grant(tmp_path: pathlib.Path) -> None:
    """A key of the file has what one of the state may have."""
    key = (
        f"{{name: ci, sha256: '{HASH}', team: search, limits: {{rpm: 5, shadow: true}}, "
        "model_limits: {'m*': {tpm: 7}}, budget: {tokens: 9, per: total, soft: 0.5}, priority: bulk}"
    )
    (record,) = loaded(tmp_path, f"teams: {{search: {{}}}}\nauth: {{keys: [{key}]}}").keys
    rates = (Rates(rpm=5, shadow=True), {"m*": Rates(tpm=7)})

    assert ("file:ci", "search", *rates, Budget("total", None, 9, 0.5), "bulk") == (
        *(record.id, record.team, record.rates, record.model_rates, record.budget, record.priority),
    )


@pytest.mark.parametrize(
    ("fields", "place", "message"),
    [
        ("team: other", "team", "there is no such team under `teams`"),
        ("budget: {per: day}", "budget", "must say how much: `usd`, `tokens`, or both"),
        ("budget: {usd: .inf, per: day}", "budget.usd", "must be at most 1000000000.0"),
        ("budget: {usd: .nan, per: day}", "budget.usd", "must be at most 1000000000.0"),
        ("budget: {usd: 0, per: day}", "budget.usd", "must be at least 1e-09"),
        ("budget: {usd: 1}", "budget.per", "is missing"),
        ("budget: {euro: 1, per: day}", "budget.euro", "unknown key; known here are `usd`, `tokens`, `per`, `soft`"),
        ("limits: {rpm: 0}", "limits.rpm", "must be at least 1"),
        ("limits: {rpm: 10000000000000000}", "limits.rpm", "must be at most 1000000000000000"),
        ("limits: {inputs: 1}", "limits.inputs", "unknown key; known here are `rpm`, `tpm`, `concurrent`, `shadow`"),
        ("models: ['a b']", "models[0]", "a model's name has 1 to 200 printable characters and no blank"),
    ],
)
def test_wrong_grants(tmp_path: pathlib.Path, fields: str, place: str, message: str) -> None:
    """What a key may not have is told with its place."""
    told = problems(tmp_path, f"auth: {{keys: [{{name: ci, sha256: '{HASH}', {fields}}}]}}")

    assert [(f"auth.keys[0].{place}", message)] == told


@pytest.mark.parametrize("name", ['"a\\nb"', "' a'", '"\\u202e"'])
def test_names_that_upset_a_terminal(tmp_path: pathlib.Path, name: str) -> None:
    """Names of keys and teams are printable."""
    told = problems(tmp_path, f"teams: {{{name}: {{}}}}\nauth: {{keys: [{{name: {name}, sha256: '{HASH}'}}]}}")

    assert {"must have 1 to 100 printable characters, and no blank at either end"} == {message for _, message in told}
    assert 2 == len(told)


@pytest.mark.parametrize("auth", ["admin_key: s3cret", "admin_key_file: admin.txt"])
def test_admin_key(tmp_path: pathlib.Path, auth: str) -> None:
    """The admin key stands in the file, or in another without the end of its line."""
    (tmp_path / "admin.txt").write_text("s3cret\n")

    assert "s3cret" == loaded(tmp_path, f"auth: {{{auth}}}").admin_key


@pytest.mark.parametrize("key", ["' key'", "'key '", "schlüssel", '"a\\tb"'])
def test_admin_key_that_no_header_holds(tmp_path: pathlib.Path, key: str) -> None:
    """An admin key that could never be sent is told at the start, without being told."""
    message = "must be printable ASCII without blanks around it: it is sent in a header"

    assert [("auth.admin_key", message)] == problems(tmp_path, f"auth: {{admin_key: {key}}}")


def test_two_admin_keys(tmp_path: pathlib.Path) -> None:
    """There is one admin key."""
    (tmp_path / "admin.txt").write_text("s3cret")
    message = "stands beside `admin_key`; give one of them"

    assert [("auth.admin_key_file", message)] == problems(tmp_path, "auth: {admin_key: a, admin_key_file: admin.txt}")


REDIS = "state: {url: 'redis://127.0.0.1'}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("cache: {}", CacheConfig(256 * 2**20, False, 30 * 86400.0, "shared")),
        (f"{REDIS}\ncache: {{memory: 1MiB, ttl: 1h, scope: key}}", CacheConfig(2**20, True, 3600.0, "key")),
        (f"{REDIS}\ncache: {{redis: false}}", CacheConfig(256 * 2**20, False, 30 * 86400.0, "shared")),
    ],
)
def test_cache(tmp_path: pathlib.Path, text: str, expected: CacheConfig | None) -> None:
    """Without the section there is no cache; with it, it is shared through Redis where the state is in one."""

    assert expected == loaded(tmp_path, text).cache


def test_cache_without_redis(tmp_path: pathlib.Path) -> None:
    """A cache in Redis needs the state to be there."""
    expected = [("cache.redis", "needs the state to be in Redis (`state.url`)")]

    assert expected == problems(tmp_path, "cache: {redis: true}")


def test_key_without_the_cache(tmp_path: pathlib.Path) -> None:
    """A key of the file may be kept out of the cache."""
    key = f"{{name: ci, sha256: '{HASH}', cache: false}}"
    (record,) = loaded(tmp_path, f"auth: {{keys: [{key}]}}").keys

    assert not record.cache
