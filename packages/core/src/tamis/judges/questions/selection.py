"""All candidates at once, one question: which are needed? The model writes a list as long as it must be, or None."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tamis.prompts.orders import stated, uncut
from tamis.prompts.prompting import DATA_ONLY, chat, fitting, passage_blocks, query_block
from tamis.prompts.template import Template
from tamis.prompts.thoughts import final_answer, normalised
from tamis.values.answers import Generated
from tamis.values.calls import Generate
from tamis.values.ranking import Query

SYSTEM = f"You choose the passages that are needed to answer a query, and no others. {DATA_ONLY}"
OVERHEAD = 320
TOKENS_PER_NUMBER = 6

LISTED = re.compile(r"\[\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*\]")
NUMBERS_ONLY = re.compile(r"\W*\d{1,9}(?:[\s,;>]+\d{1,9})*\W*")
NONE = re.compile(r"\W*(?:answer\W+)?(?:none\b|no (?:passages?|documents?)\b|\[\s*\])", re.IGNORECASE)


def selection_call(
    model: Any,
    query: Query,
    texts: Sequence[str],
    max_tokens: int,
    *,
    temperature: float = 0.0,
    attempt: int = 0,
    template: Template | None = None,
    titles: Sequence[str] = (),
) -> Generate:
    """Ask for the numbers of the passages that together suffice, the most useful first: `[3], [1]`, or `None`.

    `template`: the wording a checkpoint was trained with; `titles`: for its `{title}`. Source: DynamicRAG (Sun et al.,
    2025), in our words.
    """
    count = len(texts)

    def usable(answer: Generated) -> bool:
        return read_selection(answer, count) is not None

    answer_tokens = 16 + TOKENS_PER_NUMBER * count
    reserved = OVERHEAD + answer_tokens + len(query.text) // 2
    if template:
        numbers = [str(number) for number in range(1, count + 1)]
        room = fitting(model, count, max_tokens, reserved)
        return Generate(
            model,
            template.messages(model, query, texts, numbers, room, titles),
            max_tokens=answer_tokens,
            temperature=temperature,
            expect=written(range(count)),
            attempt=attempt,
            usable=usable,
        )
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks(texts, model, fitting(model, count, max_tokens, reserved)),
            "Choose the passages that an answer to the query must rest on, the most useful first. Stop as soon as "
            "those chosen are enough together, and leave out whatever adds nothing to them. Answer with their numbers "
            "only, in this form: [3], [1]. If the query can be answered without any of them, or none helps, answer "
            "None. Write nothing else.",
        ]
    )
    return Generate(
        model,
        chat(SYSTEM, user),
        max_tokens=answer_tokens,
        temperature=temperature,
        expect=written(range(count)),
        attempt=attempt,
        usable=usable,
    )


def written(chosen: Sequence[int]) -> str:
    """0-based indices as the model should write them.

    >>> written([2, 0])
    '[3], [1]'
    """
    return ", ".join(f"[{index + 1}]" for index in chosen) or "None"


def read_selection(answer: Generated, count: int) -> list[int] | None:
    """As `parse_selection`. Half a number at the end of an answer that was cut is none, and `None` at its beginning
    says nothing: more was to come.

    >>> read_selection(Generated("None of them, but [1", complete=False), 2)
    """
    chosen = parse_selection(uncut(answer), count)
    return chosen if chosen or answer.complete else None


def parse_selection(text: str, count: int) -> list[int] | None:
    """0-based indices of the passages chosen, each once, in the order written; `[]` for a deliberate none.

    `None` when the answer is neither: not the same as choosing nothing. Numbers out of range and repeats are ignored,
    and so are names in a sentence that negates.

    >>> parse_selection("[3], [1],[3] and [99]", 5), parse_selection("None", 5), parse_selection("I cannot", 5)
    ([2, 0], [], None)
    """
    text = normalised(final_answer(text))
    groups = LISTED.findall("\n".join(stated(text))) or ([text] if NUMBERS_ONLY.fullmatch(text) else [])
    named = [int(number) for group in groups for number in re.findall(r"\d{1,9}", group)]
    chosen = list(dict.fromkeys(number - 1 for number in named if 1 <= number <= count))
    if chosen:
        return chosen
    return [] if not named and NONE.match(text) else None
