"""A request that is more than one upstream call may hold: a real gateway cuts it up, and puts the answers together."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from tests.fakes.openai_upstream import FakeOpenAI, vector_for
from tests.gateway_process import GatewayProcess

SMALL = "text-embedding-3-small"
TEXTS = [f"text number {number}" for number in range(300)]


@pytest.mark.parametrize("base64", ["true", "false"])
def test_in_order_from_many_calls(tmp_path: pathlib.Path, base64: str) -> None:
    """300 inputs for a backend that takes 32 in one call come back in order from 10 calls."""
    with FakeOpenAI() as fake:
        target = f"provider: openai, base_url: '{fake.base_url}', api_key: {fake.api_key}, base64: {base64}"
        models = f"{SMALL}: {{targets: [{{{target}, batch: {{inputs: 32}}}}]}}"
        with GatewayProcess(tmp_path, models) as gateway, gateway.client() as http:
            data = http.post("/v1/embeddings", json={"model": SMALL, "input": TEXTS}).json()["data"]
        sizes = sorted(len(request.body["input"]) for request in fake.requests)
    received = [np.array(item["embedding"], np.float32).tolist() for item in data]

    assert ([12] + [32] * 9, list(range(300)), [vector_for(text).tolist() for text in TEXTS]) == (
        sizes,
        [item["index"] for item in data],
        received,
    )
