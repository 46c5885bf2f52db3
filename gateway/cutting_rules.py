"""Whether a model can cut what is too long: its own tokens must be known, and of what a mean is made, unit vectors."""

from __future__ import annotations

from gateway.document import Path
from gateway.model_shape import ModelShape
from gateway.reading import Reading


def check(
    reading: Reading, shape: ModelShape, tokenizer: str | None, input_tokens: int | None, unit_length: bool, path: Path
) -> None:
    """`tokenizer` and `input_tokens` are what is known of the model; `unit_length` whether its vectors have that."""
    needs: list[str] = []
    if input_tokens is None:
        needs.append("`limits.input_tokens`")
    if not _is_exact(reading, tokenizer):
        needs.append("the model's own `tokenizer`, cl100k_base or a tokenizer.json that is there")
    if shape.too_long == "average" and not unit_length:
        needs.append("vectors of unit length (`normalize: true`)")
    if shape.too_long != "error" and needs:
        reading.problem((*path, "too_long"), f"`{shape.too_long}` needs {', and '.join(needs)}")


def _is_exact(reading: Reading, tokenizer: str | None) -> bool:
    """Others are estimated, and no estimate can tell where to cut."""
    if tokenizer is None or not tokenizer.endswith(".json"):
        return tokenizer == "cl100k_base"
    return reading.has_file(tokenizer)
