"""What a request's `Cache-Control` means here."""

from __future__ import annotations

import pytest

from gateway.cache_control import CacheControl


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, CacheControl()),
        ("", CacheControl()),
        ("no-cache", CacheControl(looks_up=False)),
        ("max-age=0", CacheControl(looks_up=False)),
        ("no-store", CacheControl(looks_up=False, keeps=False)),
        ("no-cache, No-Store", CacheControl(looks_up=False, keeps=False)),
        ("only-if-cached", CacheControl(only_if_cached=True)),
        ("max-age=600, no-transform, unheard-of", CacheControl()),
    ],
)
def test_directives(header: str | None, expected: CacheControl) -> None:
    """Directives may be several, in any case; those that cannot matter are ignored."""

    assert expected == CacheControl.of(header)
