"""Words of a text, for methods that count them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from itertools import chain

from tamis.text.normal import fold, folded, matched

WORD = re.compile(r"[^\W_]+")
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
RUN = re.compile(r"\S+")
SENTENCE_END = re.compile(r"[.!?。！？]['\")\]”’]*$")
UNSPACED_BLOCKS = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"  # Japanese, Bopomofo
    "\u3400-\u9fff\ua000-\ua4cf\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003347f"  # Chinese, Yi
    "\uac00-\ud7af"  # Korean: words are spaced, but carry their particles
)
UNSPACED = re.compile(f"[{UNSPACED_BLOCKS}][{UNSPACED_BLOCKS}\u0300-\u036f]*")
"""A run of a script that does not put spaces between words."""
LAST_MARK = 0x1F000
"""No combining mark of letters has a code from here on."""
MAY_HAVE_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u1dff\u20d0-\u20ff\u2c80-\u2eff\u302a-\u302f\u3099\u309a\ua000-\uabff\ufb1e\ufe20-\ufe2f"
    "\U00010000-\U0001efff]"
)
"""What texts with combining marks have: the marks, or a letter of their blocks."""

STOPWORDS = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have how i if in into is it its me my no
    not of on or our should so than that the their them then there these they this those to was we were what when
    where which who why will with would you your
    """.split()
)


def terms(text: str) -> list[str]:
    """Lower-case word stems of `text` in order, `camelCase` and `snake_case` split.

    Words are compared as `tamis.text.normal.matched` spells them, without case, and keep their combining marks. Scripts
    written without spaces give overlapping pairs of characters, each with its marks.

    >>> terms("Parsing ISO dates with dateTime_parser")
    ['parsing', 'iso', 'date', 'with', 'date', 'time', 'parser']
    >>> terms("東京タワー2024")
    ['東京', '京タ', 'タワ', 'ワー', '2024']
    """
    return list(chain.from_iterable(map(_of_word, words(text))))


def words(text: str) -> list[str]:
    """Runs of letters, digits and their combining marks in `text`, as `tamis.text.normal.matched` spells them.

    >>> words("the ｆｕｌｌ width of मेला")
    ['the', 'full', 'width', 'of', 'मेला']
    """
    if text.isascii():
        return WORD.findall(text)
    text = matched(text)
    return (marked_word() if MAY_HAVE_MARKS.search(text) else WORD).findall(text)


def spaced(text: str) -> str:
    """`text` as `tamis.text.normal.folded` spells it, with spaces between the terms of a run of a script without
    spaces: for tools that find words by themselves. ASCII is returned as it is.

    >>> spaced("see 東京タワー")
    'see  東京 京タ タワ ワー '
    """
    if text.isascii():
        return text
    return UNSPACED.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", folded(text))


@lru_cache(maxsize=65_536)
def _of_word(word: str) -> tuple[str, ...]:
    """Terms of one run of letters and digits. Remembered: most words of a text were met before."""
    found: list[str] = []
    for part in CAMEL.split(word):
        if part.isascii():
            found.append(stem(part.lower()))
        else:
            found.extend(_of_part(fold(part)))
    return tuple(found)


def _of_part(part: str) -> list[str]:
    """Pairs of characters of the runs without spaces, stems of what is between them."""
    found: list[str] = []
    start = 0
    for run in UNSPACED.finditer(part):
        found += [stem(part[start : run.start()])] if run.start() > start else []
        found += _pairs(run[0])
        start = run.end()
    return [*found, stem(part[start:])] if start < len(part) else found


def _pairs(run: str) -> list[str]:
    letters = _letter().findall(run) if MAY_HAVE_MARKS.search(run) else run
    return ["".join(letters[i : i + 2]) for i in range(len(letters) - 1)] or [run]


@cache
def marks() -> str:
    """All combining marks, as the inside of a character class. Made when the first text needs it (20 ms)."""
    ranges: list[list[int]] = []
    for code in range(0x300, LAST_MARK):
        if unicodedata.category(chr(code)) in ("Mn", "Mc"):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


@cache
def marked_word() -> re.Pattern[str]:
    """As `WORD`, with the marks on its letters."""
    return re.compile(rf"[^\W_](?:[^\W_]|[{marks()}])*")


@cache
def _letter() -> re.Pattern[str]:
    """A character with its marks."""
    return re.compile(rf"(?s).[{marks()}]*")


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Without an English plural ending. The weak "S stemmer" of Harman (1991)."""
    if len(word) > 3 and word.endswith("ies") and word[-4] not in "ae":
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if len(word) > 3 and word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word


COMMON = STOPWORDS | {stem(word) for word in STOPWORDS}
"""Stop words as `terms` writes them ("this" is the term "thi"): what to leave out where content counts."""


def passages(text: str, words: int, overlap: int, at_most: int) -> list[str]:
    """`text` as overlapping passages of at most `words` words; one at least, the whole where there are no spaces.

    One that is not the last ends with a sentence where one ends in its last `overlap` words. Of more than `at_most`, so
    many evenly spaced ones are taken, the first and the last among them. `overlap` must be less than half of `words`.
    """
    spans = [match.span() for match in RUN.finditer(text)]
    cut, start = [], 0
    while start < len(spans):
        stop = min(start + words, len(spans))
        if stop < len(spans):
            ends = range(stop, stop - overlap, -1)
            stop = next((end for end in ends if SENTENCE_END.search(text, *spans[end - 1])), stop)
        cut.append(text[spans[start][0] : spans[stop - 1][1]])
        if stop == len(spans):
            break
        start = stop - overlap
    if len(cut) > at_most:
        last = len(cut) - 1
        cut = [cut[round(place * last / max(1, at_most - 1))] for place in range(at_most)]
    return cut or [text]
