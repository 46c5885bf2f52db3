"""What a target takes and how it answers: encodings, token ids, how many and how long inputs, usage. It asks nothing.

`claimed` is always what the configuration says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.probing.finding import Answer, Finding, Mark, Reply, Setting, is_passing, said, unknown
from gateway.probing.vectors import SAME
from providers import codec
from providers.base import Fault, FaultKind

CUT: Final = 0.9999
"""Cosine from which two long texts have the same vector, although a third of them differs."""
FEWEST: Final = 0.5
"""Share of the estimated tokens below which a usage cannot be the sum over all inputs."""


def base64(first: Answer, reply: Reply, claimed: bool) -> Finding:
    """Whether it answers base64 of the same float32 values when it is asked to."""
    if isinstance(reply, Fault):
        if is_passing(reply):
            return unknown("base64", reply)
        found, message = "no", f"asked for base64, {said(reply)}"
    elif _holds_numbers(reply.body):
        found, message = "floats", "asked for base64 it answers lists of numbers"
    elif _cosine(first, reply) < SAME:
        found, message = "wrong", "what it answers as base64 are not the float32 values of its numbers"
    else:
        found, message = "yes", "" if claimed else "it answers base64 when asked, which is smaller and faster"
    return _ability("base64", "targets.base64", found, message, claimed)


def token_ids(first: Answer, reply: Reply, claimed: bool) -> Finding:
    """Whether token ids of cl100k_base give the vector of a text; `reply` is to those of the first one.

    Any text's will do: where the order is wrong, that is another finding.
    """
    if isinstance(reply, Fault):
        if is_passing(reply):
            return unknown("token ids", reply)
        found, message = "no", f"sent token ids, {said(reply)}"
    elif (cosine := max(_cosine(replace(first, vectors=[one]), reply) for one in first.vectors)) < SAME:
        found, message = "others", f"its token ids are not cl100k_base's: the vector is another (cosine {cosine:.3f})"
    else:
        found, message = "yes", "" if claimed else "it reads cl100k_base's ids: they need not be decoded for it"
    return _ability("token ids", "targets.token_ids", found, message, claimed)


def _ability(check: str, key: str, found: str, message: str, claimed: bool) -> Finding:
    able = found == "yes"
    mark = Mark.AGREES if able == claimed else Mark.NOTE if able else Mark.CONTRADICTS
    return Finding(check, mark, found, message, Setting(key, able, claimed))


def _cosine(first: Answer, other: Answer) -> float:
    """The least of those of its vectors."""
    if first.dimensions != other.dimensions:
        return 0.0
    return min(codec.cosine(*pair) for pair in zip(first.vectors, other.vectors, strict=False))


def _holds_numbers(body: bytes | None) -> bool:
    """Whether an answer holds a list of JSON numbers with a fraction, wherever it stands."""

    def within(value: object) -> bool:
        if isinstance(value, dict):
            return any(map(within, value.values()))
        return isinstance(value, list) and any(type(one) is float or within(one) for one in value)

    return within(_json(body))


def _json(body: bytes | None) -> object:
    try:
        return codec.parse_json(body or b"null")
    except codec.JSONError:
        return None


def next_count(accepted: int, refused: int | None, declared: int, most: int) -> int | None:
    """How many inputs to try in one call after so many were accepted and so many refused; None when it is clear.

    First the declared number, which is right as a rule; beyond it by doubling, up to `most`; below it the largest
    accepted number is found by doubling and then halving what lies between.
    """
    if refused is None:
        if accepted >= most:
            return None
        return min(most, declared if accepted < declared else 2 * accepted)
    if accepted >= declared or refused - accepted <= 1:
        return None
    return min(2 * accepted, (accepted + refused) // 2)


def items(accepted: int, refused: int | None, fault: Fault | None, declared: int, configured: int | None) -> Finding:
    """How many inputs one call may have. `fault` is the last refusal, `configured` the target's own limit."""
    found = f"{accepted}" if refused == accepted + 1 else f"≥ {accepted}"
    if fault is not None and is_passing(fault):
        return Finding("items", Mark.UNKNOWN, found, said(fault))
    setting = Setting("targets.batch.inputs", accepted, configured)
    if fault is not None and accepted < declared:
        message = f"{accepted} inputs are taken in one call, but the gateway may send {declared}: {said(fault)}"
        return Finding("items", Mark.CONTRADICTS, found, message, setting)
    if accepted > max(declared, configured or 0):
        message = f"one call may have {accepted} inputs, and the gateway sends no more than {declared}"
        return Finding("items", Mark.NOTE, found, message, setting)
    return Finding("items", Mark.AGREES, found, setting=setting if accepted == configured else None)


def empty(reply: Reply) -> Finding:
    """What it makes of an empty string, which the gateway never sends."""
    if isinstance(reply, Answer):
        return Finding("empty string", Mark.AGREES, "a vector")
    if is_passing(reply):
        return unknown("empty string", reply)
    words = {FaultKind.REJECTED: "refused", FaultKind.MALFORMED: "no vector"}
    return Finding("empty string", Mark.AGREES, words.get(reply.kind, "fails"))


def too_long(reply: Reply, other: Reply | None, limit: int, may_cut: bool) -> Finding:
    """What it makes of a text beyond its limit; `other` is to one that differs beyond the limit only.

    `may_cut` is whether the gateway keeps the limit, because it does not count on a refusal.
    """
    for one in (reply, other):
        if isinstance(one, Fault):
            return unknown("too long", one) if is_passing(one) else Finding("too long", Mark.AGREES, "refused")
    if isinstance(reply, Answer) and isinstance(other, Answer) and _cosine(reply, other) >= CUT:
        message = f"a text beyond {limit} tokens is cut without a word"
        if may_cut:
            return Finding("too long", Mark.AGREES, "cut", f"{message}: the gateway keeps the limit by counting")
        return Finding("too long", Mark.CONTRADICTS, "cut", f"{message}, although it is taken to refuse it")
    return Finding("too long", Mark.AGREES, "read")


def usage(answer: Answer, estimate: int) -> Finding:
    """Whether it reports the tokens of all inputs; `estimate` is their count in cl100k_base."""
    if answer.tokens is None:
        found = "zero" if _zero_usage(answer.body) else "none"
        return Finding("usage", Mark.NOTE, found, f"it reports {found} of its tokens: they are counted here")
    if answer.tokens < FEWEST * estimate:
        message = f"it reports {answer.tokens} tokens for {len(answer.vectors)} texts of about {estimate} in all"
        return Finding("usage", Mark.NOTE, f"{answer.tokens}", message)
    return Finding("usage", Mark.AGREES, f"{answer.tokens}")


def _zero_usage(body: bytes | None) -> bool:
    answer = _json(body)
    reported = answer.get("usage") if isinstance(answer, dict) else None
    return isinstance(reported, dict) and any(type(value) is int and value == 0 for value in reported.values())
