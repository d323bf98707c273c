"""Measure any pipeline on any test set: quality with its uncertainty, cost, and where it fails. Extra: `eval`.

>>> from tamis.evaluate import evaluate
>>> result = evaluate(["lexical", "default"], "my-data")                  # doctest: +SKIP
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
