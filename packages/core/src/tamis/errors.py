"""What can go wrong, as a tree a caller can catch. Every message says what, with which value, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

INSTALL = "pip install './packages/core[{extra}]'"
"""The command that installs an extra. The packages are not on PyPI yet, so it runs in a clone of the repository."""


class TamisError(Exception):
    """Root of all errors tamis raises on purpose."""


class InputError(TamisError, ValueError):
    """A query, candidate or call argument is unusable."""


class ConfigError(TamisError, ValueError):
    """A pipeline, stage or model is described wrongly (unknown name, bad value)."""


class CapabilityError(TamisError, TypeError):
    """A stage was given a model that cannot do what the stage asks."""


class ScaleError(TamisError, ValueError):
    """A stage needs scores of another scale than the ranking carries."""


class MissingExtra(TamisError, ImportError):
    """An optional dependency is not installed; the message names the command."""

    def __init__(self, what: str, extra: str, missing: str | None = None) -> None:
        package = f" ({missing})" if missing else ""
        super().__init__(
            f"{what} needs a package that is not installed{package}. In the root of a clone of tamis run: "
            + INSTALL.format(extra=extra)
        )


class ModelError(TamisError):
    """A model could not answer. `retryable` and `retry_after` (seconds) tell the engine what to do next.

    What the request cost all the same: `tokens_in` and `tokens_out` as the model reports them (`None`: it does not),
    and `wrote`, whether the model may have written up to its limit where it reports nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        wrote: bool = False,
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out
        self.wrote = wrote


class BudgetError(TamisError):
    """A dry run predicts more calls or tokens than the budget allows."""


class DegradedError(TamisError):
    """Raised under `on_failure="raise"` when some candidate could not be judged; `ranking` is the best there is."""

    def __init__(self, message: str, ranking: object = None) -> None:
        super().__init__(message)
        self.ranking = ranking


class DataError(TamisError, ValueError):
    """A file of a test set is missing or malformed; the message names the file and the line."""


@contextmanager
def installed(what: str, extra: str) -> Iterator[None]:
    """Imports made inside raise `MissingExtra`, which names the command, when a package is not installed."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(what, extra, error.name) from error


def needed(module: str, what: str, extra: str) -> Any:
    """Import `module`; `MissingExtra` naming the extra to install when it is not there."""
    with installed(what, extra):
        return import_module(module)


TRANSIENT_STATUS = frozenset({408, 409, 425, 429})


def is_transient_status(status: int) -> bool:
    """Whether an HTTP status says that asking again may help."""
    return status >= 500 or status in TRANSIENT_STATUS


def parse_retry_after(value: str | None) -> float | None:
    """`Retry-After` as seconds: a number, or an HTTP date. `None` for any other content."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        import email.utils
        import time

        try:
            moment = email.utils.parsedate_tz(value)
            seconds = -1.0 if moment is None else email.utils.mktime_tz(moment) - time.time()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
        if moment is None:
            return None
    return max(0.0, seconds) if seconds == seconds else None
