"""What language models that were trained to score read, and the tokens their scores are read from."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from tamis.checkpoints.published import CHECKPOINTS, Published, every, made, published
from tamis.errors import ConfigError
from tamis.parts.numbers import Positive
from tamis.parts.part import part, unknown
from tamis.prompts.harmless import neutralise_control

OPTIONAL_LINE = re.compile(r"[^\n]*\{instruction\}[^\n]*\n?")
PLACE = re.compile(r"(\{(?:instruction|query|passage)\})")


@part
class Wording:
    """A prompt in pieces that are tokenised one by one, as the code published with the model does.

    Args:
        before: pieces up to the passage, with `{query}` and, if the model takes one, `{instruction}`; a line with an
            instruction is left out where there is none.
        passage: the piece that holds `{passage}`; its end is cut where the whole is too long.
        after: pieces after it.
        positive: the token whose logit is the score, less that of `negative` where there is one, over `divisor`.
        instruction: where the asker gives none.
        opens, closes: whether the tokenizer's first token comes first, and its last token last.
        models: beginnings of the names of the models that read this, in lower case.
        source: where the wording was published.

    What is filled in is never looked at again; control words of chat templates and tags such as `<Document>` in it are
    made harmless. Raises `ConfigError` for a wording without query or passage.
    """

    before: tuple[str, ...]
    passage: str
    after: tuple[str, ...]
    positive: str
    negative: str | None = None
    divisor: Positive = 1.0
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
        values = {"{query}": neutralise_control(query), "{instruction}": neutralise_control(told)}
        pieces = self.before if told else [OPTIONAL_LINE.sub("", piece) for piece in self.before]
        return [[(values.get(run, run), run in values) for run in PLACE.split(piece) if run] for piece in pieces]

    def middle(self, passage: str) -> str:
        """The passage's own piece."""
        before, _, after = self.passage.partition("{passage}")
        return before + neutralise_control(passage) + after


def wordings() -> dict[str, str]:
    """The wordings of published checkpoints: name, and where the wording was published."""
    return {name: wording.source for name, wording in every(_wording).items()}


def wording(name: str) -> Wording:
    """What a published checkpoint reads. `ConfigError` for an unknown name.

    >>> wording("monot5").labels
    ('true', 'false')
    """
    found = _wording(published(name)) if name in CHECKPOINTS else None
    if found is None:
        raise ConfigError(unknown("wording", name, wordings()) + " For another, state its pieces: Wording(before=...).")
    return found


def wording_for(model: str) -> Wording | None:
    """The wording a model of this name was published with: of those whose `models` begin its name, the one with the
    longest such beginning. `ConfigError` where two files claim the same beginning."""
    name = model.rstrip("/").rsplit("/", 1)[-1].lower()
    known = every(_wording)
    found = [(len(start), file) for file in known for start in known[file].models if name.startswith(start)]
    longest = max(found, default=(0, ""))[0]
    claims = [file for length, file in found if length == longest]
    if len(claims) > 1:
        files = " and by ".join(str(CHECKPOINTS.path(file)) for file in claims)
        raise ConfigError(f"the wording of {model} is claimed by {files}: give wording=, the name of one of them")
    return known[claims[0]] if claims else None


def _wording(file: Published) -> Wording | None:
    return None if file.wording is None else made(file.path, "wording", Wording, file.wording)


def _by_name(value: Any) -> Any:
    return wording(value) if isinstance(value, str) else value


WordingRef = Annotated[Wording | None, BeforeValidator(_by_name, json_schema_input_type=Wording | str | None)]
"""Field type: a wording, the mapping of its fields, or the name of a published checkpoint's."""
