"""What a field of a body may be, as small checks that can be put together; an explicit null is never right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.vocabulary import cl100k
from tests.fakes.wires.base import Reason, Shape, Unsound, check_fields


def text(value: Any, place: str) -> None:
    if not isinstance(value, str):
        raise Unsound(Reason.VALUE, place, "is not a valid string")
    if not value:
        raise Unsound(Reason.VALUE, place, "cannot be an empty string")


def text_up_to(characters: int) -> Shape:
    def check(value: Any, place: str) -> None:
        text(value, place)
        if len(value) > characters:
            raise Unsound(Reason.VALUE, place, f"expected maxLength: {characters}, actual: {len(value)}")

    return check


def token_ids(value: Any, place: str) -> None:
    """Ids of the fake's own vocabulary, which is cl100k_base."""
    if not isinstance(value, list) or not value or set(map(type, value)) != {int}:
        raise Unsound(Reason.VALUE, place, "is not a list of token ids")
    try:
        cl100k().decode_bytes(value)
    except (KeyError, OverflowError):
        raise Unsound(Reason.VALUE, place, "holds an id beyond the vocabulary") from None


def text_or_ids(value: Any, place: str) -> None:
    (token_ids if isinstance(value, list) else text)(value, place)


def list_of(item: Shape, most: int | None = None) -> Shape:
    def check(value: Any, place: str) -> None:
        if not isinstance(value, list) or not value:
            raise Unsound(Reason.VALUE, place, "is not a list with something in it")
        if most is not None and len(value) > most:
            raise Unsound(Reason.NUMBER, place, f"holds {len(value)}, and {most} are allowed")
        for index, inner in enumerate(value):
            item(inner, f"{place}[{index}]")

    return check


def whole(least: int, most: int) -> Shape:
    def check(value: Any, place: str) -> None:
        if type(value) is not int or not least <= value <= most:
            raise Unsound(Reason.VALUE, place, f"is not a whole number from {least} to {most}")

    return check


def one_of(*allowed: Any) -> Shape:
    def check(value: Any, place: str) -> None:
        if not any(type(value) is type(known) and value == known for known in allowed):
            raise Unsound(Reason.VALUE, place, f"is none of {', '.join(map(repr, allowed))}")

    return check


def model(name: str) -> Shape:
    def check(value: Any, place: str) -> None:
        text(value, place)
        if value != name:
            raise Unsound(Reason.MODEL, place, f"`{value}` does not exist")

    return check


def free_object(value: Any, place: str) -> None:
    if not isinstance(value, dict) or None in value.values():
        raise Unsound(Reason.VALUE, place, "is not an object")


def no_use(value: Any, place: str) -> None:
    """A documented field that gives other vectors, or stands in for the texts: never right from a gateway."""
    raise Unsound(Reason.VALUE, place, "would change what is embedded, or how")


def fields(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """A closed object."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise Unsound(Reason.VALUE, place, "is not an object")
        try:
            check_fields(value, required, optional or {})
        except Unsound as inner:
            raise Unsound(inner.reason, f"{place}.{inner.place}", inner.fault) from None

    return check


TEXTS = list_of(text)


def spelled(inputs: Sequence[str | list[int]]) -> list[bytes]:
    """The bytes of each input."""
    return [item.encode() if isinstance(item, str) else cl100k().decode_bytes(item) for item in inputs]
