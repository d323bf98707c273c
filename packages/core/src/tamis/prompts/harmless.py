"""Neutralise whatever in untrusted text looks like part of a prompt: fences, identifiers, answers, control words of
chat templates.

Look-alikes count as what they look like, and characters nobody sees as absent. What is changed keeps its place and
stays readable; other text is left as it is. Every function takes time linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tamis.prompts.lookalikes import QUOTES, origins, seen

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
GAP = r"\s{0,9}"


def _spaced(*names: str) -> str:
    return "|".join(r"\s{0,2}".join(name) for name in names)


ALONE = (
    r"s|[bes]os|eo[dtmuhap]|sop|pad|unk|mask|sep|cls|inst|sys|system|user|assistant|human|think(?:ing)?|thoughts?"
    r"|reason(?:ing)?|reflection|scratchpad|answer|image|audio|video|__\w{1,20}__|turn|utterance|no_?speech"
    r"|tool_?calls?|available_tools|(?:unused|reserved|special|sentinel|ctrl)\d{1,5}|bot_end|arg_(?:key|value)"
    r"|repo_?name|filename|file_sep|gh_stars|issue_(?:start|comment|closed)|jupyter_\w{1,20}|empty_output"
    r"|commit_(?:before|msg|after)|tools?|(?:xai:)?function_calls?|function=\w{1,40}|mask:\d{1,5}|longcat_\w{1,20}"
    r"|(?:system|user|assistant|human|role|tool|dots)_(?:start|end|begin)|fake_token_around_image|global-img"
    r"|row_\d{1,3}_col_\d{1,3}|(?:dummy|extra|loc|seg)_?\d{1,5}|0x[0-9a-f]{2}"
    r"|(?:start|end|begin|beginning)of(?:text|turn|sentence|image|audio|prompt|transcript|role|utterance|message)"
)
"""Control words that are whole names of tags."""
PART = (
    r"[bes]os|eo[tmpd]|pad|unk|tool|turn|utterance|think|thought|unused|reserved|special|extra_id|sentinel|fim|im"
    r"|soft_token"
)
"""Words that make a name of several words one of a control token: seed:bos, extra_id_1."""
JOIN = r"[-_:]"
CONTROL = (
    rf"(?:{ALONE})|(?:\w{{1,20}}?{JOIN}){{1,3}}(?:{PART})(?:{JOIN}\w{{1,20}}){{0,3}}|(?:{PART})(?:{JOIN}\w{{1,20}}){{1,3}}"
    r"|(?:start|end|begin|beginning)[_ -]of[_ -]\w{1,20}(?:[_ -]\w{1,20}){0,2}"
)
IDENTIFIERS = (
    re.compile(r"\[[\s,;'\"]*\d[\s\d,;'\"]*\]"),
    re.compile(r"\[\s*[A-Z]\s*\]"),
    re.compile(r"[\"']\[?\d{1,9}\]?[\"'](?=\s{0,9}:)"),
)
"""Identifiers and keys of an answer in JSON: put in parentheses instead."""
CONTROL_ENCLOSED = (
    re.compile(
        rf"\[{GAP}/?{GAP}(?:inst|[gs]?mask|cls|sep|(?:pad|unused|reserved|unk){JOIN}?\d{{0,9}}|[be]os|eo[tdm]|think|thinking"
        rf"|img|img_break|img_end|system_prompt|model_settings|args|call_id|prefix|suffix|middle"
        rf"|(?:available_)?tools?(?:_\w{{1,20}})?){GAP}\]",
        re.IGNORECASE,
    ),
    re.compile(rf"\[{GAP}/?{GAP}[A-Z]{{2,20}}(?:_[A-Z0-9]{{1,20}}){{1,4}}{GAP}\]"),
    re.compile(rf"\[{GAP}/{GAP}[A-Z]{{2,20}}{GAP}\]"),
    re.compile(rf"\[{GAP}/?{GAP}(?:SYS|SYSTEM|USER|ASSISTANT|HUMAN|BOT){GAP}\]"),
    re.compile(rf"\[{GAP}@{GAP}\w{{2,20}}{GAP}@{GAP}\]"),
    re.compile(rf"[\[({{]{GAP}\|{GAP}/?{GAP}\w{{2,30}}(?:{JOIN}\w{{1,30}}){{0,4}}{GAP}\|{GAP}[\])}}]"),
    re.compile(
        rf"\]{GAP}~{GAP}!?{GAP}b{GAP}[\[\]]|\[{GAP}e{GAP}~{GAP}\[|\]{GAP}<{GAP}\]{GAP}\w{{1,20}}{GAP}\[{GAP}>{GAP}\["
    ),
)
"""Control words in square brackets: put in parentheses instead."""
FENCES = re.compile(rf"<(?=[\s/]*(?:{_spaced('query', 'passage')})\b)", re.IGNORECASE)
LABELS = re.compile(rf"<(?={GAP}/?{GAP}(?:{_spaced('query', 'passage', 'document', 'instruct')}|doc)\b)", re.IGNORECASE)
"""Tags that prompts of published checkpoints put in front of their parts."""
CONTROL_OPENINGS = (
    re.compile(rf"<(?={GAP}/?{GAP}\||{GAP}<{GAP}/?{GAP}sys{GAP}>{GAP}>)", re.IGNORECASE),
    re.compile(rf"<(?={GAP}/?{GAP}\w{{1,30}}(?:{JOIN}\w{{1,30}}){{0,3}}{GAP}\|{GAP}>)"),
    re.compile(rf"<(?={GAP}/?{GAP}(?=\w)(?:{CONTROL}){GAP}/?{GAP}>)", re.IGNORECASE),
    re.compile(rf"<(?={GAP}/?{GAP}[A-Z]{{2,20}}(?:_[A-Z0-9]{{1,20}}){{0,3}}_TOKEN{GAP}>)"),
    re.compile(rf"<(?={GAP}\[{GAP}(?:{CONTROL}){GAP}\]{GAP}>)", re.IGNORECASE),
    re.compile(
        r"<(?=role>\s{0,9}(?:human|user|assistant|system|bot|tool|observation)\s{0,9}</role>|@\w{2,20}@>)",
        re.IGNORECASE,
    ),
    re.compile(rf"[◁◀](?={GAP}/?{GAP}\w{{1,30}}{GAP}[▷▶])"),
)
JSON_ANSWER = re.compile(r"\{(?=[^{}]*\"(?:passages?|relevance)\"\s{0,9}:)")
OPENINGS = (
    (FENCES, "‹"),
    *((pattern, "‹") for pattern in CONTROL_OPENINGS),
    (JSON_ANSWER, "("),
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
    return _changed(text, (*IDENTIFIERS, *CONTROL_ENCLOSED), OPENINGS)


def neutralise_control(text: str) -> str:
    """`text` with control words of chat templates and the tags of our prompts and of checkpoints' (`<Query>`,
    `<Document>`) made harmless, and nothing else: for models that were trained to score and write no answer.

    >>> neutralise_control("See [3].<|im_end|> <Document>: [SEP]")
    'See [3].‹|im_end|> ‹Document>: (SEP)'
    """
    return _changed(text, CONTROL_ENCLOSED, tuple((pattern, "‹") for pattern in (LABELS, *CONTROL_OPENINGS)))


def _changed(text: str, enclosed: Sequence[re.Pattern[str]], openings: Sequence[tuple[re.Pattern[str], str]]) -> str:
    """`text` with parentheses around what is `enclosed`, and other characters for `openings`."""
    read = seen(text)
    changes: dict[int, str] = {}
    names: list[tuple[int, int]] = []
    for pattern in enclosed:
        for match in pattern.finditer(read):
            if pattern in IDENTIFIERS:
                names.append(match.span())
            else:
                changes[match.start()], changes[match.end() - 1] = "(", ")"
    for pattern, instead in openings:
        changes.update((match.start(), instead) for match in pattern.finditer(read))
    if not changes and not names:
        return text
    characters, places = list(text), range(len(text)) if read is text else origins(text)
    for start, end in names:
        if text[places[start]] not in QUOTES:
            changes[start], changes[end - 1] = "(", ")"
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
