"""What a model is to tamis: any object with a method for each kind of call it can answer.

A method takes a batch of calls and returns one answer (or `Failure`) per call, in the same order. An async twin with an
`a` in front (`agenerate`, ...) is used by the async driver when it is there. A model may raise: the engine retries what
is worth it (`ModelError.retryable`, rate limits, timeouts, server errors) and turns the rest into `Failure`s.

Optional attributes: `name` (for traces), `capabilities` (when having the method is not enough), `max_concurrency`
(batches at once, default 1), `max_batch` (calls per batch, default 1), `together(call)` (calls share a batch only where
it gives the same), `requests_per_minute` (batches) and `tokens_per_minute` (absent: any number), `context_window`
(tokens), `thinking_tokens` (output tokens in which it may think before each answer, on top of a call's `max_tokens`;
budgets and dry runs count them), `count_tokens(text)`, `images` (whether messages may carry pictures),
`allow_image_addresses` (`True`: also by their addresses, which are then opened; absent: only as `data:` URLs),
`max_length` (tokens after which an encoder cuts), `scale` (of the scores `classify`, `classify_vectors` and
`score_list` give), `architecture` (an `Architecture` or the name of a well-known model, for counting FLOPs; absent:
what `name` says), `cache_key` (a string that changes when answers may change; with `object:` in front, it is one live
object's and cached in memory only; absent: never cached).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from tamis.errors import CapabilityError, ConfigError
from tamis.parts.family import Family
from tamis.parts.plugins import normal
from tamis.text.tokens import estimate_tokens
from tamis.values.calls import CAPABILITIES, Capability


class _Models(Family):
    """Models are also given by the caller and called by name: a string is such a name. They share no base class: a
    model is what has a method for some kind of call."""

    def kin(self, value: Any) -> bool:
        return not isinstance(value, type) and bool(capabilities(value))

    def check(self, cls: type) -> None:
        if not any(hasattr(cls, name) or hasattr(cls, f"a{name}") for name in CAPABILITIES):
            raise ConfigError(f"is not a model: {cls.__qualname__} has no method called {', '.join(CAPABILITIES)}")
        super().check(cls)

    def validate(self, value: Any, context: Any) -> Any:
        if isinstance(value, Mapping):
            return self.build(value, context)
        if not isinstance(value, str):
            return an_object(value)
        given = (context or {}).get("models")
        if given is None:
            raise ConfigError(
                f"{value!r} is not a model: pass a model object such as tamis.models.OpenAIChat({value!r}), "
                "or tamis.load(..., models={name: model}) where a pipeline names its models"
            )
        if (name := normal(value)) in given:
            context["used"].add(name)
            return an_object(given[name])
        near = difflib.get_close_matches(name, given, n=1)
        found = f" Given: {', '.join(sorted(given))}." if given else ""
        found += f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"the pipeline asks for a model called {value!r} and none was given.{found} In Python pass "
            f"models={{{value!r}: model}}, or the argument that an adapter has for it; on the command line pass "
            f"-m '{value}={{KIND: NAME}}'. The kinds, by what a pipeline can ask of a model: {_kinds()}. In Python any "
            "object with a method of that name will do"
        )


MODELS = _Models(
    "model",
    None,
    "tamis.models",
    "model",
    "tamis.models",
    {"openai": "OpenAIChat", "sentence_transformer": "SentenceTransformerEmbedder", "seq2seq_lm": "Seq2SeqLM"},
)
ModelRef = Annotated[Any, *MODELS]
"""Field type: a model object, its plain data, or the name under which the caller gives it."""


def an_object(model: Any, name: str = "a model") -> Any:
    """`model`; `ConfigError` for a class, whose methods look like those of a model but have no object to work on."""
    if isinstance(model, type):
        raise ConfigError(f"{name} must be an object, got the class {model.__name__}: write {model.__name__}(...)")
    return model


def capabilities(model: Any) -> tuple[Capability, ...]:
    """What `model` can answer, sync or async."""
    declared = getattr(model, "capabilities", CAPABILITIES)
    return tuple(c for c in CAPABILITIES if c in declared and (hasattr(model, c) or hasattr(model, f"a{c}")))


def require(model: Any, capability: Capability, by: str) -> None:
    """Raise `CapabilityError` unless `model` can answer calls of this kind. Called where a stage is made."""
    if capability not in capabilities(model):
        able = ", ".join(capabilities(model)) or "none of tamis's capabilities"
        raise CapabilityError(
            f"{by} needs a model that can `{capability}`; {type(model).__name__} can: {able}. Models that can are in "
            f"tamis.models: {', '.join(cls.__name__ for cls in able_to(capability).values()) or 'none'}; any object "
            f"with {'an' if capability[0] in 'aeiou' else 'a'} `{capability}` method will do."
        )


def able_to(capability: Capability) -> dict[str, type]:
    """The kinds of models with a method for `capability`, by name. Without those that only count costs, and those of
    packages that cannot be used."""
    kinds: dict[str, type] = {}
    for name in MODELS.members:
        with suppress(ConfigError):
            cls = MODELS.resolve(name)
            if name != "cost_only" and (hasattr(cls, capability) or hasattr(cls, f"a{capability}")):
                kinds[name] = cls
    return kinds


def _kinds() -> str:
    known = {capability: ", ".join(able_to(capability)) for capability in CAPABILITIES}
    return "; ".join(f"`{capability}`: {names}" for capability, names in known.items() if names)


def token_counter(model: Any) -> Callable[[str], int]:
    """The model's own `count_tokens`, else an estimate."""
    return getattr(model, "count_tokens", None) or estimate_tokens
