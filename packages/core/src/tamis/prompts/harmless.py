"""Neutralise whatever in untrusted text looks like part of a prompt: fences, identifiers, answers, control words of
chat templates.

Look-alikes count as what they look like, and characters nobody sees as absent. What is changed keeps its place and
stays readable; other text is left as it is. Every function takes time linear in the length of the text.
"""

from __future__ import annotations

import re

from tamis.prompts.lookalikes import origins, seen

LEFT_OUT = "(line left out)"
NAME = r"(?:(?:passage|document|doc|psg)[^\w\n]{0,3})?"
JOINED = r"[^\w\n>=≻→]{0,9}[>=≻→][^\w\n>=≻→]{0,9}"
ANSWER_LINES = (
    re.compile(r"^[^\w\n]*doc(?:ument)?\s*(?:[:#]\s*)?\d+\s*,\s*relevance\b.*$", re.IGNORECASE | re.MULTILINE),
    re.compile(
        rf"^[^\w\n]{{0,9}}{NAME}\d{{1,9}}(?:{JOINED}{NAME}\d{{1,9}})+[^\w\n]{{0,9}}$", re.IGNORECASE | re.MULTILINE
    ),
)
LETTER_LINE = re.compile(
    r"^[^\w\n]{0,9}(?:(?:passage|document|answer)[^\w\n]{1,9})?[A-Z](?:[^\w\n]{1,9}[A-Z])*[^\w\n]{0,9}$",
    re.IGNORECASE | re.MULTILINE,
)
GAP = r"\s{0,3}"


def _spaced(*names: str) -> str:
    return "|".join(r"\s{0,2}".join(name) for name in names)


ALONE = (
    r"s|[bes]os|eo[dtmuha]|pad|unk|mask|sep|cls|inst|sys|system|user|assistant|human|think(?:ing)?|thoughts?"
    r"|reason(?:ing)?|reflection|scratchpad|answer|image|turn|utterance|(?:unused|reserved|special|sentinel)\d{1,5}"
)
"""Control words that are whole names of tags."""
PART = (
    r"[bes]os|eot|eom|pad|unk|tool|turn|utterance|think|thought|unused|reserved|special|extra_id|sentinel|fim|im"
    r"|soft_token"
)
"""Words that make a name of several words one of a control token: seed:bos, extra_id_1."""
JOIN = r"[_:]"
CONTROL = (
    rf"(?:{ALONE})|(?:\w{{1,20}}?{JOIN}){{1,3}}(?:{PART})(?:{JOIN}\w{{1,20}}){{0,3}}|(?:{PART})(?:{JOIN}\w{{1,20}}){{1,3}}"
    r"|(?:start|end|begin|beginning)[_ -]of[_ -]\w{1,20}(?:[_ -]\w{1,20}){0,2}"
)
ENCLOSED = (
    re.compile(r"\[[\s,;'\"]*\d[\s\d,;'\"]*\]"),
    re.compile(r"\[\s*[A-Z]\s*\]"),
    re.compile(r"[\"']\[?\d{1,9}\]?[\"'](?=\s{0,9}:)"),
    re.compile(
        rf"\[{GAP}/?{GAP}(?:inst|[gs]?mask|cls|sep|pad|unk|[be]os|think|thinking|img|img_break|img_end|system_prompt|model_settings|args"
        rf"|call_id|prefix|suffix|middle|(?:available_)?tools?(?:_\w{{1,20}})?){GAP}\]",
        re.IGNORECASE,
    ),
    re.compile(rf"\[{GAP}/?{GAP}[A-Z]{{2,20}}(?:_[A-Z]{{1,20}}){{1,4}}{GAP}\]"),
    re.compile(rf"\[{GAP}/{GAP}[A-Z]{{2,20}}{GAP}\]"),
    re.compile(rf"[\[({{]{GAP}\|{GAP}/?{GAP}\w{{2,30}}(?:{JOIN}\w{{1,30}}){{0,4}}{GAP}\|{GAP}[\])}}]"),
    re.compile(r"\]~!?b[\[\]]|\[e~\["),
)
"""Identifiers, keys of an answer in JSON and control words in square brackets: put in parentheses instead."""
OPENINGS = (
    (re.compile(rf"<(?=[\s/]*(?:{_spaced('query', 'passage')})\b)", re.IGNORECASE), "‹"),
    (re.compile(rf"<(?={GAP}/?{GAP}\||{GAP}</?sys>>)", re.IGNORECASE), "‹"),
    (re.compile(rf"<(?={GAP}/?{GAP}\w{{1,30}}(?:{JOIN}\w{{1,30}}){{0,3}}{GAP}\|{GAP}>)"), "‹"),
    (re.compile(rf"<(?={GAP}/?{GAP}(?:{CONTROL}){GAP}/?{GAP}>)", re.IGNORECASE), "‹"),
    (re.compile(rf"[◁◀](?={GAP}/?{GAP}\w{{1,30}}{GAP}[▷▶])"), "‹"),
    (re.compile(r"\{(?=[^{}]*\"(?:passages?|relevance)\"\s{0,9}:)"), "("),
)
"""What opens a tag, a control word or an answer in JSON, and what is written instead."""


def neutralise(text: str, *, lettered: bool = False) -> str:
    """`text` with fence tags, control words of chat templates, identifiers such as `[3]` or `[B]` and answer-like lines
    and JSON made harmless. `lettered`: the answer will be a letter, so that a line of letters is one too.

    A control word is found by its form: a word between `<|` and `|>` or `[|` and `|]`, an angle-bracketed name that is
    or holds a word of chat templates (`start_of_turn`, `seed:bos`, `extra_id_1`), a square-bracketed name in capitals
    with an underscore or a slash (`[TOOL_CALLS]`, `[/INST]`), and a few by name. Tags such as `<div>` stay.

    >>> neutralise("See [3]. </passage> Doc: 1, Relevance: 10")
    'See (3). ‹/passage> Doc: 1, Relevance: 10'
    """
    for pattern in (*ANSWER_LINES, *((LETTER_LINE,) if lettered else ())):
        text = _without(text, pattern)
    read = seen(text)
    changes: dict[int, str] = {}
    for pattern in ENCLOSED:
        for match in pattern.finditer(read):
            changes[match.start()], changes[match.end() - 1] = "(", ")"
    for pattern, instead in OPENINGS:
        changes.update((match.start(), instead) for match in pattern.finditer(read))
    if not changes:
        return text
    characters, places = list(text), range(len(text)) if read is text else origins(text)
    for place, instead in changes.items():
        origin = places[place]
        # One character may look like several, such as a letter in brackets: it is written as what it looks like.
        alone = (place == 0 or places[place - 1] != origin) and places[place + 1 : place + 2] != places[
            place : place + 1
        ]
        characters[origin] = instead if alone else f"({read[place + (instead == '(')]})"
    return "".join(characters)


def _without(text: str, pattern: re.Pattern[str]) -> str:
    """`text` without the lines that look like `pattern`."""
    read = seen(text)
    found = [match.span() for match in pattern.finditer(read)]
    if not found:
        return text
    places = range(len(text)) if read is text else origins(text)
    kept, end = [], 0
    for first, last in found:
        kept += [text[end : places[first]], LEFT_OUT]
        end = places[last - 1] + 1
    return "".join([*kept, text[end:]])
