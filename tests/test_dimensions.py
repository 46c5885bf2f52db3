"""Which lengths a route's vectors may have."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.dimensions import Dimensions, Length, Shorten
from gateway.errors import InvalidRequest

FIXED = Dimensions(1536)
BY_PROVIDER = Dimensions(1536, min=2, shorten="native")
BY_PROVIDER_LISTED = Dimensions(1024, shorten="native", allowed=[512, 256])
HERE = Dimensions(1024, min=32, shorten="truncate")
HERE_LISTED = Dimensions(256, shorten="truncate", allowed=(64, 128))


@st.composite
def facts(draw: st.DrawFn) -> Dimensions:
    native = draw(st.integers(1, 300))
    lengths = st.integers(1, native)
    return Dimensions(
        native,
        min=draw(lengths),
        shorten=draw(st.sampled_from(["native", "truncate", "never"])),
        allowed=draw(st.none() | st.lists(lengths, max_size=4)),
    )


REQUESTS = st.none() | st.integers(-2, 310)


def answer(dimensions: Dimensions, requested: int | None) -> Length | None:
    """The length, or None for a refusal."""
    try:
        return dimensions.resolve(requested)
    except InvalidRequest:
        return None


@pytest.mark.parametrize(
    ("dimensions", "requested", "expected"),
    [
        (FIXED, None, Length(1536, 1536)),
        (FIXED, 1536, Length(1536, 1536)),
        (BY_PROVIDER, None, Length(1536, 1536)),
        (BY_PROVIDER, 1536, Length(1536, 1536)),
        (BY_PROVIDER, 1535, Length(1535, 1535, sent=1535)),
        (BY_PROVIDER, 2, Length(2, 2, sent=2)),
        (BY_PROVIDER_LISTED, 256, Length(256, 256, sent=256)),
        (HERE, 1023, Length(1024, 1023)),
        (HERE, 32, Length(1024, 32)),
        (HERE_LISTED, 64, Length(256, 64)),
        (Dimensions(256, shorten="truncate"), 1, Length(256, 1)),
    ],
)
def test_resolve(dimensions: Dimensions, requested: int | None, expected: Length) -> None:
    """The provider's field is used where the provider shortens; elsewhere vectors come native."""
    actual = dimensions.resolve(requested)

    assert expected == actual


@pytest.mark.parametrize(
    ("dimensions", "requested", "possible"),
    [
        (FIXED, 512, "1536 dimensions only"),
        (FIXED, 1537, "1536 dimensions only"),
        (BY_PROVIDER, 1, "2 to 1536 dimensions"),
        (BY_PROVIDER, 1537, "2 to 1536 dimensions"),
        (BY_PROVIDER_LISTED, 300, "256, 512 or 1024 dimensions"),
        (BY_PROVIDER_LISTED, 2048, "256, 512 or 1024 dimensions"),
        (HERE, 31, "32 to 1024 dimensions"),
        (HERE_LISTED, 255, "64, 128 or 256 dimensions"),
        (Dimensions(8, shorten="truncate", allowed=[]), 4, "8 dimensions only"),
        (Dimensions(8, shorten="native", allowed=[4]), 5, "4 or 8 dimensions"),
    ],
)
def test_refusal(dimensions: Dimensions, requested: int, possible: str) -> None:
    """A length that the model cannot give is refused with those that it can."""
    with pytest.raises(InvalidRequest) as caught:
        dimensions.resolve(requested)

    assert f"`dimensions` is {requested}; this model gives {possible}." == str(caught.value)


def test_refusal_names_the_field() -> None:
    """The refusal is about the request's `dimensions`."""
    with pytest.raises(InvalidRequest) as caught:
        FIXED.resolve(2)

    assert "dimensions" == caught.value.param


@pytest.mark.parametrize(
    ("dimensions", "expected"),
    [
        (FIXED, [1536]),
        (BY_PROVIDER, None),
        (HERE, None),
        (BY_PROVIDER_LISTED, [256, 512, 1024]),
        (HERE_LISTED, [64, 128, 256]),
        (Dimensions(8, shorten="native", allowed=[8, 4, 4]), [4, 8]),
        (Dimensions(8, shorten="never", allowed=[4]), [8]),
    ],
)
def test_supported(dimensions: Dimensions, expected: list[int] | None) -> None:
    """The lengths are listed in order, unless there is a whole range of them."""
    actual = dimensions.supported

    assert expected == actual


@given(facts(), REQUESTS)
def test_final_length_is_offered(dimensions: Dimensions, requested: int | None) -> None:
    """Whatever is resolved is a length that the model list names."""
    length = answer(dimensions, requested)
    assume(length is not None)
    assert length is not None
    offered = dimensions.supported or range(dimensions.min, dimensions.native + 1)

    assert length.final in offered


@given(facts(), REQUESTS)
def test_offered_lengths_are_given(dimensions: Dimensions, requested: int | None) -> None:
    """Just what the model list names is resolved, to exactly that length."""
    offered = dimensions.supported or range(dimensions.min, dimensions.native + 1)
    wanted = dimensions.native if requested is None else requested
    length = answer(dimensions, requested)

    assert (wanted if wanted in offered else None) == (length and length.final)


@pytest.mark.parametrize("shorten", ["truncate", "never"])
@given(dimensions=facts(), requested=REQUESTS)
def test_sent_only_to_providers_that_shorten(shorten: Shorten, dimensions: Dimensions, requested: int | None) -> None:
    """Where the provider does not shorten, its field is never sent, so that vectors come native."""
    length = answer(Dimensions(dimensions.native, dimensions.min, shorten, dimensions.allowed), requested)
    assume(length is not None)
    assert length is not None

    assert (dimensions.native, None) == (length.upstream, length.sent)


@given(facts(), REQUESTS)
def test_nothing_is_lengthened(dimensions: Dimensions, requested: int | None) -> None:
    """A client never gets more than the upstream answers, nor the upstream a length beyond its own."""
    length = answer(dimensions, requested)
    assume(length is not None)
    assert length is not None

    assert length.final <= length.upstream <= dimensions.native
