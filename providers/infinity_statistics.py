"""How busy an Infinity server is, as its list of models says: texts that wait, are worked on, and fit one forward pass.

https://github.com/michaelfeil/infinity/blob/main/libs/infinity_emb/infinity_emb/infinity_server.py
"""

from __future__ import annotations

from typing import Any

from providers import openai_shape
from providers.base import Endpoint, Request, Response, Statistics
from providers.codec import JSONError, parse_json


def build_request(endpoint: Endpoint) -> Request:
    configured = {name.lower(): value for name, value in endpoint.headers.items()}
    headers = {"accept": "application/json", **configured, **openai_shape.bearer(endpoint)}
    return Request("GET", f"{endpoint.base_url.rstrip('/')}/models", headers, b"")


def parse_response(response: Response, model: str) -> Statistics | None:
    """A server that serves one model may be asked for it by another name, its path, and says nothing of that."""
    try:
        payload = parse_json(response.body)
    except JSONError:
        return None
    models = payload.get("data") if isinstance(payload, dict) else None
    entries = [entry for entry in (models if isinstance(models, list) else [models]) if isinstance(entry, dict)]
    named = [entry for entry in entries if entry.get("id") == model] or entries
    return _statistics(named[0].get("stats")) if len(named) == 1 else None


def _statistics(stats: Any) -> Statistics | None:
    if not isinstance(stats, dict):
        return None
    fraction = stats.get("queue_fraction")
    counts = [stats.get(name) for name in ("queue_absolute", "results_pending", "batch_size")]
    whole = [count for count in counts if type(count) is int and count >= 0]
    if isinstance(fraction, bool) or not isinstance(fraction, float | int) or fraction < 0 or len(whole) < len(counts):
        return None
    return Statistics(float(fraction), *whole)
