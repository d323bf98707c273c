"""What can go wrong, as a tree a caller can catch. Every message says what, with which value, and what to do."""

from __future__ import annotations


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

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed. Run: pip install 'tamis[{extra}]'")


class ModelError(TamisError):
    """A model could not answer. `retryable` and `retry_after` (seconds) tell the engine what to do next."""

    def __init__(self, message: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class BudgetError(TamisError):
    """A dry run predicts more calls or tokens than the budget allows."""


class DegradedError(TamisError):
    """Raised under `on_failure="raise"` when some candidate could not be judged; `ranking` is the best there is."""

    def __init__(self, message: str, ranking: object = None) -> None:
        super().__init__(message)
        self.ranking = ranking


class DataError(TamisError, ValueError):
    """A file of a test set is missing or malformed; the message names the file and the line."""
