"""How many examples a property test tries."""

from __future__ import annotations

from hypothesis import settings

USUAL, SOAK = 50, 1_000
"""Of a test without a number of its own: in `make test` and in `make soak`. See `tests/conftest.py`."""


def examples(number: int, soak: int | None = None) -> settings:
    """Try `number` examples of a property, and in `make soak` as many times more as of any other, or `soak`.

    `@settings(max_examples=...)` would keep its number there too.
    """
    most = settings.default.max_examples
    return settings(max_examples=soak if soak is not None and most == SOAK else number * most // USUAL)
