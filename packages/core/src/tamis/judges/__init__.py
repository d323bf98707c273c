"""What one model call looks at, and how a score or an order leaves it.

A judge is a prompt, a readout and a parser standing together. Which questions are asked, and in what order, is for a
schedule to say (`tamis.schedules`).
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
