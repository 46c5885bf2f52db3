"""What a person reads when the gateway starts: where it listens, and a call that works as it stands."""

from __future__ import annotations

import os
import pathlib
import shutil
import sys

from gateway.config import Config


def text(config: Config, url: str, first_key: str | None) -> str:
    """`first_key` is told here and never again."""
    models = ", ".join(model.alias for model in config.models)
    lines = [f"The embedding gateway listens on {url}/v1 and serves: {models}"]
    if first_key is not None:
        lines += ["", *_first_call(config.models[0].alias, url, first_key)]
    elif config.is_embedded_default:
        lines.append(f"Use the key from the first start, or make another: {program()} keys create --name NAME")
    return "\n".join(lines)


def _first_call(model: str, url: str, key: str) -> list[str]:
    return [
        "Your first API key, shown only this once:",
        "",
        f"  {key}",
        "",
        "Try it:",
        "",
        f"  curl {url}/v1/embeddings \\",
        f'    -H "Authorization: Bearer {key}" \\',
        '    -H "Content-Type: application/json" \\',
        f"""    -d '{{"model": "{model}", "input": ["The cat sat on the mat", "A kitten rests on a rug"]}}'""",
        "",
        "or in Python, with OpenAI's own client (pip install openai):",
        "",
        "  from openai import OpenAI",
        "",
        f'  client = OpenAI(base_url="{url}/v1", api_key="{key}")',
        f'  answer = client.embeddings.create(model="{model}", input=["The cat sat on the mat"])',
        "  print(len(answer.data[0].embedding), answer.usage)",
        "",
    ]


def program() -> str:
    """How this program can be called from here."""
    if shutil.which("gateway"):
        return "gateway"
    called = pathlib.Path(sys.argv[0])
    if called.name == "__main__.py":
        called = pathlib.Path(sys.executable).with_name("gateway")
        if not called.exists():
            return f"{sys.executable} -m gateway"
    return os.path.join(os.curdir, os.path.relpath(called))
