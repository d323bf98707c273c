"""What models that give one vector per token share."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Precision = Literal["float32", "float16"]


def stored(vectors: NDArray[Any], precision: Precision) -> NDArray[Any]:
    """An array of its own, of numbers of this size, that nobody writes to."""
    kept = np.array(vectors, dtype=precision)
    kept.flags.writeable = False
    return kept
