"""Training what a pipeline can learn from labelled queries. Extra: `train`.

>>> from tamis.training import train_graph
>>> report = train_graph("my-data", embedder, out="grag.npz")             # doctest: +SKIP
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
