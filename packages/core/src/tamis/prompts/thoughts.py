"""What a model wrote, without what it thought on the way, and no longer than readers are made for.

Every function takes time linear in the length of the text.
"""

from __future__ import annotations

import json
import re
import unicodedata

LONGEST = 100_000
"""Characters of an answer that are read. A longer one is read at its beginning and at its end."""
WITH_THOUGHTS = 200_000
"""Characters in which marks of thoughts are looked for: cut first, since a model may have written any number."""
PIECE = 128
"""Characters normalised at once: the time that Unicode needs for a run of combining marks grows with its square."""

FAMILY = (
    r"(?:[a-z]{1,12}[:_])?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratch_?pad|inner_monologue)(?:_(?:start|end))?"
    r"|(?:begin|end)_of_(?:thoughts?|thinking|reasoning)|(?:start|end)_(?:thinking|thought)"
    r"|chain_of_thoughts?|cot|analysis|deliberation|reflect|plan"
)
"""Names of thoughts: <think>, <seed:think>, <|begin_of_thought|>, <|START_THINKING|>, <analysis> and kin."""
MARK = re.compile(
    rf"[<\[◁]\s{{0,3}}\|?\s{{0,3}}(?P<closes>/?)\s{{0,3}}(?P<name>{FAMILY})(?:\s[^<>\[\]\n]{{0,80}})?\s{{0,3}}\|?\s{{0,3}}[>\]▷]"
    r"|(?P<channel><\s{0,3}\|\s{0,3}channel\s{0,3}>|<unused94>)|(?P<over><\s{0,3}channel\s{0,3}\|\s{0,3}>|<unused95>)"
    r"|(?P<folds><details\s{1,3}type=[\"']?(?:reasoning|thinking)[\"']?[^<>\n]{0,80}>)|(?P<unfolds></details>)",
    re.IGNORECASE,
)
CHANNEL = re.compile(
    r"<\s{0,3}\|\s{0,3}channel\s{0,3}\|\s{0,3}>\s{0,3}(?P<name>\w{0,20})[^<>\n]{0,200}"
    r"(?P<begins><\s{0,3}\|\s{0,3}(?:constrain\|>[^<>\n]{0,40}<\|)?message\s{0,3}\|\s{0,3}>)?",
    re.IGNORECASE,
)
MESSAGE_ENDS = re.compile(r"<\s{0,3}\|\s{0,3}(?:end|return|call|start|channel)\s{0,3}\|\s{0,3}>", re.IGNORECASE)
BARE_CHANNEL = re.compile(r"analysis(?=[A-Z\"'\[{])")
"""How a thought begins where a server has left out the marks of gpt-oss; `assistantfinal` ends it."""
BARE_FINAL = "assistantfinal"
TURN_ENDS = re.compile(r"\s*<\s{0,3}(?:\|[\w ]{1,30}\|?|/s|eos|end_of_turn|[\w ]{1,30}\|)\s{0,3}>\Z")
ANSWER_START = ("{", "```")
ANSWER_OPENS = re.compile(r"<\s{0,3}answer\s{0,3}>", re.IGNORECASE)
ANSWER_CLOSES = re.compile(r"<\s{0,3}/\s{0,3}answer\s{0,3}>", re.IGNORECASE)
DECODER = json.JSONDecoder(parse_int=float, strict=False)


def answer_text(text: str) -> str:
    """`text` without the model's thinking, whatever family of marks it uses, closed or not; at most `LONGEST`
    characters. In an answer that begins as JSON, marks inside the JSON are part of it.

    >>> answer_text("[THINK]Perhaps [1].[/THINK][2]"), answer_text("<|channel|>analysis<|message|>Perhaps [1].")
    ('[2]', '')
    """
    text = bounded(text, WITH_THOUGHTS).strip()
    begun = _first_value(text) if text.startswith(ANSWER_START) else 0
    return bounded(_without_end(_without_thoughts(text, begun)))


