"""Inputs fit a route's limits, or are refused by item; nothing is counted that need not be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import admission
from gateway.admission import Admitted
from gateway.cutting import TooLong
from gateway.dimensions import Dimensions
from gateway.errors import ContextLengthExceeded, GatewayError, InvalidRequest, TooManyTokens
from gateway.routing import Route
from gateway.tokens import Counter, FileCounter, TiktokenCounter
from gateway.vocabulary import cl100k
from providers.base import Input, InputType, Limits
from tests.fakes.counters import LetterCounter, NoCounter

PROMPTS: dict[InputType, str] = {"query": "q: {text}!", "document": "{text}"}


def route(**fields: Any) -> Route:
    limits = Limits(**{name: fields.pop(name) for name in tuple(fields) if name in Limits.__dataclass_fields__})
    return Route("small", "our/space", Dimensions(8), [], limits, **fields)


async def admit(
    sent: Sequence[Input], counter: Counter | None = None, role: InputType | None = None, **fields: Any
) -> Admitted:
    return await admission.admit(sent, role, route(**fields), counter or LetterCounter())


async def refusal_of(
    sent: Sequence[Input], counter: Counter | None = None, role: InputType | None = None, **fields: Any
) -> tuple[type[GatewayError], str, str | None]:
    with pytest.raises(GatewayError) as caught:
        await admit(sent, counter, role, **fields)
    return type(caught.value), caught.value.message, caught.value.param


def ids_of(text: str) -> list[int]:
    return cl100k().encode(text)


# ── how many ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("inputs", [["a", "b", "c"], [[1], [2], [3]]], ids=["texts", "ids"])
async def test_as_many_as_the_limit(inputs: Sequence[Input]) -> None:
    """As many inputs as the limit allows are admitted."""
    assert inputs == (await admit(inputs, inputs=3, passes_token_ids=True)).inputs


@pytest.mark.parametrize("inputs", [["a", "b", "c", "d"], [[1], [2], [3], [4]]], ids=["texts", "ids"])
async def test_one_too_many(inputs: Sequence[Input]) -> None:
    """One input more than the limit allows is refused, with both numbers."""
    expected = "`input` holds 4 inputs; this model takes at most 3 in one request. Send them in several requests."

    assert (InvalidRequest, expected, "input") == await refusal_of(inputs, inputs=3)


async def test_too_many_are_not_counted() -> None:
    """Inputs that are too many are not looked at."""
    assert InvalidRequest is (await refusal_of(["a" * 9] * 4, NoCounter(), inputs=3, input_tokens=5))[0]


# ── the characters of one input ───────────────────────────────────────────────────────────────────────────────────


async def test_as_many_characters_as_the_limit() -> None:
    """A text of as many characters as the limit allows is admitted, whatever they weigh."""
    assert ["é" * 5] == (await admit(["é" * 5], input_chars=5)).inputs


async def test_one_character_over() -> None:
    """A text of one character more is refused, with its item and both numbers, and without being counted."""
    expected = "`input[1]` has 6 characters; this model takes at most 5 in one input. Split it into shorter ones."

    assert (ContextLengthExceeded, expected, "input") == await refusal_of(["a", "é" * 6], NoCounter(), input_chars=5)


async def test_characters_of_a_prompt() -> None:
    """What goes out is measured: the prompt counts, and so does the text behind token ids."""
    fields: dict[str, Any] = {"prompts": PROMPTS, "input_types": ["query"], "input_chars": 8}

    assert ["q: hello!"[:8]] != (await admit(["hell"], role="query", **fields)).inputs
    assert "`input[0]` has 9 characters" in (await refusal_of([ids_of("hello")], role="query", **fields))[1]


# ── the tokens of one input ───────────────────────────────────────────────────────────────────────────────────────


async def test_bound_is_enough() -> None:
    """Texts whose bound is within the limits are admitted uncounted, with their bounds for sizes."""
    admitted = await admit(["a b", "aaaaa"], NoCounter(), input_tokens=5, request_tokens=8)

    assert Admitted(["a b", "aaaaa"], [3, 5], range(2)) == admitted


async def test_no_limits() -> None:
    """Without limits nothing is counted."""
    assert [1000] == (await admit(["a" * 1000], NoCounter())).sizes


async def test_only_doubtful_texts_are_counted() -> None:
    """Only texts whose bound is over the limit are counted."""
    counter = LetterCounter()
    await admit(["a b c d", "abc", "a  "], counter, input_tokens=4)

    assert ["a b c d"] == counter.counted


@pytest.mark.parametrize("text", ["abcde", "abcde  ", "a b c d e"])
async def test_at_the_limit(text: str) -> None:
    """A text of exactly as many tokens as the limit allows is admitted."""
    assert [5] == (await admit([text], input_tokens=5)).sizes


async def test_one_token_over() -> None:
    """A text of one token more than the limit allows is refused, with its item and both numbers."""
    expected = "`input[1]` has 6 tokens (letters); this model takes at most 5 in one input. Split it into shorter ones."

    assert (ContextLengthExceeded, expected, "input") == await refusal_of(["abc", "abcdef", "abc"], input_tokens=5)


async def test_counting_stops_at_the_first() -> None:
    """What stands behind a text over the limit is not counted."""
    counter = LetterCounter()
    await refusal_of(["a b c", "a b c d", "a b c d e f"], counter, input_tokens=3)

    assert ["a b c", "a b c d"] == counter.counted


async def test_first_item_over() -> None:
    """Of several texts over the limit the first is named."""
    assert "`input[1]` has 6" in (await refusal_of(["a", "abcdef", "abcdefg"], input_tokens=5))[1]


async def test_surely_over() -> None:
    """A text that even its least bound has over the limit is refused uncounted."""
    expected = (
        "`input[1]` has at least 6 tokens (nothing); this model takes at most 5 in one input. "
        "Split it into shorter ones."
    )

    assert (ContextLengthExceeded, expected, "input") == await refusal_of(["a", "b" * 24], NoCounter(), input_tokens=5)


async def test_perhaps_not_over() -> None:
    """A text whose least bound is at the limit is counted before it is judged."""
    assert [5] == (await admit(["a b c d e"], LetterCounter(tokens_of=1), input_tokens=5)).sizes


async def test_unbounded() -> None:
    """Where a tokenizer has no bound, every text is counted once."""
    counter = LetterCounter(bounded=False)
    admitted = await admit(["a b", "c  d"], counter, input_tokens=2, request_tokens=4)

    assert ([2, 2], ["a b", "c  d"]) == (admitted.sizes, counter.counted)


async def test_unbounded_over() -> None:
    """Where a tokenizer has no bound, a text over the limit is refused with its exact number."""
    refusal = await refusal_of(["a", "abcdef" * 10], LetterCounter(bounded=False), input_tokens=5)

    assert "`input[1]` has 60 tokens (letters)" in refusal[1]


# ── the tokens of all ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_sum_at_the_limit() -> None:
    """Texts whose exact sum is at the limit are admitted."""
    assert [3, 3] == (await admit(["a b c", "a b c"], request_tokens=6)).sizes


async def test_sum_over() -> None:
    """Texts whose exact sum is one over the limit are refused, with both numbers."""
    expected = (
        "The inputs have 7 tokens in all (letters); this model takes at most 6 in one request. "
        "Send them in several requests."
    )

    assert (TooManyTokens, expected, "input") == await refusal_of(["a b c", "a b c d"], request_tokens=6)


async def test_nothing_is_counted_twice() -> None:
    """A text that was counted for its own sake is not counted again for the sum."""
    counter = LetterCounter()
    await admit(["a b c d e", "ab"], counter, input_tokens=6, request_tokens=7)

    assert ["a b c d e"] == counter.counted


async def test_all_are_counted_for_the_sum() -> None:
    """Where the bounds' sum is over the limit, every text is counted, once."""
    counter = LetterCounter()
    await admit(["a b c d e", "a b", "c d"], counter, input_tokens=6, request_tokens=9)

    assert ["a b", "a b c d e", "c d"] == sorted(counter.counted)


