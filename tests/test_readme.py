"""The README begins with two commands and a call to copy; that they work is seen by tests/test_docs.py."""

from __future__ import annotations

import pathlib
import re

README = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_beginning() -> None:
    """It opens with the two commands, and then a call by curl and one by OpenAI's client."""
    [(kind, commands), (shell, curl), (python, client), *_] = BLOCKS

    assert ["scripts/serve", "scripts/test"] == re.findall(r"^(\S+)", commands, re.MULTILINE)
    assert ("sh", "sh", "python") == (kind, shell, python)
    assert "curl http://127.0.0.1:8080/v1/embeddings" in curl
    assert "OpenAI(base_url=" in client


def test_is_short() -> None:
    """It fits on a few screens, and the documents say the rest."""
    assert README.count("\n") < 100
    assert "(docs/quickstart.md)" in README
