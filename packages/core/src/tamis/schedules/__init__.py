"""Which calls in what order. Plans over places that know nothing of prompts, models or queries.

>>> from tamis.schedules import Heap
>>> plan = Heap(children=2).run(3, top=1)
>>> next(plan)
[(0, 1, 2)]
>>> try: plan.send([[2]])
... except StopIteration as end: print(end.value.order)
[2, 0, 1]
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