def has_thought(text: str) -> bool:
    """Whether `text` holds a thought, in marks of any family.

    >>> has_thought("<think>Perhaps [1]."), has_thought("[2] > [1]")
    (True, False)
    """
    text = bounded(text, WITH_THOUGHTS).strip()
    begun = _first_value(text) if text.startswith(ANSWER_START) else 0
    return _without_thoughts(text, begun) != text


def final_answer(text: str) -> str:
    """What follows the thinking; inside the last whole `<answer>` tag, where there is one."""
    text = answer_text(text)
    whole, last = "", ""
    for part in ANSWER_OPENS.split(text)[1:]:
        inner, *behind = ANSWER_CLOSES.split(part, 1)
        if inner := inner.strip():
            whole, last = (inner if behind else whole), inner
    return whole or last or text


def normalised(text: str) -> str:
    """`text` in compatibility form, so that `２` and `②` are read as 2, in linear time."""
    if text.isascii():
        return text
    pieces = range(0, len(text), PIECE)
    return bounded("".join([unicodedata.normalize("NFKC", text[start : start + PIECE]) for start in pieces]))


def bounded(text: str, most: int = LONGEST) -> str:
    """Both ends of a text that is longer than `most` characters."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n{text[-half:]}"


def _first_value(text: str) -> int:
    """Where the JSON that `text` begins with ends; its whole length where it has no end."""
    start = text.find("{", 0, 100)
    if start < 0:
        return 0
    try:
        return DECODER.raw_decode(text, start)[1]
    except (json.JSONDecodeError, RecursionError):
        return len(text)


def _without_thoughts(text: str, begun: int) -> str:
    """What stands outside of all thoughts. `begun`: up to there it is an answer."""
    channels = [match for match in CHANNEL.finditer(text, begun) if match["begins"]]
    if channels:
        return _final_channel(text, channels)
    if BARE_CHANNEL.match(text):
        return text.rpartition(BARE_FINAL)[2] if BARE_FINAL in text else ""
    pieces: list[str] = []
    position, inside = 0, False
    for mark in MARK.finditer(text, begun):
        if mark[0].startswith("[") and "th" not in mark["name"].lower():
            continue  # [Reasoning] is a heading.
        if mark["unfolds"] and not inside:
            continue  # Of details that are no thought.
        if _closes(mark):
            # Without an opening mark, the thought began in the prompt: all before is part of it.
            pieces = pieces if inside else []
            position, inside = mark.end(), False
        elif not inside:
            pieces.append(text[position : mark.start()])
            inside = True
    if not inside:
        pieces.append(text[position:])
    outside = [piece.strip() for piece in pieces if piece.strip()]
    return outside[-1] if outside else ""


def _closes(mark: re.Match[str]) -> bool:
    name = (mark["name"] or "").lower()
    return bool(mark["closes"] or mark["over"] or mark["unfolds"] or name.startswith("end_") or name.endswith("_end"))


def _final_channel(text: str, channels: list[re.Match[str]]) -> str:
    """The last message that is not empty on the channel `final`; else what stands before all channels."""
    ends = [*(match.start() for match in channels[1:]), len(text)]
    for channel, end in reversed(list(zip(channels, ends, strict=True))):
        if channel["name"].lower() == "final":
            over = MESSAGE_ENDS.search(text, channel.end(), end)
            said = text[channel.end() : over.start() if over else end].strip()
            if said:
                return said
    before = text[: channels[0].start()]
    return before.replace("<|start|>assistant", "").strip()


def _without_end(text: str) -> str:
    """`text` without the marks of the end of a turn that a server has left at its end."""
    text = text.strip()
    for _ in range(4):
        if not text.endswith(">"):
            break
        found = TURN_ENDS.search(text, max(0, len(text) - 60))
        if not found:
            break
        text = text[: found.start()].rstrip()
    return text
