"""What language models that were trained to score read, and the tokens their scores are read from."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tamis.errors import ConfigError
from tamis.parts.part import part, unknown

OPTIONAL_LINE = re.compile(r"[^\n]*\{instruction\}[^\n]*\n?")
PLACE = re.compile(r"(\{(?:instruction|query|passage)\})")
WEB = "Given a web search query, retrieve relevant passages that answer the query"


@part
class Wording:
    """A prompt in pieces that are tokenised one by one, as the code published with the model does.

    Args:
        before: pieces up to the passage, with `{query}` and, if the model takes one, `{instruction}`; a line with an
            instruction is left out where there is none.
        passage: the piece that holds `{passage}`; its end is cut where the whole is too long.
        after: pieces behind it.
        positive: the token whose logit is the score, less that of `negative` where there is one, over `divisor`.
        instruction: where the asker gives none.
        opens, closes: whether the tokenizer's first token stands in front, and its last token behind.
        models: beginnings of the names of the models that read this, in lower case.
        source: where the wording was published.

    What is filled in is never looked at again. Raises `ConfigError` for a wording without query or passage.
    """

    before: tuple[str, ...]
    passage: str
    after: tuple[str, ...]
    positive: str
    negative: str | None = None
    divisor: Annotated[float, Field(gt=0)] = 1.0
    instruction: str = ""
    opens: bool = False
    closes: bool = False
    models: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        if self.passage.count("{passage}") != 1 or not any("{query}" in piece for piece in self.before):
            told = f"{self.before}, {self.passage!r}"
            raise ConfigError(f"a wording must hold {{query}} before the passage, and {{passage}} once: {told}")

    @property
    def labels(self) -> tuple[str, ...]:
        return (self.positive,) if self.negative is None else (self.positive, self.negative)

    def front(self, query: str, instruction: str | None = None) -> list[list[tuple[str, bool]]]:
        """The pieces before the passage, each as runs of text and whether the run is the asker's own."""
        told = instruction or self.instruction
        values = {"{query}": query, "{instruction}": told}
        pieces = self.before if told else [OPTIONAL_LINE.sub("", piece) for piece in self.before]
        return [[(values.get(run, run), run in values) for run in PLACE.split(piece) if run] for piece in pieces]

    def middle(self, passage: str) -> str:
        """The passage's own piece."""
        before, _, after = self.passage.partition("{passage}")
        return before + passage + after


WORDINGS = {
    "qwen3-reranker": Wording(
        before=(
            "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
            'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
            "<Instruct>: {instruction}\n<Query>: {query}\n<Document>:",
        ),
        passage=" {passage}",
        after=("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",),
        positive="yes",
        negative="no",
        instruction=WEB,
        models=("qwen3-reranker",),
        source="QwenLM/Qwen3-Embedding, the transformers example",
    ),
    "mxbai-rerank-v2": Wording(
        before=(
            "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
            "<|im_start|>user\n",
            "instruction: {instruction}\nquery: {query}",
            "\n",
        ),
        passage="document: {passage}",
        after=(
            "\n",
            "You are a search relevance expert who evaluates how well documents match search queries. For each "
            "query-document pair, carefully analyze the semantic relationship between them, then provide your binary "
            "relevance judgment (0 for not relevant, 1 for relevant).\nRelevance:",
            "<|im_end|>\n<|im_start|>assistant\n",
        ),
        positive="1",
        negative="0",
        models=("mxbai-rerank-base-v2", "mxbai-rerank-large-v2"),
        source="mixedbread-ai/mxbai-rerank, mxbai_rerank_v2.py",
    ),
    "zerank": Wording(
        before=("<|im_start|>system\n{query}<|im_end|>\n<|im_start|>user\n",),
        passage="{passage}",
        after=("<|im_end|>\n<|im_start|>assistant\n",),
        positive="Yes",
        divisor=5.0,
        models=("zerank-",),
        source="zeroentropy/zerank-1, modeling_zeranker.py: chat turns, the logit of Yes over 5",
    ),
    "bge-reranker-gemma": Wording(
        before=("A: {query}", "\n"),
        passage="B: {passage}",
        after=(
            "\n",
            "Given a query A and a passage B, determine whether the passage contains an answer to the query by "
            "providing a prediction of either 'Yes' or 'No'.",
        ),
        positive="Yes",
        opens=True,
        models=("bge-reranker-v2-gemma",),
        source="FlagOpen/FlagEmbedding, FlagLLMReranker",
    ),
    "monot5": Wording(
        before=("Query: {query} Document:",),
        passage=" {passage}",
        after=(" Relevant:",),
        positive="true",
        negative="false",
        closes=True,
        models=("monot5-",),
        source="castorini/pygaggle",
    ),
}
"""Those of published checkpoints."""


def wording_for(model: str) -> Wording | None:
    """The wording a model of this name was published with."""
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    return next((wording for wording in WORDINGS.values() if name.startswith(wording.models)), None)


def _by_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in WORDINGS:
        raise ConfigError(unknown("wording", value, WORDINGS) + " For another, state its pieces: Wording(before=...).")
    return WORDINGS[value]


WordingRef = Annotated[Wording | None, BeforeValidator(_by_name, json_schema_input_type=Wording | str | None)]
"""Field type: a wording, the mapping of its fields, or the name of a published checkpoint's."""
