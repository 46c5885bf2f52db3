"""Embeds a dozen sentences through a gateway of its own, with the real openai client, and prints the nearest pairs."""

from __future__ import annotations

import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from openai import OpenAI

GATEWAY = pathlib.Path(sys.executable).with_name("gateway")
SENTENCES = [
    "A cat chased the mouse across the kitchen.",
    "The kitten ran after a mouse.",
    "The stock market fell sharply on Monday.",
    "Shares dropped as investors sold their holdings.",
    "She baked a loaf of sourdough bread.",
    "He took a fresh cake out of the oven.",
    "The football team won the championship.",
    "Our side scored twice and took the cup.",
    "Doctors recommend eight hours of sleep a night.",
    "Physicians say that patients need more sleep.",
    "The rocket was launched into orbit.",
    "A spacecraft left Earth on its way to Mars.",
]


def run(*arguments: str, cwd: str) -> str:
    return subprocess.run([GATEWAY, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print("Starting a gateway with the embedded default on a free port ...")
        with (pathlib.Path(folder) / "gateway.log").open("w") as log:
            server = subprocess.Popen(
                [GATEWAY, "serve", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            url = listening_on(server)
            key = run("keys", "create", "--name", "demo", cwd=folder)
            print(f"It listens on {url}; made the key {key[:14]}… for the client.\n")
            show_pairs(OpenAI(base_url=url, api_key=key))
        finally:
            server.terminate()
            server.wait(30)
    print("\nStopped.")


def listening_on(server: subprocess.Popen[str]) -> str:
    for line in server.stdout or ():
        if found := re.search(r"http://\S+/v1", line):
            return found[0]
    sys.exit("The gateway did not start.")


def show_pairs(client: OpenAI) -> None:
    with client:
        answer = client.embeddings.create(model="local-small", input=SENTENCES)
    vectors = np.array([item.embedding for item in answer.data], dtype=np.float32)
    count, dimensions = vectors.shape
    print(f"{count} sentences, {dimensions} dimensions, {answer.usage.total_tokens} tokens. Nearest pairs:\n")
    cosines = vectors @ vectors.T
    pairs = sorted(itertools.combinations(range(len(vectors)), 2), key=lambda pair: -cosines[pair])
    width = max(map(len, SENTENCES))
    print(f"cosine  {'sentence'.ljust(width)}  its neighbour")
    for left, right in pairs[:6]:
        print(f"{cosines[left, right]:6.3f}  {SENTENCES[left].ljust(width)}  {SENTENCES[right]}")


main()
