"""The `input` field: every form that OpenAI takes becomes one list of inputs, all texts or all token ids.

It knows no model: what a token id means, and how many tokens are too many, is decided later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from gateway.errors import InvalidRequest
from providers.base import Input

MAX_INPUTS: Final = 2048
MAX_TOKEN_ID: Final = 2**32 - 1


_KEY: Final = re.compile(r"sk-gateway-[\w.-]{20,}")


def quoted(name: str, limit: int = 100) -> str:
    """A name that came from outside, fit for a message or a log: short, on one line, and never one of our keys."""
    if len(name) <= limit and name.isprintable() and "`" not in name and "sk-gateway-" not in name:
        return name
    name = _KEY.sub("sk-gateway-…", name) if "sk-gateway-" in name else name
    clean = "".join(c if c.isprintable() and c != "`" else "?" for c in name[: limit + 1])
    return clean if len(name) <= limit else clean[:limit] + "…"


def kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "a number"
        case float():  # shown, because it is at fault where whole numbers are wanted; too large ones become floats, too
            return f"a number ({value})"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def parse_input(value: object, *, texts_only: bool = False) -> Sequence[Input]:
    """One text, a list of texts, one list of token ids, or a list of such lists, as a list of inputs."""
    expected = (
        "a string or an array of strings"
        if texts_only
        else "a string, an array of strings, an array of token ids, or an array of arrays of token ids"
    )
    match value:
        case None:
            raise InvalidRequest(f"`input` is missing; it must be {expected}.", param="input")
        case "":
            raise InvalidRequest("`input` is an empty string; every input needs at least one character.", param="input")
        case str():
            return [value]
        case []:
            raise InvalidRequest("`input` is an empty array; send at least one input.", param="input")
        case list() if texts_only and not isinstance(value[0], str):
            raise InvalidRequest(f"`input` must be {expected}; item 0 is {kind(value[0])}.", param="input")
        case list():
            kinds = set(map(type, value))
            if kinds == {str}:
                return _texts(value)
            if kinds == {int}:
                return [_token_ids(value, "`input`")]
            if kinds == {list}:
                return _token_lists(value)
            raise _mixed(value, expected)
        case _:
            raise InvalidRequest(f"`input` must be {expected}; it is {kind(value)}.", param="input")


def _too_many(count: int, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"`input` holds {count} {what}; at most {MAX_INPUTS} fit in one request. Send them in several requests.",
        param="input",
    )


def _texts(texts: list[str]) -> list[str]:
    if len(texts) > MAX_INPUTS:
        raise _too_many(len(texts), "inputs")
    if "" in texts:
        place = texts.index("")
        raise InvalidRequest(
            f"`input[{place}]` is an empty string; every input needs at least one character.", param="input"
        )
    return texts


def _token_lists(lists: list[list[Any]]) -> list[Input]:
    if len(lists) > MAX_INPUTS:
        raise _too_many(len(lists), "inputs")
    return [_token_ids(ids, f"`input[{place}]`") for place, ids in enumerate(lists)]


def _token_ids(ids: list[Any], place: str) -> list[int]:
    if not ids:
        raise InvalidRequest(f"{place} is an empty array; every input needs at least one token id.", param="input")
    if set(map(type, ids)) != {int}:
        at = next(i for i, token in enumerate(ids) if type(token) is not int)
        raise InvalidRequest(
            f"{place} must hold token ids, which are whole numbers; its element {at} is {kind(ids[at])}.",
            param="input",
        )
    if min(ids) < 0 or max(ids) > MAX_TOKEN_ID:
        at = next(i for i, token in enumerate(ids) if not 0 <= token <= MAX_TOKEN_ID)
        raise InvalidRequest(f"{place} holds {ids[at]} at element {at}, which is no token id.", param="input")
    return ids


def _mixed(items: list[object], expected: str) -> InvalidRequest:
    """The first item whose kind differs from the first item's, or that no input may be."""
    first = type(items[0])
    at = 0
    if first in (str, int, list):
        at = next(i for i, item in enumerate(items) if type(item) is not first)
        return InvalidRequest(
            f"`input` mixes kinds: item 0 is {kind(items[0])} and item {at} is {kind(items[at])}. "
            f"It must be {expected}.",
            param="input",
        )
    return InvalidRequest(f"`input[{at}]` is {kind(items[at])}. `input` must be {expected}.", param="input")
