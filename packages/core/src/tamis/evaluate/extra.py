"""One message for every optional package of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tamis.errors import MissingExtra


@contextmanager
def needed(what: str = "Evaluation") -> Iterator[None]:
    """Imports made inside raise `MissingExtra`, which names the command, when a package is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{what} ({error.name})", "eval") from error
