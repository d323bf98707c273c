"""Let the best candidates speak in the query's vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field, PositiveInt

from tamis.parts.part import part
from tamis.prompts.template import Template, TemplateRef
from tamis.stage.scoring import Given, Limit, Scoring
from tamis.stage.vectors import cosines
from tamis.values.calls import Asking
from tamis.values.model import ModelRef, require, token_counter
from tamis.values.ranking import Query, Ranked, Ranking
from tamis.values.scale import COSINE, Scale

PLAIN = Template(
    "{instruction}\nDocuments:\n{passages}\nSearch Query: {query}",
    default="Given a web search query and some relevant documents, rerank the documents that answer the query:",
    one_line=True,
)
LEAST = 16
"""Tokens of a passage below which it says nothing; then fewer are shown."""


@part
class PseudoQuery(Scoring):
    """Sort by the cosine to one vector of the query and the `first` candidates together, as they came in. One `embed`
    call for that prompt and one per candidate, all in one round; candidates are embedded as for retrieval, so that with
    vectors kept (`Engine(vectors=...)`, `given_vectors`) a query costs one call.

    Made for embedders trained on such prompts; the preset `e2rank` words it for the published checkpoints. For others
    take `Refinement` (preset `prf`), which does the same to vectors: with bge-small, not trained so, the prompt lost
    .08 to .09 nDCG@10 on dl19 against the plain cosine, and gained nothing with the cosine's own best in it.

    Args:
        model: the embedder. The prompt goes to it as a query; it must add no words of its own to queries.
        template: the wording, or the name of a checkpoint's; of its turns the user's is embedded.
        first: how many candidates are shown.
        passage_tokens: of each; less where the model's `max_length` does not fit them, as the query comes last.
        ending: what the model wants to see at the end of each passage it embeds, such as an end-of-text token.

    Scale: `cosine`. Source: E2Rank (Liu et al., 2025).

    >>> from tamis.models import Function
    >>> letters = Function(lambda call: [call.text.count(c) for c in "αβγ"], "embed")
    >>> PseudoQuery(letters, first=1).rerank("α", ["αββ", "γγγγ", "ββββ"]).positions
    (0, 2, 1)
    """

    model: ModelRef
    template: TemplateRef = None
    first: PositiveInt = 20
    passage_tokens: Annotated[int, Field(ge=LEAST)] = 1024
    ending: str = ""
    depth: Limit = None
    given_vectors: bool = False

    scale: ClassVar[Scale] = COSINE

    def __post_init__(self) -> None:
        require(self.model, "embed", "PseudoQuery")

    def scores(self, ranking: Ranking, head: Sequence[Ranked]) -> Asking[Sequence[Given]]:
        query = replace(ranking.query, text=self.prompt(ranking.query, head), vector=None)
        return cosines(self.model, query, head, self.given_vectors, self.ending, prompt=True)

    def prompt(self, query: Query, head: Sequence[Ranked]) -> str:
        """What is embedded in the query's place."""
        longest, shown, tokens = getattr(self.model, "max_length", None), self.first, self.passage_tokens
        if longest is not None:
            room = longest - token_counter(self.model)(self._worded(query, ["…"] * min(shown, len(head)), LEAST))
            shown = max(1, min(shown, len(head), room // LEAST))
            tokens = max(LEAST, min(tokens, room // shown))
        return self._worded(query, [ranked.candidate.full_text for ranked in head[:shown]], tokens)

    def _worded(self, query: Query, texts: Sequence[str], tokens: int) -> str:
        names = [str(number) for number in range(1, len(texts) + 1)]
        turns = (self.template or PLAIN).messages(self.model, query, texts, names, tokens)
        return "".join(turn.content for turn in turns if turn.role == "user")
