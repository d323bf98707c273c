"""A prompt as data, for checkpoints that know only the wording they were trained with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from tamis.checkpoints.published import CHECKPOINTS, Published, every, made, published
from tamis.errors import ConfigError
from tamis.parts.part import part, unknown
from tamis.prompts.harmless import neutralise
from tamis.prompts.hints import hints
from tamis.text.tokens import truncate
from tamis.values.calls import Message
from tamis.values.model import token_counter
from tamis.values.ranking import Query

PLACE = re.compile(r"(\{[a-z]+\})")
KNOWN = ("query", "instruction", "passage", "passages", "count", "name", "title", "hints")
OPTIONAL = ("instruction", "hints")
"""Places whose line is left out where there is nothing to fill them with."""
ALL = "{passages}"


@part
class Template:
    """The turns of a prompt, with places to fill: `{query}`, `{instruction}` (the asker's, else `default`),
    `{passages}` (all shown, each as `passage` says, with `between` in between), `{passage}` (the only one), `{count}`
    and, inside `passage`, `{name}` (its number or letter) and `{title}` (where the judge gives titles apart); beside
    `{passage}` also `{hints}`, those of its words that are nearest in meaning to the query's (`judges.hints`).

    A turn that is empty is left out; `assistant` begins the answer. A line with `{instruction}` or `{hints}` is left
    out where there are none. `apart`: each passage is a user turn of its own, after the part of `user` in front of
    `{passages}` (answered by `ready`) and before the part after it; each is answered by `received`, where that is
    given. `one_line`: white space in passages becomes single spaces.

    What is filled in is never looked at again, so a `{query}` inside a passage stays text. Braces that are no known
    place must not be words in braces. `templates()` lists those of published checkpoints; a judge takes their names.

    >>> Template("Query: {query} Document: {passage} Relevant:").messages(None, Query("q"), ["d"], ["1"], 10)[0].content
    'Query: q Document: d Relevant:'
    """

    user: str
    system: str = ""
    assistant: str = ""
    passage: str = "[{name}] {passage}"
    between: str = "\n"
    default: str = "Given a web search query, retrieve relevant passages that answer the query"
    apart: bool = False
    ready: str = ""
    received: str = ""
    one_line: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        whole = "".join((self.user, self.system, self.assistant, self.passage, self.ready, self.received))
        for place in PLACE.findall(whole):
            if place[1:-1] not in KNOWN:
                raise ConfigError(f"a template may hold {', '.join(f'{{{k}}}' for k in KNOWN)}, not {place}")
        if not any(place in self.user for place in ("{passage}", ALL)) or "{query}" not in whole:
            raise ConfigError(
                f"a template must hold {{query}}, and its user turn {{passage}} or {{passages}}: {self.user!r}"
            )
        if self.apart and self.user.count(ALL) != 1:
            raise ConfigError(f"with passages apart the user turn must hold {{passages}} once: {self.user!r}")

    def messages(
        self,
        model: Any,
        query: Query,
        texts: Sequence[str],
        names: Sequence[str],
        max_tokens: int,
        titles: Sequence[str] = (),
    ) -> tuple[Message, ...]:
        """The turns for these passages, each cut to `max_tokens` tokens and made harmless."""
        count = token_counter(model)
        values = {
            "query": neutralise(query.text),
            "instruction": neutralise(query.instruction or self.default),
            "count": str(len(texts)),
            "passage": "",
            "hints": "",
        }
        named = [
            {**values, "name": name, "title": neutralise(title), **self._of(query.text, text, max_tokens, count)}
            for name, text, title in zip(names, texts, titles or [""] * len(texts), strict=True)
        ]
        shown = [_filled(self.passage, value) for value in named]
        user: list[tuple[str, str]]
        if self.apart:
            before, _, after = self.user.partition(ALL)
            user = [("user", _filled(before, values)), ("assistant", self.ready if before else "")]
            for text, value in zip(shown, named, strict=True):
                user += [("user", text), ("assistant", _filled(self.received, value))]
            user.append(("user", _filled(after, values)))
        else:
            only = named[0] if named else values
            user = [("user", _filled(self.user, {**only, "passages": self.between.join(shown)}))]
        turns = [("system", _filled(self.system, values)), *user, ("assistant", _filled(self.assistant, values))]
        return tuple(Message(role, turn) for role, turn in turns if turn)  # type: ignore[arg-type]

    def _of(self, query: str, text: str, max_tokens: int, count: Callable[[str], int]) -> dict[str, str]:
        """What is shown of one passage."""
        passage = neutralise(truncate(" ".join(text.split()) if self.one_line else text, max_tokens, count))
        hinted = any("{hints}" in turn for turn in (self.user, self.passage))
        return {"passage": passage, "hints": " ".join(hints(query, passage)) if hinted else ""}


def _filled(turn: str, values: Mapping[str, str]) -> str:
    """`turn` with its places filled; each piece is looked at once."""
    empty = [f"{{{name}}}" for name in OPTIONAL if not values[name]]
    kept = (line for line in turn.splitlines(keepends=True) if not any(place in line for place in empty))
    pieces = PLACE.split("".join(kept))
    return "".join(values.get(piece[1:-1], piece) if PLACE.fullmatch(piece) else piece for piece in pieces)


def templates() -> dict[str, str]:
    """The templates of published checkpoints: name, and where the wording was published."""
    return {name: template.source for name, template in every(_template).items()}


def template(name: str) -> Template:
    """The wording a published checkpoint was trained with. `ConfigError` for an unknown name.

    >>> template("monot5").user
    'Query: {query} Document: {passage} Relevant:'
    """
    found = _template(published(name)) if name in CHECKPOINTS else None
    if found is None:
        raise ConfigError(unknown("template", name, templates()) + " For another, state its turns: Template(user=...).")
    return found


def _template(file: Published) -> Template | None:
    return None if file.template is None else made(file.path, "template", Template, file.template)


def _by_name(value: Any) -> Any:
    return template(value) if isinstance(value, str) else value


TemplateRef = Annotated[Template | None, BeforeValidator(_by_name, json_schema_input_type=Template | str | None)]
"""Field type: a template, the mapping of its fields, or the name of a published checkpoint's."""
