"""The questions that a target is asked, in their order, each judged as soon as it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway import adapters
from gateway.assembly import BuildError
from gateway.config import ModelConfig, TargetConfig
from gateway.inputs import MAX_INPUTS
from gateway.probing import abilities, vectors
from gateway.probing.asking import Asking, BringUp
from gateway.probing.finding import Answer, Finding, Mark, Report, is_passing, not_asked
from gateway.retry import Retry
from gateway.vocabulary import cl100k
from providers.base import Fault, FaultKind
from providers.engine import LocalProvider

TEXTS: Final = (
    "The river was high after a week of rain.",
    "A library lends books, maps and music to whoever asks for them.",
    "Salt and bread.",
)
LONG: Final = " The quick brown fox jumps over the lazy dog and runs on."
LONG_ENDS: Final = (" Prices at the market fell again last winter.", " Her grandfather built wooden boats by the lake.")


_PERHAPS_TOO_MANY: Final = {FaultKind.REJECTED, FaultKind.BROKEN, FaultKind.MALFORMED}
"""How three texts may fare where one call takes one."""


@dataclass(frozen=True, slots=True)
class Questions:
    """How to ask: `seconds` is the longest time for one question, all its tries included.

    Call sizes are tried up to `most_items`; `long` texts cost tokens.
    """

    seconds: float
    most_items: int = MAX_INPUTS
    long: bool = False
    told: Callable[[], None] = lambda: None
    """Called whenever a target has been asked everything."""


async def probe(
    model: ModelConfig, target: TargetConfig, questions: Questions, bring_up: BringUp, retry: Retry
) -> Report:
    """Everything about one target; one that does not answer is asked nothing further."""
    try:
        asking = Asking(model, target, bring_up, questions.seconds, retry)
    except BuildError as error:
        finding = Finding("answers", Mark.CONTRADICTS, "no", str(error))
        return Report(model.alias, target.name, target.provider, [finding])
    try:
        first = await asking.ask(TEXTS[: target.limits.inputs])
        if isinstance(first, Fault) and first.kind in _PERHAPS_TOO_MANY:
            first = await asking.ask(TEXTS[:1])
        findings = [vectors.answers(first)]
        if isinstance(first, Answer):
            findings += await _about_vectors(asking, first, model)
            findings += await _about_calls(asking, first, model, target, questions)
    finally:
        await asking.close()
    answer = first if isinstance(first, Answer) else None
    return Report(model.alias, target.name, target.provider, findings, asking.calls, asking.tokens, answer)


async def _about_vectors(asking: Asking, first: Answer, model: ModelConfig) -> list[Finding]:
    texts = TEXTS[: len(first.vectors)]
    # Turned by one place, not reversed: a service that itself turns every call round would seem right.
    again = await asking.ask([*texts[1:], texts[0]])
    if isinstance(again, Answer):
        again = replace(again, vectors=[again.vectors[-1], *again.vectors[:-1]])
    return [
        vectors.dimensions(first, model.dimensions),
        *vectors.steady(first, again),
        vectors.unit_length(first, model.unit_length, model.normalize),
        abilities.usage(first, asking.estimate(texts)),
        abilities.empty(await asking.ask([""])),
    ]


async def _about_calls(
    asking: Asking, first: Answer, model: ModelConfig, target: TargetConfig, questions: Questions
) -> list[Finding]:
    """What only a service is asked: a local model is given texts, and answers float32."""
    provider = adapters.find(target.provider)
    if isinstance(provider, LocalProvider):
        return [not_asked(check) for check in ("base64", "token ids", "shortens", "items")]
    in_base64 = await asking.ask(TEXTS[: len(first.vectors)], base64=True)
    base64 = abilities.base64(first, in_base64, target.base64)
    token_ids, shortens = not_asked("token ids"), not_asked("shortens")
    if provider.token_ids:
        ids = cl100k().encode_ordinary(TEXTS[0])
        token_ids = abilities.token_ids(first, await asking.ask([ids]), target.token_ids)
    if provider.shortens:
        claimed = model.dimensions
        sizes = claimed.allowed or sorted({claimed.min, max(claimed.min, first.dimensions // 2)} - {1})
        replies = {size: await asking.ask(TEXTS[:1], size) for size in sizes if size != first.dimensions}
        shortens = vectors.shortens(replies, claimed)
    writes_base64 = base64.found == "yes"
    items = not_asked("items")
    if provider.limits.inputs != 1:  # a wire for one text has no place for a second
        items = await _items(asking, model, target, first, questions, writes_base64)
    findings = [base64, token_ids, shortens, items]
    if questions.long and model.limits.input_tokens is not None:
        findings.append(await _too_long(asking, model.limits.input_tokens, target.may_cut))
    return findings


async def _items(
    asking: Asking,
    model: ModelConfig,
    target: TargetConfig,
    first: Answer,
    questions: Questions,
    base64: bool,
) -> Finding:
    declared = min(target.limits.inputs or MAX_INPUTS, model.limits.inputs or MAX_INPUTS)
    accepted, refused, fault = len(first.vectors), None, None
    while (count := abilities.next_count(accepted, refused, declared, questions.most_items)) is not None:
        reply = await asking.ask([f"{number}" for number in range(count)], base64=base64)
        if isinstance(reply, Answer):
            accepted = count
            continue
        refused, fault = count, reply
        if is_passing(reply):
            break
    return abilities.items(accepted, refused, fault, declared, target.limits.inputs)


async def _too_long(asking: Asking, limit: int, may_cut: bool) -> Finding:
    """Half as long again as the limit, which is more by any tokenizer than what the limit leaves."""
    start = LONG * (limit // asking.estimate([LONG]) + 1)
    ends = [end * (limit // (2 * asking.estimate([end])) + 1) for end in LONG_ENDS]
    reply = await asking.ask([start + ends[0]])
    other = await asking.ask([start + ends[1]]) if isinstance(reply, Answer) else None
    return abilities.too_long(reply, other, limit, may_cut)


async def probe_all(
    models: Sequence[ModelConfig], questions: Questions, bring_up: BringUp, retry: Retry
) -> list[Report]:
    """Every target of the models, side by side; those of one model are compared with its first that answers."""

    async def one(model: ModelConfig, target: TargetConfig) -> Report:
        report = await probe(model, target, questions, bring_up, retry)
        questions.told()
        return report

    reports = await asyncio.gather(*(one(model, target) for model in models for target in model.targets))
    return [_compared(report, [one for one in reports if one.model == report.model]) for report in reports]


def _compared(report: Report, of_model: Sequence[Report]) -> Report:
    answered = [(one.target, one.first) for one in of_model if one.first is not None]
    if len(answered) < 2 or report.first is None or report.target == answered[0][0]:
        return report
    name, first = answered[0]
    return replace(report, findings=[*report.findings, vectors.one_space(first, report.first, name)])
