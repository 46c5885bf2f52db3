"""Much text is worked on a portion at a time, so that others have their turn in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def portions(texts: Sequence[str], most: int, overhead: int = 0) -> Iterator[Sequence[str]]:
    """Runs of texts of at most `most` characters together, and by itself each text that has more.

    Each text counts for `overhead` characters more than it has. There is always one portion, if an empty one.
    """
    begin = size = 0
    for end, text in enumerate(texts):
        size += len(text) + overhead
        if size > most and begin < end:
            yield texts[begin:end]
            begin, size = end, len(text) + overhead
    yield texts[begin:]