@given(
    st.lists(st.text("ab ", min_size=1, max_size=12), min_size=1, max_size=6),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 40),
    st.booleans(),
)
async def test_admitted_or_over(
    texts: list[str], input_tokens: int | None, request_tokens: int | None, bounded: bool
) -> None:
    """Texts are refused if, and only if, their exact counts are over a limit."""
    exact = [text.count("a") + text.count("b") for text in texts]
    over = (input_tokens is not None and max(exact) > input_tokens) or (
        request_tokens is not None and sum(exact) > request_tokens
    )
    try:
        await admit(texts, LetterCounter(bounded=bounded), input_tokens=input_tokens, request_tokens=request_tokens)
        refused = False
    except InvalidRequest:
        refused = True

    assert over == refused


@pytest.mark.parametrize(("counter", "known"), [(LetterCounter(exact=False), True), (LetterCounter(), False)])
async def test_estimate_where_texts_could_be_cut(counter: LetterCounter, known: bool) -> None:
    """Where what is too long could be cut, even an estimate refuses, at a limit of its own, and says what it is."""
    fields: dict[str, Any] = {"most_estimated": 4, "input_tokens": 6, "tokenizer_known": known}
    expected = (
        "`input[1]` has 5 tokens by an estimate (letters, which is not this model's own tokenizer); at most 4 are let "
        "through, because what is too long could be cut without a word. Split it into shorter ones."
    )

    assert (ContextLengthExceeded, expected, "input") == await refusal_of(["abcd", "abcde"], counter, **fields)
    assert [4] == (await admit(["abcd"], counter, **fields)).sizes


