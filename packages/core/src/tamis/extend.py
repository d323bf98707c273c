"""What writing a part of your own needs: base classes, field types, calls and answers, and helpers.

`docs/extending.md` has a complete example of each kind. Models that can be built on are in `tamis.models`.

>>> from tamis.extend import Policy, part
>>> @part
... class Half(Policy):
...     def count(self, scores):
...         return (len(scores) + 1) // 2
>>> Half().count([3.0, 2.0, 1.0])
2
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub("tamis", __file__)
