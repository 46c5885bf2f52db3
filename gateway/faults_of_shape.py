"""What pydantic finds, in our words: a place in the file and a sentence, never the value that stands there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from gateway.document import Path

_UNIONS: Final = frozenset({"audience", "client_extra", "credentials", "expires"})
"""Keys with alternatives: pydantic puts an alternative's name into the path behind them."""

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "string_type": "must be a string; put quotes around it",
    "string_unicode": "must be a string; put quotes around it",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "finite_number": "must be a whole number",
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
    "too_long": "must hold at most {max_length}",
    "datetime_type": "must be a date like 2027-01-31",
    "datetime_from_date_parsing": "must be a date like 2027-01-31",
    "union_tag_not_found": "its `kind` is missing",
    "union_tag_invalid": "its `kind` must be one of {expected_tags}",
    "value_error": "{error}",
}


def read(error: ValidationError, shape: type[BaseModel]) -> Iterator[tuple[Path, str]]:
    """Each fault once: where several alternatives of one key fail, the first speaks for all."""
    seen: set[Path] = set()
    faults = error.errors(include_url=False, include_input=False)
    faults.sort(key=lambda fault: fault["type"] != "extra_forbidden")  # `key:value` says more than `key` missing
    for fault in faults:
        path = _path(fault["loc"])
        if fault["type"] == "extra_forbidden":
            path, sentence = _unknown_key(str(path[-1]), path[:-1], _keys_at(shape, fault["loc"][:-1]))
        else:
            sentence = _SENTENCES.get(fault["type"], "is not of the right kind").format(**fault.get("ctx", {}))
        if path not in seen:
            seen.add(path)
            yield path, sentence


def _path(steps: Path) -> Path:
    before = (None, *steps)
    return tuple(step for step, last in zip(steps, before, strict=False) if step != "[key]" and last not in _UNIONS)


def _unknown_key(key: str, path: Path, known: list[str]) -> tuple[Path, str]:
    name = key.partition(":")[0]
    if name in known:  # what follows the colon was meant for a value, and may be a secret
        return (*path, name), "its colon needs a blank behind it"
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return (*path, key), f"unknown key; did you mean `{near[0]}`?"
    return (*path, key), f"unknown key; known here are {', '.join(f'`{one}`' for one in known)}"


def _keys_at(shape: type[BaseModel], path: Path) -> list[str]:
    current: Any = shape
    for step in path:
        current = _present(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(step))
            current = field.annotation if field else None
        else:  # a kind among several; else a list's index or a mapping's key: what it holds
            arguments = get_args(current)
            current = _of_kind(current, step) or (arguments[-1] if arguments else None)
    current = _present(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        return list(current.model_fields)
    return []


def _present(annotation: Any) -> Any:
    """What may be there, of what may be absent."""
    members = [member for member in get_args(annotation) if member is not NoneType]
    return members[0] if len(members) == 1 and NoneType in get_args(annotation) else annotation


def _of_kind(union: Any, kind: str | int) -> type[BaseModel] | None:
    """The one of several shapes whose `kind` this is."""
    for member in get_args(union):
        if isinstance(member, type) and issubclass(member, BaseModel):
            field = member.model_fields.get("kind")
            found = member if field is not None and kind in get_args(field.annotation) else None
        else:
            found = _of_kind(member, kind)
        if found is not None:
            return found
    return None
