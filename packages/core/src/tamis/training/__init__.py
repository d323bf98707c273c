"""Training what a pipeline can learn from labelled queries. Extra: `train`.

>>> from tamis.training import train_graph
>>> report = train_graph("my-data", embedder, out="grag.npz")             # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tamis.training.graph import train_graph
    from tamis.training.report import TrainingReport

_WHERE = {"TrainingReport": "report", "train_graph": "graph"}

__all__ = ["TrainingReport", "train_graph"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'tamis.training' has no attribute {name!r}")
    return getattr(import_module(f"tamis.training.{_WHERE[name]}"), name)
