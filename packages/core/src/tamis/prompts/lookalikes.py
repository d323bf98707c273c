"""Text as a reader sees it: what is unseen is gone, and what looks like ASCII is ASCII."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

UNSEEN = ("Cc", "Cf", "Mn", "Me", "Cs", "Cn", "Co")
"""Categories of what has no form of its own: controls, format marks, combining marks, what is unassigned or private."""
BLANK = "\u115f\u1160\u3164\uffa0\u2800\ufffc\ufffd"
"""Letters and symbols that are drawn as nothing, or stand for what is missing."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
BREAKS = "\x0b\x0c\r\x85\u2028\u2029"
MARKS = str.maketrans(
    "〈⟨❬❮❰⧼⟪《˂ᐸ⋖⪻〉⟩❭❯❱⧽⟫》˃ᐳ⋗⪼【〔〖⟦〚❲⁅⦋⟬〘】〕〗⟧〛❳⁆⦌⟭〙❴❵⁄∕⧸╱ǀ│┃∣❘⏐ߊ¦︱‖║▁﹍＿∶꞉"
    "≪⪡⦑≫⪢⦒⎡⌈⌊「『｢⸢⎤⌉⌋」』｣⸣⟋⧵ノ丿ǁ❙❚⎮⎢‿ˍ⁀",
    "<<<<<<<<<<<<>>>>>>>>>>>>[[[[[[[[[[]]]]]]]]]]{}////|||||||||||___::<<<>>>[[[[[[[]]]]]]]////|||||___",
)
"""Brackets, slashes, bars and other marks that are read as ASCII ones."""
QUOTES = "「『｢⸢⌈⌊"
"""Ordinary in prose: they are brackets of control words, and of nothing else."""
LETTERS = str.maketrans(
    # Cyrillic, Greek, Armenian, Cherokee and symbols
    "авеԁеһіјкӏмнорԛгѕтцѵԝхуьАВСЕНІЈКМОРԚЅТԜХУсαβγεηικμνορσςτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոհցզաեԱՍՕԼᎪᏟᎠᎬᏀᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃⲟⲣⲥ℮ɩ×",
    "abedehijklmhopqrstuvwxybABCEHIJKMOPQSTWXYcaByenikmvopoctuxwABEZHIKMNOPTYXounhgqweUUOLACDEGHiJKLMPRSTVWZopceix",
)
LATIN = re.compile(
    r"LATIN (?:SMALL|CAPITAL|LETTER)[A-Z ]*?(?:LETTER )?(?:SMALL CAPITAL |SCRIPT |OPEN |DOTLESS )?([A-Z])"
    r"(?: WITH .*)?\Z"
)


@cache
def look(character: str) -> str:
    """The ASCII that one character is read as: nothing where it is unseen, itself where it looks like none.

    >>> [look(character) for character in ("\\u200b", "\\u0301", "＜", "раssage"[0], "ç", "②", "語")]
    ['', '', '<', 'p', 'c', '2', '語']
    """
    if character in "\n\t" or "\x20" <= character <= "\x7e":
        return character
    if character in BREAKS:
        return "\n"
    if character in BLANK or unicodedata.category(character) in UNSEEN:
        return ""
    if (mark := character.translate(MARKS)) != character:
        return mark
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKD", character).translate(MARKS).translate(LETTERS)
    plain = "".join([c for c in plain if unicodedata.category(c) not in UNSEEN])
    if plain.isascii():
        return plain
    latin = LATIN.match(unicodedata.name(plain, "")) if len(plain) == 1 else None
    return (latin[1] if " CAPITAL LETTER" in latin[0] else latin[1].lower()) if latin else plain or character


class _Looks(dict[int, str]):
    """A table for `str.translate` that is filled as characters come."""

    def __missing__(self, code: int) -> str:
        return look(chr(code))


def seen(text: str) -> str:
    """`text` as it is read, in time linear in its length."""
    if text.isascii() and not CONTROLS.search(text):
        return text
    return text.translate(_Looks())


def origins(text: str) -> list[int]:
    """For each character of `seen(text)`, the place of the character of `text` that it comes from."""
    return [place for place, character in enumerate(text) for _ in look(character)]
