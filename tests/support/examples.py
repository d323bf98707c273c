"""How many examples a property test tries."""

from __future__ import annotations

from hypothesis import settings

USUAL, SOAK = 50, 1_000
"""Of a test without a number of its own: in `make test` and in `make soak`. See `tests/conftest.py`."""


def examples(number: int) -> settings:
    """Try `number` examples of a property, and in `make soak` as many times more as of any other.

    `@settings(max_examples=...)` would keep its number there too.
    """
    return settings(max_examples=number * settings.default.max_examples // USUAL)
