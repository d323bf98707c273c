"""A window of candidates, one question: in which order? The model writes the order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, instructed, texts, told
from tamis.parts.numbers import NonNegative
from tamis.parts.part import part
from tamis.prompts.orders import read_order, uncut
from tamis.prompts.prompting import DATA_ONLY, STERN, PassageTokens, chat, fitting, passage_blocks, query_block
from tamis.prompts.template import Template, TemplateRef
from tamis.values.answers import Generated, unread
from tamis.values.calls import Capability, Generate
from tamis.values.ranking import Query

SYSTEM = f"You order passages by how well they answer a query, best first. {DATA_ONLY}"
TIES = "Join passages that are equally good by = instead of >. Be accurate, but do not overthink."
OVERHEAD = 300
TOKENS_PER_NUMBER = 6


def permutation_call(
    model: Any,
    query: Query,
    texts: Sequence[str],
    max_tokens: int,
    attempt: int = 0,
    *,
    hints: Sequence[str] = (),
    temperature: float = 0.0,
) -> Generate:
    """Ask for the order of `texts` as `[2] > [1] > [3]`. Source: RankGPT (Sun et al., 2023)."""
    count = len(texts)
    answer_tokens = 16 + TOKENS_PER_NUMBER * count
    reserved = OVERHEAD + answer_tokens + len(query.text) // 2
    user = "\n\n".join(
        [
            query_block(query.text, query.instruction),
            passage_blocks(texts, model, fitting(model, count, max_tokens, reserved)),
            *hints,
            f"Order all {count} passages by how well they answer the query, the best first. Answer with the numbers "
            f"only, each once, in this form: [2] > [1]. Use every number from 1 to {count} and write nothing else.",
            *([STERN] if attempt else ()),
        ]
    )
    expect = " > ".join(f"[{number}]" for number in range(1, count + 1))
    return Generate(
        model,
        chat(SYSTEM, user),
        max_tokens=answer_tokens,
        temperature=temperature,
        expect=expect,
        attempt=attempt,
    )


@part
class Permutation(OneCall):
    """The whole order, written by the model.

    An answer that names only some passages orders those and leaves the rest after them; one that names none is asked
    for once more, with the passages in another order. `ties`: passages may be joined by `=` (they keep the order
    shown). `worst_first`: the model writes the best last. `template`: the wording a checkpoint was trained with, or
    its name. `show`: features shown with each passage. `instruction`: a definition of relevance. Source: RankGPT (Sun
    et al., 2023); `show: [score]`: InsertRank (2025); `ties`: Rank-K (Yang et al., 2025); `worst_first`: ListT5 (Yoon
    et al., 2024).
    """

    unit: ClassVar[Unit] = "list"
    attempts: ClassVar[int] = 2
    passage_tokens: PassageTokens = 256
    show: Show = ()
    instruction: str | None = None
    ties: bool = False
    worst_first: bool = False
    temperature: NonNegative = 0.0
    template: TemplateRef = None

    def call(self, asked: Asked, attempt: int = 0) -> Generate:
        if self.template:
            return self._templated(asked, self.template, attempt)
        return permutation_call(
            asked.model,
            instructed(asked.query, self.instruction),
            texts(asked, self.show),
            self.passage_tokens,
            attempt,
            hints=[*told(self.show), *([TIES] if self.ties else ())],
            temperature=self.temperature,
        )

    def _templated(self, asked: Asked, template: Template, attempt: int) -> Generate:
        names = [str(number) for number in range(1, len(asked) + 1)]
        query, answer_tokens = instructed(asked.query, self.instruction), 16 + TOKENS_PER_NUMBER * len(names)
        room = fitting(asked.model, len(names), self.passage_tokens, OVERHEAD + answer_tokens + len(query.text) // 2)
        return Generate(
            asked.model,
            template.messages(asked.model, query, texts(asked, self.show), names, room),
            max_tokens=answer_tokens,
            temperature=self.temperature,
            expect=" > ".join(f"[{name}]" for name in (reversed(names) if self.worst_first else names)),
            attempt=attempt,
        )

    def read(self, answer: Generated, count: int) -> Verdict:
        order, form = read_order(uncut(answer), count)
        if not order:
            return Verdict.none(count, unread("the answer named no passage", answer))
        if self.worst_first:
            order = order[::-1]
        missing = tuple(place for place in range(count) if place not in set(order))
        failure = unread("the answer left them out", answer) if missing else None
        return Verdict(tuple(order), None, form, missing, failure)

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("generate",)
