"""A set of candidates, one question: which is best? The model writes one name, or a few."""

from __future__ import annotations

import math
from typing import ClassVar

from tamis.judges.base import Asked, OneCall, Unit, Verdict
from tamis.judges.features import Show, instructed, texts, told
from tamis.parts.numbers import NonNegative, ShareBetween
from tamis.parts.part import part
from tamis.prompts.orders import read_order, uncut
from tamis.prompts.prompting import DATA_ONLY, STERN, PassageTokens, chat, fitting, passage_blocks, query_block
from tamis.prompts.template import TemplateRef
from tamis.prompts.thoughts import final_answer
from tamis.values.answers import Generated, unread
from tamis.values.calls import Capability, Generate, Message
from tamis.values.ranking import Query

SYSTEM = f"You pick the passages that answer a query best. {DATA_ONLY}"
OVERHEAD = 250


@part
class Choice(OneCall):
    """The best one of a set, or the best `share` of it (rounded up), named by number.

    Small models that cannot write a whole order can name one passage. An answer without a name in range is asked for
    once more, with the passages in another order. Source: Setwise (Zhuang et al., 2024); with `share`, TourRank (Chen
    et al., 2024).
    """

    unit: ClassVar[Unit] = "set"
    attempts: ClassVar[int] = 2
    share: ShareBetween | None = None
    passage_tokens: PassageTokens = 256
    show: Show = ()
    instruction: str | None = None
    temperature: NonNegative = 0.0
    template: TemplateRef = None

    def picks(self, count: int) -> int:
        return 1 if self.share is None else max(1, math.ceil(count * self.share))

    def call(self, asked: Asked, attempt: int = 0) -> Generate:
        count, picks = len(asked), self.picks(len(asked))
        query, answer_tokens = instructed(asked.query, self.instruction), 16 + 6 * picks
        room = fitting(asked.model, count, self.passage_tokens, OVERHEAD + answer_tokens + len(query.text) // 2)
        if self.template:
            numbers = [str(number) for number in range(1, count + 1)]
            messages = self.template.messages(asked.model, query, texts(asked, self.show), numbers, room)
        else:
            messages = self._own(asked, query, picks, room, attempt)
        return Generate(
            asked.model,
            messages,
            max_tokens=answer_tokens,
            temperature=self.temperature,
            expect=" > ".join(f"[{number}]" for number in range(1, picks + 1)),
            attempt=attempt,
        )

    def _own(self, asked: Asked, query: Query, picks: int, room: int, attempt: int) -> tuple[Message, ...]:
        of_all = f"of the {len(asked)} passages"
        question = (
            f"Which one {of_all} answers the query best? Answer with its number only, in this form: [2]."
            if picks == 1
            else f"Which {picks} {of_all} answer the query best? Answer with their numbers only, the best first, in "
            "this form: [2] > [1]."
        )
        user = "\n\n".join(
            [
                query_block(query.text, query.instruction),
                passage_blocks(texts(asked, self.show), asked.model, room),
                *told(self.show),
                question,
                *([STERN] if attempt else ()),
            ]
        )
        return chat(SYSTEM, user)

    def read(self, answer: Generated, count: int) -> Verdict:
        order, form = read_order(uncut(answer), count)
        picks = self.picks(count)
        if not order:
            return Verdict.none(count, unread("the answer named no passage", answer))
        alone = final_answer(answer.text) == f"[{order[0] + 1}]"
        clean = alone if picks == 1 else form != "none" and len(order) == picks
        return Verdict(tuple(order[:picks]), form="clean" if clean else "permissive")

    @property
    def needs(self) -> tuple[Capability, ...]:
        return ("generate",)
