"""Measure any pipeline on any test set: quality with its uncertainty, cost, and where it fails. Extra: `eval`.

>>> from tamis.evaluate import evaluate
>>> result = evaluate(["lexical", "default"], "my-data")                  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamis.evaluate.dataset import Dataset, Question
    from tamis.evaluate.reading import read
    from tamis.evaluate.result import Comparison, Evaluation, Interval, Result, Row, Speed, System
    from tamis.evaluate.run import evaluate

_WHERE = {
    "Comparison": "result",
    "Dataset": "dataset",
    "Evaluation": "result",
    "Interval": "result",
    "Question": "dataset",
    "Result": "result",
    "Row": "result",
    "Speed": "result",
    "System": "result",
    "evaluate": "run",
    "read": "reading",
}

__all__ = [
    "Comparison",
    "Dataset",
    "Evaluation",
    "Interval",
    "Question",
    "Result",
    "Row",
    "Speed",
    "System",
    "evaluate",
    "read",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tamis.evaluate' has no attribute {name!r}")
    return getattr(import_module(f"tamis.evaluate.{_WHERE[name]}"), name)
