"""What is measured: each load, and the servers that it is put on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Texts = Literal["same", "half", "fresh"]
"""Which inputs of a request were sent before: all, every second one, none."""
Wants = Literal["base64", "float"]

NGINX: Final = "nginx"
BARE: Final = "HTTP alone"
"""The gateway's server and client with nothing between: see bench/bare.py."""
GATEWAY: Final = "gateway"
TWO: Final = "gateway, 2 workers"
REDIS: Final = "gateway, Redis"
TWO_REDIS: Final = "gateway, 2 workers, Redis"
LITELLM: Final = "LiteLLM"
GATEWAYS: Final = (GATEWAY, TWO, REDIS, TWO_REDIS)

FRESH: Final = "@"
"""In a body: what load.lua replaces by something that was never sent before."""


@dataclass(frozen=True, slots=True)
class Load:
    """`model` is what the gateway is asked for: `plain-b100` is answered by the upstream's `b100` over the way `plain`.

    `ceiling` is what nginx, and whoever else only hands on, is asked for: the same way, and the answer that the
    gateway's client gets.
    """

    name: str
    model: str
    inputs: int
    wants: Wants
    connections: int
    servers: tuple[str, ...]
    ceiling: str = ""
    texts: Texts = "same"
    quick: bool = False

    @property
    def input(self) -> list[str]:
        """Every text is another; texts of one position and kind are the same in all loads, so that they can be hits."""
        texts = [f"{number}: what a text of a few words is like" for number in range(self.inputs)]
        first, step = {"same": (self.inputs, 1), "half": (1, 2), "fresh": (0, 1)}[self.texts]
        for number in range(first, self.inputs, step):
            texts[number] += f" {FRESH}"
        return texts

    def body(self, model: str) -> bytes:
        given = self.input[0] if self.inputs == 1 else self.input
        return json.dumps({"model": model, "input": given, "encoding_format": self.wants}).encode()


def _forwarded() -> list[Load]:
    """Every vector comes from upstream: each size, what the client wants and the upstream speaks, connections."""
    found = []
    for count, compared in ((1, 64), (100, 16)):
        for title, wants, spoken, shown in (
            ("base64", "base64", "b", "b"),
            ("float", "float", "b", "f"),
            ("float from float", "float", "f", "f"),
            ("float from pretty float", "float", "p", "p"),
        ):
            for connections in (1, 16, 64):
                servers: tuple[str, ...] = (NGINX, GATEWAY)
                if connections == compared and wants == "base64":
                    servers = (NGINX, BARE, *GATEWAYS, LITELLM)
                elif connections == 1 and spoken == shown == "b" and count == 1:
                    servers = (NGINX, BARE, GATEWAY, LITELLM)
                found.append(
                    Load(
                        name=f"{count} × {title} @{connections}",
                        model=f"plain-{spoken}{count}",
                        inputs=count,
                        wants="base64" if wants == "base64" else "float",
                        connections=connections,
                        servers=servers,
                        ceiling=f"plain/{shown}{count}",
                        quick=(connections == compared and spoken != "p")
                        or (connections == 1 and servers[-1] == LITELLM),
                    )
                )
    return found


def _over(way: str, title: str, connections: Sequence[int]) -> list[Load]:
    return [
        Load(
            f"1 × base64, {title} @{number}",
            f"{way}-b1",
            1,
            "base64",
            number,
            (NGINX, GATEWAY, LITELLM) if (way, number) == ("slow", 64) else (NGINX, GATEWAY),
            f"{way}/b1",
            quick=True,
        )
        for number in connections
    ]


def _cached() -> list[Load]:
    kinds: tuple[tuple[str, Texts, str], ...] = (
        ("all cached", "same", "cached-b100"),
        ("half cached", "half", "cached-b50"),
        ("none cached", "fresh", "cached-b100"),
    )
    found = [
        Load(
            f"100 × base64, {title} @16", model, 100, "base64", 16, (GATEWAY, REDIS), texts=texts, quick=texts == "same"
        )
        for title, texts, model in kinds
    ]
    found.append(Load("100 × float, all cached @16", "cached-b100", 100, "float", 16, (GATEWAY, REDIS)))
    found.append(Load("1 × base64, cached @64", "cached-b1", 1, "base64", 64, (GATEWAY, REDIS)))
    return found


LOADS: Final[tuple[Load, ...]] = (
    *_forwarded(),
    *_over("tls", "TLS upstream", (64,)),
    *_over("slow", "upstream takes 50 ms", (64, 1000)),
    *_cached(),
    Load("1 × base64, local model @64", "local", 1, "base64", 64, (GATEWAY, TWO), quick=True),
    Load("256 × base64, local model @16", "local", 256, "base64", 16, (GATEWAY, TWO), quick=True),
)
