"""Getting an order, a choice, letters or scores out of what a model wrote.

What negates or refuses is no ranking. Every function takes time linear in the length of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from tamis.prompts.parsing import decimal, index, json_objects, nested, number, within
from tamis.prompts.thoughts import WITH_THOUGHTS, bounded, final_answer, normalised
from tamis.values.answers import Generated

Form = Literal["clean", "permissive", "none"]

NAMED = re.compile(r"\b(?:passage|document|doc|psg)[ _#]{0,2}\[?(\d{1,9})\b\]?", re.IGNORECASE)
ENUMERATION = re.compile(r"(?<!\S)\d{1,3}[.)]\s{1,3}(?=\[)")
CLEAN = re.compile(r"\[\d{1,9}\](?:\s?[>=]\s?\[\d{1,9}\])*")
IDENTIFIER = re.compile(r"\[\s{0,3}(\d+)\s{0,3}\]|\[?(\d+)\]?")
SIGN = r"(?:[->=]{0,2}>|[=≻→⟩]|&gt;)"
JOINS = re.compile(rf"\s{{0,9}}{SIGN}(?:\s{{0,9}}\.{{2,6}}\s{{0,9}}{SIGN})?\s{{0,9}}")
REVERSED = re.compile(r"\s{0,9}(?:<[-<=]{0,2}|[≺←]|&lt;)\s{0,9}")
LOOSE = re.compile(r"[ \t,]{0,9}")
BRACKETED = re.compile(r"\[(?=[^\]\d]{0,20}\d)([\d\s,;'\"]{1,4000})\]")
NUMBERS_ONLY = re.compile(r"[\s,;>]*\d{1,9}(?:[\s,;>]+\d{1,9})*[\s,;>]*\.?")
LETTERS_ONLY = re.compile(
    r"\W{0,9}(?:passage|document|answer)?\W{0,9}[A-Z](?:[\s,;>\[\]()]{1,9}[A-Z])*\W{0,9}", re.IGNORECASE
)
LETTER = re.compile(r"\[\s{0,3}([A-Z])\s{0,3}\]")
SENTENCE = re.compile(r"[^\n.!?;。！？；]+(?:[.!?;。！？；](?=\S)[^\n.!?;。！？；]*)*")
ASIDE = re.compile(
    r"\([^()\n]{0,300}\)|\b(?:none|nothing|no \w{1,12}) (?:but|except|besides|other than)\b|\bnot only\b"
    r"|\b(?:all |and |but |while )?(?:the )?(?:others?|rest|remaining)\b[^\n]*",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"\b(?:cannot|can not|unable|not|never|none|neither|nor|no|nothing|without|sorry|refuse|irrelevant|unrelated"
    r"|worse|less|lower|wrong|incorrect|false|nicht|kein(?:e[rsnm]?)?|aucune?|ninguna?|ninguno|nenhuma?|nessuna?|nessuno"
    r"|niet|geen|não|non(?!-)|не|нет|нельзя|невозможно|nie|nelze|inte|değil|tidak|không|नहीं|δεν|לא|אין|لا|ليس|ليست|لم|لن"
    r"|refusing|declin(?:e|ing) to|(?:must|have to) decline|lacks? (?:any|all|relevan\w{1,4}|information)"
    r"|anything but|by no means|(?:is|are|would be) an? (?:mistake|error))\b"
    r"|\bn(?:e\s|['’])\w{1,12} (?:pas|aucun)|n['’]t\b|off[- ]topic|[不无無没沒없않못]|ない|ません|아니"
    r"|[\]\d]\s{0,3}(?:<|≺|≯|⊁|&lt;)\s{0,3}[\[\d]|\]\s{0,3}fail(?:s|ed)? to\b|\bavoid\s{1,3}\["
    r"|\]\s{1,3}(?:(?:is|are|ranks?|ranked|comes?|goes|placed|should|be|much|far|clearly)\s{1,3}){0,4}"
    r"(?:inferior to|behind|below|beneath|after|beaten by|outranked by)\s{1,3}\[",
    re.IGNORECASE,
)
WRONG = re.compile(
    r"[\s,]{0,3}(?:is|are|was|would be)\s(?:not|wrong|incorrect|false|untrue|mistaken|an? (?:mistake|error))\b",
    re.IGNORECASE,
)
BACKWARDS = re.compile(
    r"(?:\b(?:worst|least|lowest|weakest)\b[^\n\[\]>:]{0,30}\b(?:to|first)\b|\b(?:ascending|reverse) order\b)"
    r"[^\n\[\]>:]{0,30}[:\s*]{1,6}(?=\[|\d)",
    re.IGNORECASE,
)
"""What says that the best comes last."""
CONCLUDES = re.compile(
    r"(?:\A|[\n.!?;*])[ \t*_#>-]{0,9}(?:(?:here(?:['’]s| is)|my|the|so|thus|therefore)\W{1,3}){0,3}"
    r"(?:final(?: (?:answer|ranking|order|response|result|list))?|answer|response)(?: is)?[ \t*_]{0,5}:"
    r"|\[BEGIN FINAL RESPONSE\]",
    re.IGNORECASE,
)
"""What comes before the answer where there is a draft, too."""
FINAL = re.compile(
    r"\W{0,9}(?:(?:my|the|so|thus|therefore)\W{1,3}){0,3}(?:final|answer|result)\b[^\[\n]{0,60}(?=\[)", re.IGNORECASE
)
CLAUSE = re.compile(r"[.:;,!?\n]")
PAIR = re.compile(r"(?<![\d.,:])\[?(\d{1,9})\]?[\"']?\s{0,3}[:=]\s{0,3}[\"']?(-?\d{1,9}(?:[.,]\d{1,9})?)")
BEHIND_PAIR = re.compile(r"[\"']?(?!\d|e[+-]?\d|[.,:]\d|\s?[ap]\.?m\b)", re.IGNORECASE)
RATIO = re.compile(r"\b(?:ratio|odds|scale|score of|at|from|to|until|by|psalms?|verse)\s\Z", re.IGNORECASE)


IDS = ("id", "number", "index", "passage", "document", "doc", "name")
WORTHS = ("score", "grade", "relevance", "rating")
"""Keys of an object that tells of one passage."""


class _Number(NamedTuple):
    """A number that may be an identifier: its value, where it is written, whether brackets are round it."""

    value: int
    start: int
    end: int
    bracketed: bool


def permutation(text: str, count: int) -> list[int]:
    """0-based indices in the order a model named them, each once: see `read_order`."""
    return read_order(text, count)[0]


def read_order(text: str, count: int) -> tuple[list[int], Form]:
    """(0-based indices, best first, each once; how well the answer kept to the form) from what a model wrote.

    `"clean"`: nothing but `[2] > [1]` with every number of 1..`count` once. `"permissive"`: the longest chain of
    numbers joined by `>` (by `=` where they tie; the later chain of two alike; a `>` may be missing between numbers in
    brackets), else all bracketed numbers or `passage 2`-like names in reading order, else a line of nothing but
    numbers. `"none"`: no such thing; numbers in prose are no identifiers, and names in a sentence that negates, refuses
    or says `[1] < [2]` are no ranking. Of repeats the first counts, numbers out of range are ignored, thinking is cut,
    other digits (`２`, `②`) are read as 2. Source of the cleaning rules: RankGPT, rank_llm.

    >>> read_order("20 passages are provided.", 20)
    ([], 'none')
    >>> read_order("12] > [13] > [12] > [40]", 20)
    ([11, 12], 'permissive')
    >>> read_order("I cannot rank [1] and [2].", 20)
    ([], 'none')
    """
    text = normalised(final_answer(text))
    if CLEAN.fullmatch(text):
        order = _places(_chain_of(text), count)
        if len(order) == count == text.count("["):
            return order, "clean"
    text = ENUMERATION.sub("", NAMED.sub(r"[\1]", text))
    order = _concluded(text, count) or _order(text, count)
    return order, "permissive" if order else "none"


def _concluded(text: str, count: int) -> list[int]:
    """The chain after the last words such as "Final answer:"; nothing where there is none."""
    marks = list(CONCLUDES.finditer(text))
    return _chained(text[marks[-1].end() :], count) if marks else []


def _chained(text: str, count: int) -> list[int]:
    chains = [_places(chain, count) for chain in _chains(text)]
    return max(reversed(chains), key=len, default=[])


def _order(text: str, count: int) -> list[int]:
    if BACKWARDS.search(text):
        return []
    order = _chained(text, count) or _listed(text, count)
    if not order:
        lines = [line for line in text.splitlines() if NUMBERS_ONLY.fullmatch(line)]
        order = max((_named(line, count) for line in reversed(lines)), key=len, default=[])
    return order


Chain = list[tuple[str, int]]
"""Numbers, each with what joins it to the one before: `>`, `=` or nothing."""


def _numbers(text: str) -> Iterator[_Number]:
    for match in IDENTIFIER.finditer(text):
        digits = match[1] or match[2]
        if len(digits) <= 9:
            yield _Number(int(digits), match.start(), match.end(), not match[0].isdigit())


def _chain_of(text: str) -> Chain:
    """All numbers of a text that is a chain, and nothing else."""
    chain, end = [], 0
    for found in _numbers(text):
        chain.append(("=" if "=" in text[end : found.start] else ">", found.value))
        end = found.end
    return chain


def _chains(text: str) -> Iterator[Chain]:
    """Every chain that names passages by an order: bracketed, or a line of its own."""
    run: list[tuple[str, _Number]] = []
    for found in _numbers(text):
        sign = _sign(text, run[-1][1], found) if run else None
        if run and sign is None:
            yield from _meant(text, run)
            run = []
        run.append((sign or "", found))
    if run:
        yield from _meant(text, run)


def _sign(text: str, before: _Number, after: _Number) -> str | None:
    """What joins two numbers that follow one another; `None`: nothing does."""
    if after.start - before.end > 24:
        return None
    between = text[before.end : after.start]
    if JOINS.fullmatch(between):
        return "=" if between.strip() == "=" else ">"
    if REVERSED.fullmatch(between):
        return "<"
    return "" if before.bracketed and after.bracketed and LOOSE.fullmatch(between) else None


def _meant(text: str, run: Sequence[tuple[str, _Number]]) -> Iterator[Chain]:
    """The chain, unless it is none: no `>`, a `<` in it, bare numbers within a sentence, or negated."""
    signs = {sign for sign, _ in run[1:]}
    start, end = run[0][1].start, run[-1][1].end
    if not signs & {">", "="} or "<" in signs:
        return
    if not any(found.bracketed for _, found in run) and not _alone(text, start, end):
        return
    clause = CLAUSE.split(text[max(0, start - 60) : start])[-1]
    if NEGATED.search(clause) or WRONG.match(text, end):
        return
    yield [(sign, found.value) for sign, found in run]


def _alone(text: str, start: int, end: int) -> bool:
    """Whether nothing else is on these lines."""
    left = text[max(0, start - 200) : start].rpartition("\n")[2]
    right = text[end : end + 200].partition("\n")[0]
    return not left.strip() and not right.strip()


def _places(chain: Chain, count: int) -> list[int]:
    """Indices in the order written, each once; numbers joined by `=` in rising order."""
    levels: list[list[int]] = []
    for sign, value in chain:
        if sign == "=" and levels:
            levels[-1].append(value - 1)
        else:
            levels.append([value - 1])
    order = [place for level in levels for place in sorted(level)]
    return list(dict.fromkeys(place for place in order if 0 <= place < count))


def _named(text: str, count: int) -> list[int]:
    found = (int(digits) - 1 for digits in re.findall(r"\d{1,9}", text))
    return list(dict.fromkeys(place for place in found if 0 <= place < count))


def stated(text: str) -> list[str]:
    """The sentences of `text` that hold a name in brackets, without those that negate, refuse or compare backwards.

    Lines that each begin with a name are items of a list with remarks: where not all of them negate, all count. What
    comes before a sentence such as "Final answer: [2]" is a draft.

    >>> stated("None of [1], [2] helps. [3] does.")
    [' [3] does']
    """
    lines = [line for line in text.splitlines() if "[" in line]
    items = [line for line in lines if line.lstrip(" \t*-#>|")[:1] == "["]
    remarked = len(items) > 1 and not all(map(negated, items))
    found: list[str] = []
    for line in lines:
        if remarked and line.lstrip(" \t*-#>|")[:1] == "[":
            found.append(line)
        else:
            found += [s for s in SENTENCE.findall(line) if "[" in s and not negated(s)]
    last = max((place for place, sentence in enumerate(found) if FINAL.match(sentence)), default=0)
    return found[last:]


def negated(sentence: str) -> bool:
    """Whether a sentence denies what it names; asides and words about the others do not count."""
    return bool(NEGATED.search(ASIDE.sub("", sentence)))


def _listed(text: str, count: int) -> list[int]:
    """Bracketed numbers in reading order; of the last line that holds them all, where there is one."""
    groups = [" ".join(BRACKETED.findall(sentence)) for sentence in stated(text)]
    whole = [order for group in reversed(groups) if len(order := _named(group, count)) == count > 1]
    return whole[0] if whole else _named(" ".join(groups), count)


def uncut(answer: Generated) -> str:
    """What was written, without the number at its end that the token limit may have cut.

    >>> uncut(Generated("[12] > [1", complete=False))
    '[12] > '
    """
    if answer.complete:
        return answer.text
    text = bounded(answer.text, WITH_THOUGHTS).rstrip()
    end = len(text)
    for marks in (str.isdecimal, ".,", str.isdecimal, "-", "[\"'"):
        most = 1 if marks in (".,", "-") else 2 if isinstance(marks, str) else end
        while end and most and (text[end - 1] in marks if isinstance(marks, str) else marks(text[end - 1])):
            end, most = end - 1, most - 1
    return text[:end] if end < len(text) else answer.text


def read_letters(text: str, letters: Sequence[str]) -> tuple[list[int], Form]:
    """As `read_order`, for identifiers that are single letters: from `[B] > [A]`, or a line that is `B`, `(B)`,
    `Passage B` or `B > A`. Letters inside words are no identifiers.

    >>> read_letters("Sure, AB", ["A", "B"])
    ([], 'none')
    >>> read_letters("[A] is worse than [B]", ["A", "B"])
    ([], 'none')
    """
    text = normalised(final_answer(text))
    index = {letter: place for place, letter in enumerate(letters)}
    if text in index:
        return [index[text]], "clean"
    named = LETTER.findall(text)
    if named and not re.fullmatch(r"[\s>=,\[\]A-Z]+", text):
        named = LETTER.findall("\n".join(stated(text)))
    elif not named:
        lines = [line for line in text.splitlines() if LETTERS_ONLY.fullmatch(line)]
        named = re.findall(r"\b[A-Z]\b", lines[-1]) if lines else []
    order = list(dict.fromkeys(index[letter] for letter in named if letter in index))
    clean = len(order) == len(named) == len(index) and bool(re.fullmatch(r"\[[A-Z]\](?: > \[[A-Z]\])*", text))
    return order, "clean" if clean else "permissive" if order else "none"


def read_scores(text: str, count: int, low: float, high: float) -> tuple[list[float | None], Form]:
    """(a score or `None` for each of `count` passages, form) from a JSON object that maps numbers to scores.

    `"clean"`: one object with every number of 1..`count` once and all scores within `low`..`high`. Otherwise the last
    object that scores all, else everything that looks like `"[2]": 7`, of repeats the last; prose such as "a ratio of
    2:1" does not count. Scores out of range are brought into it in their order (`within`). What is not named has no
    score: never 0.

    >>> read_scores('{"1": 7, "[2]": "3", "9": 1', 2, 0, 10)
    ([7.0, 3.0], 'permissive')
    """
    text = normalised(final_answer(text))
    objects = [(whole, _scores(whole, count) or _inner(whole, count)) for whole in json_objects(text)]
    complete = [(whole, scores) for whole, scores in objects if len(scores) == count > 0]
    found: dict[int, float] = {}
    tidy = False
    if complete:
        whole, found = complete[-1]
        flat = not any(isinstance(value, (Mapping, list)) for value in whole.values())
        tidy = (
            flat and len(objects) == 1 and len(whole) == count and all(low <= score <= high for score in found.values())
        )
    else:
        for _, said in objects:
            found |= said
        found = found or _pairs(text, count)
    values = dict(zip(found, within([*found.values()], low, high), strict=True))
    scores = [float(values[place]) if place in values else None for place in range(count)]
    return scores, "clean" if tidy else "permissive" if found else "none"


def _scores(said: Mapping[str, object], count: int) -> dict[int, float]:
    found: dict[int, float] = {}
    entry = {str(key).lower(): value for key, value in said.items()} if len(said) <= 8 else {}
    if (name := _first(entry, IDS)) is not None and (worth := _first(entry, WORTHS)) is not None:
        said = {str(name): worth}
    for key, value in said.items():
        if isinstance(value, Mapping):
            value = _first({str(name).lower(): item for name, item in value.items()}, WORTHS)
        place, score = index(str(key)[:40].strip("[] "), count), number(value)
        if place is not None and score is not None:
            found.setdefault(place, score)
    return found


def _inner(said: Mapping[str, object], count: int) -> dict[int, float]:
    """Scores of the objects within one that has none itself."""
    found: dict[int, float] = {}
    for inner in nested([*said.values()]):
        found |= _scores(inner, count)
    return found


def _first(said: Mapping[str, object], names: Sequence[str]) -> object:
    return next((said[name] for name in names if name in said), None)


def _pairs(text: str, count: int) -> dict[int, float]:
    """Scores from `2: 7`-like pairs: what is a time or a ratio within a sentence is none."""
    found: dict[int, float] = {}
    for match in PAIR.finditer(text):
        begun = text[max(0, match.start() - 12) : match.start()]
        if BEHIND_PAIR.match(text, match.end()) and not RATIO.search(begun) and not _in_prose(text, match):
            place = int(match[1]) - 1
            if 0 <= place < count:
                found[place] = decimal(match[2])
    return found


def _in_prose(text: str, match: re.Match[str]) -> bool:
    """Whether a pair of bare numbers written like a ratio (`2:1`) follows a word that names no passage."""
    if re.search(r"[\[\]\"'=\s]", match[0]):
        return False
    word = re.search(r"(\w+)\s{1,3}\Z", text[max(0, match.start() - 24) : match.start()])
    return bool(word and not word[1].isdigit() and word[1].lower() not in ("passage", "document", "doc", "psg"))
