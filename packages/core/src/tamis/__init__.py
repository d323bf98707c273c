"""tamis: the reranking layer for RAG. Which passages are good, in which order, and how many the generator should see.

>>> import tamis
>>> tamis.rerank("parse an ISO date", ["draw a circle", "parse a date given in ISO format"]).kept[0].text
'parse a date given in ISO format'
"""

from __future__ import annotations

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
