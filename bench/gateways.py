"""The gateway as it is measured, with every feature on, and LiteLLM as its documents say to run it."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Final

from bench import answers
from bench.programs import Program
from gateway.auth import key_hash, new_key

ROOT: Final = pathlib.Path(__file__).parents[1]
KEY: Final = new_key()
CACHE_MB: Final = 32
_MANY: Final = 10**12
"""A limit that is counted for every request and never reached."""

_HEAD: Final = """
server: {{port: {port}, workers: {workers}, metrics: public}}
state: {{url: "{state}", allow_unshared: true}}
cache: {{memory: {cache}}}
auth:
  keys:
    - name: bench
      sha256: {hash}
      limits: {{rpm: {many}, tpm: {many}, concurrent: 100000}}
      budget: {{usd: 1000000000, per: month}}
models:
"""

# The catalogue knows the model: its token limits, its tokenizer, its dimensions, its price. A static body cannot answer
# the canary's four texts; it would be asked every six hours.
_MODEL: Final = """  {alias}:
    limits: {{rpm: {many}, tpm: {many}}}
    canary: "off"
    cache: {cache}
    targets:
      - {{provider: openai, model: text-embedding-3-small, base_url: "{url}", api_key: mock, base64: {base64},
         max_concurrency: 4096{trust}}}
"""

_LOCAL: Final = """  local:
    limits: {{rpm: {many}, tpm: {many}}}
    normalize: true
    cache: false
    targets: [{{provider: static, path: wordllama}}]
"""

HAS_LOCAL: Final = importlib.util.find_spec("wordllama") is not None


def _model(alias: str, url: str, *, cache: bool = False, trust: str = "") -> str:
    base64 = str(alias.partition("-")[2].startswith("b")).lower()
    return _MODEL.format(alias=alias, many=_MANY, url=url, base64=base64, cache=str(cache).lower(), trust=trust)


def config(folder: pathlib.Path, port: int, ways: dict[str, int], *, workers: int, redis: int | None) -> str:
    """A routing file. `ways` are the ports of `plain`, `tls` and `slow`; on the port `redis` are state and cache.

    With Redis next to nothing is kept in memory, so that every hit is one of Redis.
    """
    plain, slow = (f"http://127.0.0.1:{ways[way]}" for way in ("plain", "slow"))
    text = _HEAD.format(
        port=port,
        workers=workers,
        state=f"sqlite:///gateway-{port}.db" if redis is None else f"redis://127.0.0.1:{redis}",
        cache=f"{CACHE_MB}MiB" if redis is None else "1KiB",
        hash=key_hash(KEY),
        many=_MANY,
    )
    text += "".join(_model(f"plain-{name}", f"{plain}/{name}") for name in answers.NAMES)
    text += "".join(_model(f"cached-{name}", f"{plain}/{name}", cache=True) for name in ("b1", "b50", "b100"))
    text += _model("tls-b1", f"https://127.0.0.1:{ways['tls']}/b1", trust=f", ca_file: {folder}/ca.pem")
    text += _model("slow-b1", f"{slow}/b1")
    return text + (_LOCAL.format(many=_MANY) if HAS_LOCAL else "")


def gateway(
    name: str,
    folder: pathlib.Path,
    port: int,
    ways: dict[str, int],
    *,
    workers: int = 1,
    redis: int | None = None,
    watched: pathlib.Path | None = None,
) -> Program:
    """Its access log goes to a file that is emptied after each measurement. `watched`: see bench/watched.py"""
    file = folder / f"{name}.yaml"
    file.write_text(config(folder, port, ways, workers=workers, redis=redis))
    module = "bench.watched" if watched else "gateway"
    command = [sys.executable, "-m", module, "serve", "--config", str(file)]
    return Program(name, command, port, folder, {"PYTHONPATH": str(ROOT), "GATEWAY_WATCHED": str(watched or "")})


def litellm(binary: pathlib.Path, folder: pathlib.Path, port: int, ways: dict[str, int]) -> Program:
    """One worker, a master key, nothing else: its limits would need a database.

    https://docs.litellm.ai/docs/proxy/configs
    """
    urls = {
        **{f"plain-{name}": f"http://127.0.0.1:{ways['plain']}/{name}/v1" for name in answers.NAMES},
        "slow-b1": f"http://127.0.0.1:{ways['slow']}/b1/v1",
    }
    models = "".join(
        f"  - model_name: {alias}\n"
        f"    litellm_params: {{model: openai/text-embedding-3-small, api_base: '{url}', api_key: mock}}\n"
        for alias, url in urls.items()
    )
    file = folder / "litellm.yaml"
    file.write_text(f"model_list:\n{models}general_settings: {{master_key: {KEY}}}\n")
    command = [str(binary), "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environ = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_PROXY": "127.0.0.1"}
    return Program("litellm", command, port, folder, environ, patience=120)
