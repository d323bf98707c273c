"""What one model call looks at, and how a score or an order leaves it.

A judge is a prompt, a readout and a parser standing together. Which questions are asked, and in what order, is for a
schedule to say (`tamis.schedules`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamis.judges.base import Asked, Judge, Verdict
    from tamis.judges.choice import Choice
    from tamis.judges.grades import Grades
    from tamis.judges.head import Head
    from tamis.judges.identifiers import Identifiers
    from tamis.judges.joint import Joint
    from tamis.judges.labels import Labels
    from tamis.judges.likelihood import QueryLikelihood
    from tamis.judges.permutation import Permutation
    from tamis.judges.preference import Preference
    from tamis.judges.repeated import Repeated
    from tamis.judges.thinking import Thinking

_WHERE = {
    "Asked": "base",
    "Choice": "choice",
    "Grades": "grades",
    "Head": "head",
    "Identifiers": "identifiers",
    "Joint": "joint",
    "Judge": "base",
    "Labels": "labels",
    "Permutation": "permutation",
    "Preference": "preference",
    "QueryLikelihood": "likelihood",
    "Repeated": "repeated",
    "Thinking": "thinking",
    "Verdict": "base",
}

__all__ = [
    "Asked",
    "Choice",
    "Grades",
    "Head",
    "Identifiers",
    "Joint",
    "Judge",
    "Labels",
    "Permutation",
    "Preference",
    "QueryLikelihood",
    "Repeated",
    "Thinking",
    "Verdict",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tamis.judges' has no attribute {name!r}")
    return getattr(import_module(f"tamis.judges.{_WHERE[name]}"), name)