async def test_exact_count_needs_no_estimate() -> None:
    """A count in the model's own tokens may use the whole limit."""
    assert [6] == (await admit(["abcdef"], most_estimated=4, input_tokens=6)).sizes


@pytest.mark.parametrize("bounded", [True, False])
async def test_estimates_never_refuse(bounded: bool) -> None:
    """Another tokenizer's count is no reason to refuse anything."""
    counter = LetterCounter(exact=False, bounded=bounded)

    assert [24, 1] == (await admit(["b" * 24, "a"], counter, input_tokens=5, request_tokens=6)).sizes


async def test_unknown_tokenizer_refuses_nothing() -> None:
    """Where nobody named the model's tokenizer, a count is no reason to refuse anything."""
    admitted = await admit(["b" * 24, "a"], tokenizer_known=False, input_tokens=5, request_tokens=6)

    assert [24, 1] == admitted.sizes


@pytest.mark.parametrize(("text", "limit", "expected"), [("hello world", 2, [2]), ("a" * 8192, 8192, [8192])])
async def test_real_tokens(text: str, limit: int, expected: list[int]) -> None:
    """cl100k counts what its bound cannot tell."""
    assert expected == (await admit([text], TiktokenCounter(cl100k()), input_tokens=limit)).sizes


async def test_surely_over_for_real() -> None:
    """A text that no tokenization by cl100k could make short enough is refused by its length alone."""
    refusal = await refusal_of(["x" * 128 * 11], TiktokenCounter(cl100k()), input_tokens=10)

    assert "`input[0]` has at least 11 tokens (cl100k_base)" in refusal[1]


# ── prompts ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("role", "expected"), [(None, ["a", "b"]), ("query", ["q: a!", "q: b!"]), ("document", ["a", "b"])]
)
async def test_prompts(role: InputType | None, expected: list[str]) -> None:
    """The role's prompt goes around every text."""
    assert expected == (await admit(["a", "b"], role=role, prompts=PROMPTS)).inputs


async def test_role_without_prompts() -> None:
    """Where the provider is told the role, the text stays as it is."""
    assert ["a"] == (await admit(["a"], role="query", input_types=["query"])).inputs


async def test_braces_in_a_text() -> None:
    """A text is put into the prompt as it is, whatever it holds."""
    assert ["q: {text} {0} %s!"] == (await admit(["{text} {0} %s"], role="query", prompts=PROMPTS)).inputs


async def test_prompt_counts() -> None:
    """A prompt's tokens count, too."""
    assert ContextLengthExceeded is (await refusal_of(["abc"], role="query", prompts=PROMPTS, input_tokens=3))[0]


