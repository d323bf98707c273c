"""What queries and candidates may hold. Each function returns the value in its usual form or raises `InputError`."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from numbers import Number
from reprlib import repr as short
from typing import Any

from tamis.errors import InputError

HALVES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which no tokenizer, server or file takes."""


def whole(text: str) -> str:
    """`text` with the replacement character in the place of halves of characters (lone surrogates)."""
    return text if text.isascii() else HALVES.sub("\ufffd", text)


def title(value: Any) -> str | None:
    """A title: text, or a number, which is written out; `None` for a missing one (NaN too, as data frames have it).

    >>> title(1984), title(1984.0), title(float("nan"))
    ('1984', '1984', None)
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Number) and not isinstance(value, bool):
        if value != value:
            return None
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    raise InputError(f"a title must be a string, a number or None, got {type(value).__name__} {short(value)}")


def name(value: Any) -> Hashable:
    """An id: anything that can be a key; `None` for a missing one (NaN too)."""
    try:
        hash(value)
    except TypeError:
        raise InputError(
            f"an id must be a string, a number or None, got {type(value).__name__} {short(value)}"
        ) from None
    return None if isinstance(value, float) and math.isnan(value) else value


def metadata(value: Any) -> Mapping[str, Any]:
    """A mapping; an empty one for `None`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"metadata must be a mapping or None, got {type(value).__name__} {short(value)}")
    return value


def vector(value: Any) -> tuple[float, ...] | None:
    """An embedding: numbers in a sequence or a flat array."""
    if value is None:
        return None
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind is not None:
        usable = kind in "fiu" and getattr(value, "ndim", 1) == 1
    elif usable := isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        try:
            sum(value)  # far faster than to look at each, and refuses what is no number
        except TypeError:
            usable = False
    if not usable:
        raise InputError(f"a vector must be a sequence of numbers or None, got {type(value).__name__} {short(value)}")
    return tuple(value.tolist() if kind is not None else value)


def images(value: Any) -> tuple[str, ...]:
    """Pictures: strings in a sequence. Each is looked at by the model that is shown it."""
    if value is None:
        return ()
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise InputError(f"images must be a list of strings, got {type(value).__name__} {short(value)}")
    for place, image in enumerate(value):
        if not isinstance(image, str):
            raise InputError(f"images[{place}] must be a string, got {type(image).__name__} {short(image)}")
    return tuple(str.__str__(image) for image in value)  # Of a subclass of str, too, what is checked is what is sent.
