"""What pydantic finds, in our words: a place in the file and a sentence, never the value that stands there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from gateway.document import Path

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "string_type": "must be a string; put quotes around it",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "must hold at least {min_length}",
    "date_from_datetime_parsing": "must be a date like 2027-01-31",
    "datetime_from_date_parsing": "must be a date like 2027-01-31",
    "value_error": "{error}",
}


def read(error: ValidationError, shape: type[BaseModel]) -> Iterator[tuple[Path, str]]:
    """Each fault once: where several alternatives of one key fail, the first speaks for all."""
    seen: set[Path] = set()
    for fault in error.errors(include_url=False, include_input=False):
        path = tuple(step for step in fault["loc"] if step != "[key]" and not _is_alternative(step))
        if path in seen:
            continue
        seen.add(path)
        if fault["type"] == "extra_forbidden":
            yield path, _unknown_key(str(path[-1]), _keys_at(shape, path[:-1]))
        else:
            sentence = _SENTENCES.get(fault["type"])
            yield path, sentence.format(**fault.get("ctx", {})) if sentence else fault["msg"]


def _is_alternative(step: str | int) -> bool:
    """Pydantic puts the name of a union's member into the path."""
    return isinstance(step, str) and (step in {"datetime", "date"} or step.startswith(("literal[", "list[")))


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"unknown key; did you mean `{near[0]}`?"
    return f"unknown key; known here are {', '.join(f'`{name}`' for name in known)}" if known else "unknown key"


def _keys_at(shape: type[BaseModel], path: Path) -> list[str]:
    current: Any = shape
    for step in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(step))
            current = field.annotation if field else None
        else:  # a list's index or a mapping's key: what it holds
            arguments = getattr(current, "__args__", ())
            current = arguments[-1] if arguments else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return []