# ── token ids ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ids_pass() -> None:
    """Where every target reads them alike, token ids stay as they came, and each is one token."""
    inputs = [ids_of("hello world"), [100257]]

    assert Admitted(inputs, [2, 1], range(2), []) == await admit(inputs, NoCounter(), passes_token_ids=True)


async def test_ids_are_decoded() -> None:
    """Elsewhere token ids become the text that they stand for."""
    admitted = await admit([ids_of("naïve café ☕"), ids_of("日本語")])

    assert ["naïve café ☕", "日本語"] == admitted.inputs


async def test_ids_with_a_role() -> None:
    """Where the provider is told the role, token ids may pass."""
    ids = ids_of("hello")

    assert [ids] == (await admit([ids], role="query", input_types=["query"], passes_token_ids=True)).inputs


async def test_ids_with_a_prompt() -> None:
    """Where a prompt goes around them, token ids become text even if they could pass."""
    admitted = await admit([ids_of("hello")], role="query", prompts=PROMPTS, passes_token_ids=True)

    assert ["q: hello!"] == admitted.inputs


async def test_cut_items() -> None:
    """Inputs that lost half a character at an edge are reported."""
    whole, half = ids_of("good 🦄"), ids_of("good 🦄")[:-1]

    assert Admitted(["good 🦄", "good ", "good "], [6, 5, 5], range(3), [1, 2]) == await admit([whole, half, half])


async def test_passed_ids_are_not_cut() -> None:
    """Half a character in ids that pass is for the upstream to read."""
    half = ids_of("good 🦄")[:-1]

    assert Admitted([half], [len(half)], range(1), []) == await admit([half], passes_token_ids=True)


@pytest.mark.parametrize("passes", [False, True], ids=["decoded", "passed"])
async def test_unknown_ids(passes: bool) -> None:
    """An id outside the vocabulary is refused with its item."""
    expected = "`input[1]`: The token id at position 2 is not in the vocabulary of `cl100k_base`."
    refusal = await refusal_of([[1], [1, 2, 100_300], [100_300]], passes_token_ids=passes)

    assert (InvalidRequest, expected, "input") == refusal


async def test_ids_that_are_no_text() -> None:
    """Ids whose bytes are no text are refused with their item."""
    middle = ids_of("🦄")[:1] + ids_of("hello")
    refusal = await refusal_of([ids_of("a"), middle])

    assert "`input[1]`: The token ids are no text in `cl100k_base`" in refusal[1]


async def test_ids_refused() -> None:
    """A route may refuse token ids altogether."""
    expected = (InvalidRequest, "This model takes texts, not token ids.", "input")

    assert expected == await refusal_of([[1]], client_tokens="reject", passes_token_ids=True)


async def test_texts_where_ids_are_refused() -> None:
    """A route that refuses token ids takes texts."""
    assert ["a"] == (await admit(["a"], client_tokens="reject")).inputs


async def test_ids_over() -> None:
    """Ids over the limit of one input are refused by their exact number."""
    refusal = await refusal_of([[1] * 5, [1] * 6], NoCounter(), input_tokens=5, passes_token_ids=True)

    assert "`input[1]` has 6 tokens" in refusal[1]


@pytest.mark.parametrize("passes", [False, True], ids=["decoded", "passed"])
async def test_too_many_ids_are_not_read(passes: bool) -> None:
    """Ids over a limit that is counted in them are refused before they are looked at."""
    refusal = await refusal_of(
        [[1], [100_300] * 6], LetterCounter("cl100k_base"), input_tokens=5, passes_token_ids=passes
    )

    assert (
        ContextLengthExceeded,
        "`input[1]` has 6 tokens (cl100k_base); this model takes at most 5 in one input. Split it into shorter ones.",
        "input",
    ) == refusal


async def test_as_many_ids_are_read() -> None:
    """Ids at the limit are looked at."""
    refusal = await refusal_of([[100_300] * 5], LetterCounter("cl100k_base"), input_tokens=5)

    assert "`input[0]`: The token id at position 0 is not in the vocabulary" in refusal[1]


async def test_ids_of_another_tokenizer() -> None:
    """Where the limit is counted in other tokens, the ids' text decides, and not their number."""
    assert [1] == (await admit([ids_of("a . , ;")], LetterCounter(), input_tokens=2)).sizes


