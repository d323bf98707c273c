"""Values of metadata as people have them: numbers with separators, booleans as text, lists, addresses."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from numbers import Number
from typing import Any
from urllib.parse import urlsplit

from tamis.text.normal import folded

GROUPED = re.compile(r"\d{1,3}(?:(?P<sign>[,. '’_])\d{3})(?:(?P=sign)\d{3})*(?:(?P<point>[.,])(?P<rest>\d+))?")
FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9}
TRUE, FALSE = frozenset({"true", "yes", "y", "t", "on"}), frozenset({"false", "no", "n", "f", "off"})


def members(value: Any) -> list[Any]:
    """The values of a list, a set or an array; a single value alone."""
    shape = getattr(value, "shape", None)
    if shape and hasattr(value, "tolist"):
        return list(value.tolist())
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable) or isinstance(value, Number):
        return [value]
    return list(value)


def one(value: Any) -> Any:
    """The member of a list of one; `None` for a list of any other length; else the value itself."""
    found = members(value)
    return found[0] if len(found) == 1 else None


def missing(value: Any) -> bool:
    """Whether a value says nothing: none, NaN, blank text, an empty list."""
    if isinstance(value, str):
        return not value.strip()
    try:
        return value is None or bool(value != value) or (isinstance(value, (list, tuple, set, dict)) and not value)
    except (TypeError, ValueError):
        return False


def number(value: Any) -> float | None:
    """A number; `None` for what is none or could be another one. Booleans, as text too, are 1 and 0.

    Text may have separators: points or commas, spaces and apostrophes between groups of three digits. One comma in
    front of three digits is such a separator, in front of fewer or more it is the decimal sign; one point always is. A
    sign of currency is passed over, `k`, `M` and `B` are thousands, millions and billions.

    >>> [number(text) for text in ("1,234.5", "1.234,5", "1 234", "12k", "1,5", "many", "1,23,456")]
    [1234.5, 1234.5, 1234.0, 12000.0, 1.5, None, None]
    """
    value = one(value)
    if isinstance(value, (bool, int, float, Decimal, Fraction)) or (
        hasattr(value, "dtype") and value.dtype.kind in "biuf"
    ):
        try:
            made = float(value)
        except (OverflowError, ValueError):
            return None
        return None if made != made else made
    if not isinstance(value, str):
        return None
    text = folded(value).strip()
    if (said := truth(text)) is not None:
        return float(said)
    return _of_text("".join(sign for sign in text if unicodedata.category(sign) != "Sc").strip().replace("−", "-"))


def _of_text(text: str) -> float | None:
    factor = FACTORS.get(text[-1:], 1.0)
    digits = text[:-1].rstrip() if factor != 1.0 else text
    minus, digits = digits[:1] == "-", digits.lstrip("+-") if digits[:1] in ("+", "-") else digits
    if (found := GROUPED.fullmatch(digits)) and _is_grouped(digits, found):
        sign, point, rest = found["sign"], found["point"], found["rest"]
        whole = digits[: found.start("point")] if point else digits
        digits = whole.replace(sign, "") + (f".{rest}" if point else "")
    elif re.fullmatch(r"\d+,\d+", digits):
        digits = digits.replace(",", ".")
    try:
        made = factor * float(digits)
    except ValueError:
        return None
    return None if made != made else -made if minus else made


def _is_grouped(text: str, found: re.Match[str]) -> bool:
    """Whether the signs in `text` part groups of three: a single point is a decimal sign, and so is a comma after 0."""
    if found["point"]:
        return bool(found["point"] != found["sign"])
    return not (found["sign"] == "." and text.count(".") == 1) and not text.startswith("0")


def truth(value: Any) -> bool | None:
    """A boolean, or a word for one such as `yes`."""
    if isinstance(value, bool) or (
        hasattr(value, "dtype") and value.dtype.kind == "b" and not getattr(value, "ndim", 0)
    ):
        return bool(value)
    word = folded(value).strip() if isinstance(value, str) else None
    return True if word in TRUE else False if word in FALSE else None


def label(value: Any) -> str:
    """A value as a name: whole numbers without a point, so that 3.0 is `3`."""
    if isinstance(value, bool):
        return str(value)
    if hasattr(value, "dtype") and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def host(name: str) -> str:
    """The host of a URL or an e-mail address, with or without a scheme, `www.` aside.

    >>> host("https://www.docs.python.org:443/3/"), host("news@example.org")
    ('docs.python.org', 'example.org')
    """
    try:
        found = urlsplit(name if "://" in name else f"//{name}").hostname or ""
    except ValueError:
        return ""
    return found.removeprefix("www.").rstrip(".")
