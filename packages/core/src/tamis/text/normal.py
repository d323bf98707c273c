"""One spelling of a text, by which words are compared. What is shown to people and models is never changed."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
SHAPING = re.compile(f"(?<=[{VIRAMA}])\u200c")
"""A zero-width non-joiner that shapes a conjunct in a script of India and divides nothing. In Persian it divides."""
RAISED, BUILT, BESIDE, BEFORE = "²³¹⁰⁴-⁹", "¼-¾⅐-⅞↉①-⒛⓪㉑-㉟㊱-㊿", "™℠", "№℡℻"
APART = re.compile(f"[{RAISED}{BUILT}{BESIDE}{BEFORE}]")
BOUNDARY = re.compile(
    f"(?<=\\d)(?=[{RAISED}{BUILT}])|(?<=[^\\W\\d_]{{3}})(?=[{RAISED}])|(?<=\\w)(?=[{BESIDE}])|(?<=[{BEFORE}])(?=\\w)"
)
"""Where composing would join two words: 10² and 1½ are not 102 and 112, nor is the number of a note (cave³, but not m³)
or a trade mark part of the word."""
ALONE = re.compile("[\ufc5e-\ufc63\ufe70\ufe72\ufe74\ufe76\ufe78\ufe7a\ufe7c\ufe7e]+")
"""Arabic vowel points as signs of their own, as some PDFs have them. Composing would put a space in front."""
POINTS = (
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew vowels and accents
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"  # Arabic, and tatweel
    "\u0898-\u089f\u08ca-\u08e1\u08e3-\u08ff"
)
UNSEEN = (
    "\u00ad\u034f\u061c\u180b-\u180f\u200d-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0100-\U000e01ef"
)
LEFT_OUT = re.compile(f"[{POINTS}{UNSEEN}]+")
"""Soft hyphens, joiners, marks of direction and variants, which nobody sees; vowel points of Arabic and Hebrew, which
most texts leave out."""
DOTS = re.compile("i\u0307+")
"""What is left of the capital İ without case."""


def matched(text: str) -> str:
    """`text` as its words are compared, but for their case: composed, full and half widths alike, without what is not
    seen, without the vowel points of Arabic and Hebrew, decimal digits of every script as 0 to 9.

    ASCII is returned as it is.

    >>> matched("Ｅ１２３４ ｶﾀｶﾅ"), matched("كَتَبَ") == "كتب"
    ('E1234 カタカナ', True)
    """
    if text.isascii():
        return text
    if APART.search(text):
        text = BOUNDARY.sub(" ", text)
    text = ALONE.sub("", SHAPING.sub("", text))
    text, left_out = LEFT_OUT.subn("", unicodedata.normalize("NFKC", text))
    if left_out:  # It may have stood between a letter and its mark.
        text = unicodedata.normalize("NFKC", text)
    digits = {ord(sign): digit for sign in set(text) if (digit := _digit(sign)) is not None}
    return text.translate(digits) if digits else text


def folded(text: str) -> str:
    """As `matched`, and case folded: what is equal here is the same to a reader.

    >>> folded("STRASSE") == folded("Straße"), folded("Ångström") == folded("A\u030angstro\u0308m")
    (True, True)
    """
    return text.lower() if text.isascii() else fold(matched(text))


def fold(text: str) -> str:
    """Of a text that `matched` returned, without case; the two i of Turkish are one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", DOTS.sub("i", text.casefold().replace("ı", "i")))


@lru_cache(maxsize=4096)
def _digit(sign: str) -> str | None:
    """The ASCII digit for a decimal digit of another script."""
    value = None if sign.isascii() else unicodedata.decimal(sign, None)
    return None if value is None else str(int(value))