async def test_sum_of_ids_over() -> None:
    """Ids over the limit of a request are refused by their exact number."""
    refusal = await refusal_of([[1] * 4] * 2, NoCounter(), request_tokens=7, passes_token_ids=True)

    assert (TooManyTokens, True) == (refusal[0], "The inputs have 8 tokens" in refusal[1])


async def test_ids_are_not_refused_by_an_estimate() -> None:
    """Where the model's own tokenizer is not known, ids are not refused for their number either."""
    admitted = await admit([[1] * 6], LetterCounter(exact=False), input_tokens=5, passes_token_ids=True)

    assert [6] == admitted.sizes


# ── what is cut ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("too_long", "expected"),
    [
        ("truncate", Admitted(["ab", "aaa bb", "c"], [2, 5, 1], [0, 1, 2], [1])),
        ("average", Admitted(["ab", "aaa bb", "cccc", "c"], [2, 5, 4, 1], [0, 1, 1, 2], [1])),
    ],
)
async def test_too_long(too_long: str, expected: Admitted) -> None:
    """A text over the limit becomes its first part or all its parts, and is reported; the others stay as they are."""
    assert expected == await admit(["ab", "aaa bb cccc", "c"], too_long=too_long, input_tokens=5)


@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("too_long", ["truncate", "average"])
async def test_not_too_long(too_long: str, bounded: bool) -> None:
    """A text that only looks too long by its bytes stays whole and is not reported, blanks at its end included."""
    admitted = await admit(["a b c  "], LetterCounter(bounded=bounded), too_long=too_long, input_tokens=3)

    assert (["a b c  "], [3], []) == (admitted.inputs, admitted.sizes, list(admitted.cut_items))


async def test_prompt_of_every_part() -> None:
    """Every part has the prompt, whose tokens count for the limit and are told apart."""
    admitted = await admit(["aaa bb"], role="query", prompts=PROMPTS, too_long="average", input_tokens=4)

    assert Admitted(["q: aaa!", "q: bb!"], [4, 3], [0, 0], [0], overhead=1) == admitted


@pytest.mark.parametrize("counter", [LetterCounter(exact=False), LetterCounter(exact=False, bounded=False)])
async def test_estimates_never_cut(counter: LetterCounter) -> None:
    """Another tokenizer's count cannot tell where to cut."""
    assert ["aaaa"] == (await admit(["aaaa"], counter, too_long="truncate", input_tokens=2)).inputs


async def test_limit_of_characters() -> None:
    """Parts keep a limit of characters, prompts included."""
    texts = ["ab cd ef", "a.........."]
    admitted = await admit(texts, too_long="average", input_tokens=100, input_chars=5)

    assert (["ab cd", "ef", "a....", ".....", "."], [0, 0, 1, 1, 1]) == (admitted.inputs, admitted.items)


async def test_sum_before_cutting() -> None:
    """The tokens of all inputs are counted as they came, before any cutting."""
    assert TooManyTokens is (await refusal_of(["a" * 9, "b"], too_long="truncate", input_tokens=2, request_tokens=9))[0]


async def test_no_room() -> None:
    """Where a prompt leaves no room for a character, the item is refused, with the limit."""
    refusal = await refusal_of(
        ["a", "a"], role="query", prompts={"query": "aaa {text}"}, too_long="truncate", input_tokens=3
    )

    assert (ContextLengthExceeded, "input") == (refusal[0], refusal[2])
    assert "`input[0]` cannot be cut: this model takes at most 3 tokens in one input," in refusal[1]


@pytest.mark.parametrize("passes", [False, True], ids=["decoded", "passed"])
async def test_ids_that_are_cut(passes: bool) -> None:
    """As soon as one item has to be cut, token ids become texts; what is within the limit stays whole."""
    admitted = await admit(
        [ids_of("hello world"), ids_of("one two three four")],
        TiktokenCounter(cl100k()),
        passes_token_ids=passes,
        too_long="truncate",
        input_tokens=3,
    )

    assert (["hello world", "one two three"], [1]) == (admitted.inputs, admitted.cut_items)


async def test_ids_that_pass_uncut() -> None:
    """Token ids that need no cut pass where they can."""
    inputs = [ids_of("hello world"), ids_of("one two three")]
    admitted = await admit(inputs, NoCounter(), passes_token_ids=True, too_long="average", input_tokens=3)

    assert inputs == admitted.inputs


async def test_half_a_character_and_a_cut() -> None:
    """Items that lost half a character and items that were cut are reported together, each once."""
    inputs = [ids_of("ab 🦄")[:-1], ids_of("a"), ids_of("abcdef 🦄")[:-1], ids_of("abcdefgh")]

    assert [0, 2, 3] == (await admit(inputs, too_long="truncate", input_tokens=4)).cut_items


@pytest.mark.parametrize("too_long", ["truncate", "average"])
async def test_much_text_is_cut_in_a_thread(too_long: str) -> None:
    """Cutting much text leaves the event loop free."""
    texts = ["word " * 8_000, "other " * 8_000]
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    admitted = await admit(texts, TiktokenCounter(cl100k()), too_long=too_long, input_tokens=100)
    ticking.cancel()

    assert ticks > 2
    assert {0, 1} == set(admitted.items)


async def test_file_tokenizer(tmp_path: Path) -> None:
    """The marks that a tokenizer puts around a text count for the limit."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "cat": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = [("[CLS]", 1), ("[SEP]", 2)]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, marks)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    counter = FileCounter(tmp_path / "tokenizer.json")
    admitted = await admit(["cat cat cat cat cat"], counter, too_long="average", input_tokens=4)

    assert Admitted(["cat cat", "cat cat", "cat"], [4, 4, 3], [0, 0, 0], [0], overhead=2) == admitted


# ── what is counted for usage, what is shown ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("inputs", "expected"), [(["a b", "", "c"], [2, 0, 1]), ([[1, 2], [3]], [2, 1]), (["a b", [1]], [2, 1])], ids=str
)
async def test_count(inputs: Sequence[Input], expected: list[int]) -> None:
    """The tokens of each input are its count, or its ids."""
    assert expected == await admission.count(inputs, LetterCounter())


def test_inputs_are_not_shown() -> None:
    """What is admitted shows no text."""
    assert "secret" not in repr(Admitted(["secret"], [1], [0]))


# ── at once ───────────────────────────────────────────────────────────────────────────────────────────────────────

TEXTS = st.lists(st.text("ab é", min_size=1, max_size=12), min_size=1, max_size=4)
MAYBE = st.none() | st.integers(1, 12)


@given(TEXTS, MAYBE, MAYBE, MAYBE, st.booleans(), st.booleans(), st.sampled_from(["error", "truncate", "average"]))
def test_at_once_is_the_same(
    texts: list[str],
    tokens: int | None,
    chars: int | None,
    together: int | None,
    exact: bool,
    known: bool,
    too_long: TooLong,
) -> None:
    """What is admitted at once is what is admitted after a closer look; all else is left to that."""
    limited = route(
        input_tokens=tokens,
        input_chars=chars,
        request_tokens=together,
        inputs=3,
        tokenizer_known=known,
        most_estimated=tokens,
        too_long=too_long,
    )
    counter = LetterCounter(exact=exact)
    at_once = admission.admit_at_once(texts, None, limited, counter)
    if at_once is not None:
        assert asyncio.run(admission.admit(texts, None, limited, counter)) == at_once


@pytest.mark.parametrize("sent", [[[1, 2]], ["a" * 9], ["a", "b", "c", "d"]], ids=["ids", "long", "many"])
def test_not_at_once(sent: Sequence[Input]) -> None:
    """What has to be read, counted or refused is not admitted at once."""

    assert admission.admit_at_once(sent, None, route(input_tokens=8, inputs=3), LetterCounter()) is None


def test_nothing_is_counted_at_once() -> None:
    """What surely fits is admitted without a count, and with a bound of its size."""
    admitted = admission.admit_at_once(["abc", "d"], None, route(input_tokens=3, request_tokens=4), NoCounter())

    assert Admitted(["abc", "d"], [3, 1], range(2)) == admitted
