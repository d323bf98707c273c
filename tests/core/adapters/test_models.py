"""A framework's model as a tamis model: what the wrappers of every framework share."""

from __future__ import annotations

import copy
import math
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamis import Embedding, Engine, Pointwise, load
from tamis.adapters.models import (
    ChatModel,
    EmbeddingModel,
    LiveModel,
    Reply,
    Role,
    name_of,
    named,
    top_tokens,
    usage_of,
)
from tamis.errors import ConfigError, ModelError
from tamis.values.answers import Failure, Generated, Logprobs
from tamis.values.calls import ChoiceLogprobs, Embed, Generate, Message
from tamis.values.model import capabilities

ASKED = (Message("user", "is it tall?"),)


class Chat(ChatModel):
    """Replies with what it was made with."""

    def __init__(self, reply: Reply | Failure, *, logprobs: bool = True, native_async: bool = False, **about: Any):
        super().__init__("inner", logprobs=logprobs, native_async=native_async, **about)
        self.reply = reply

    def _ask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure:
        return self.reply

    async def _aask(self, call: Generate | ChoiceLogprobs) -> Reply | Failure:
        return self.reply


class Letters(EmbeddingModel):
    """A vector per text: its length and whether it was embedded as a query. `lost`: vectors it leaves out."""

    def __init__(self, *, native_async: bool = False, lost: int = 0, **about: Any) -> None:
        super().__init__("inner", native_async=native_async, max_batch=8, **about)
        self.lost = lost
        self.asked: list[tuple[Role, int]] = []

    def _embed(self, texts: list[str], role: Role) -> list[list[float]]:
        self.asked.append((role, len(texts)))
        return [[float(len(text)), float(role == "query")] for text in texts][self.lost :]

    async def _aembed(self, texts: list[str], role: Role) -> list[list[float]]:
        return self._embed(texts, role)


replies = st.one_of(
    st.builds(
        Reply,
        st.one_of(st.none(), st.text()),
        st.booleans(),
        st.lists(st.tuples(st.sampled_from(["Yes", " no", "x"]), st.floats(-9, 0)), max_size=3),
        st.one_of(st.none(), st.integers(0, 9)),
        st.one_of(st.none(), st.integers(0, 9)),
    ),
    st.just(Failure("malformed", "no reply")),
)


@given(reply=replies)
async def test_async_answers_are_the_sync_ones_and_keep_what_the_reply_says(reply: Reply | Failure) -> None:
    model = Chat(reply, native_async=True)
    text, choice = [Generate(model, ASKED)], [ChoiceLogprobs(model, ASKED, ("Yes", "No"))]
    (answer,), (chosen,) = model.generate(text), model.choice_logprobs(choice)
    assert await model.agenerate(text) == [answer]
    assert await model.achoice_logprobs(choice) == [chosen]
    if isinstance(reply, Failure):
        assert answer == chosen == reply
        return
    tokens = {"tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out}
    if reply.text is None and reply.complete:
        assert isinstance(answer, Failure)
    else:
        assert answer == Generated(reply.text or "", reply.complete, **tokens)
    assert isinstance(chosen, Logprobs) is any(token.strip().lower() in ("yes", "no") for token, _ in reply.top)
    if isinstance(chosen, Logprobs):
        assert (chosen.tokens_in, chosen.tokens_out) == (reply.tokens_in, reply.tokens_out)


def test_what_a_model_cannot_do_is_not_there() -> None:
    silent = Chat(Reply("x"), logprobs=False)
    assert capabilities(silent) == ("generate",)
    assert capabilities(Chat(Reply("x"))) == ("generate", "choice_logprobs")
    for blocking in (silent, Letters()):
        assert not any(hasattr(blocking, name) for name in ("agenerate", "achoice_logprobs", "aembed"))
    with pytest.raises(TypeError, match="choice_logprobs"):
        Pointwise(silent)


def test_a_copy_asks_its_own_object() -> None:
    model = Chat(Reply("one"), native_async=True)
    twin = copy.copy(model)
    twin.reply = Reply("two")
    assert twin.agenerate.__self__ is twin  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(model)).generate([Generate(None, ASKED)])[0].text == "one"


@given(roles=st.lists(st.sampled_from(["query", "passage"]), max_size=9), native_async=st.booleans())
async def test_vectors_come_in_the_order_of_the_calls(roles: list[Role], native_async: bool) -> None:
    model = Letters(native_async=native_async)
    calls = [Embed(model, "x" * n, role) for n, role in enumerate(roles)]
    expected = [(float(n), float(role == "query")) for n, role in enumerate(roles)]
    answers = await model.aembed(calls) if native_async else model.embed(calls)
    assert [getattr(answer, "values", answer) for answer in answers] == expected
    assert len(model.asked) == len(set(roles)), "one request per role, none for a role that does not occur"


def test_a_missing_vector_is_an_error_and_never_a_shift() -> None:
    model = Letters(lost=1)
    with pytest.raises(ModelError, match="str gave 1 results for 2 texts"):
        model.embed([Embed(model, "a"), Embed(model, "b")])
    ranking = Engine(retries=0).rerank(Embedding(model), "q", ["a", "bb"])
    assert ranking.degraded
    assert [ranked.score for ranked in ranking.kept] == [None, None]


@pytest.mark.parametrize("vector", [None, [], "text", [None], [{}]], ids=repr)
def test_a_vector_that_is_none_is_a_failure_of_that_text_alone(vector: Any) -> None:
    class Odd(Letters):
        def _embed(self, texts: list[str], role: Role) -> list[Any]:
            return [vector if text == "odd" else [1.0] for text in texts]

    model = Odd()
    odd, good = model.embed([Embed(model, "odd"), Embed(model, "good")])
    assert isinstance(odd, Failure)
    assert good.values == (1.0,)  # type: ignore[union-attr]


def test_keys_are_of_one_wrapper_and_in_memory_only_unless_the_caller_gives_one() -> None:
    inner = object()
    one, other = LiveModel(inner), LiveModel(inner)
    assert one.cache_key != other.cache_key
    assert all(model.cache_key.startswith("object:") for model in (one, other))
    assert LiveModel(inner, cache_key="gpt-4o-mini-2024-07-18, T=0").cache_key == "gpt-4o-mini-2024-07-18, T=0"


@pytest.mark.parametrize("key", ["", " ", 3, b"key"], ids=repr)
def test_a_key_is_a_string_that_says_something(key: Any) -> None:
    with pytest.raises(ConfigError, match="cache_key"):
        LiveModel("inner", cache_key=key)


@pytest.mark.parametrize("value", [0, -1, 1.5, "4", True], ids=repr)
def test_a_concurrency_is_a_whole_number_above_0(value: Any) -> None:
    with pytest.raises(ConfigError, match="max_concurrency"):
        LiveModel("inner", max_concurrency=value)


def test_a_model_is_called_what_it_calls_itself() -> None:
    assert name_of(SimpleNamespace(model_name="gpt", model="other")) == "gpt"
    assert name_of(SimpleNamespace(model_name="unknown", model="other")) == "other"
    assert name_of(SimpleNamespace(model=object()), SimpleNamespace(model_name=" ")) == "SimpleNamespace"
    assert name_of(SimpleNamespace(model_name="unknown"), SimpleNamespace(model="inner")) == "inner"


def test_models_are_wrapped_under_the_names_pipelines_use() -> None:
    assert named({"b": 2}, str, a=1, c=None) == {"a": "1", "b": "2"}
    assert named(None, str) == {}
    with pytest.raises(ConfigError, match="given twice.*: a. Leave one out"):
        named({"a": 2}, str, a=1)
    with pytest.raises(ConfigError, match="models must map names to models"):
        named(["a"], str)


def test_a_class_is_no_model_wherever_it_is_given() -> None:
    class Model:
        def embed(self, calls: Any) -> list[Any]:
            return []

    for make in (
        lambda: named({"embedder": Model}, lambda model: model),
        lambda: named(None, lambda model: model, embedder=Model),
        lambda: Embedding(Model),
        lambda: load("embedding", models={"embedder": Model}),
        lambda: load([{"embedding": {"model": Model}}]),
    ):
        with pytest.raises(ConfigError, match=r"must be an object, got the class Model: write Model\(\.\.\.\)"):
            make()


@pytest.mark.parametrize(
    "shown",
    [
        {"content": [{"top_logprobs": [{"token": "Yes", "logprob": -1}]}]},
        [{"content": [{"top_logprobs": [{"token": "Yes", "logprob": -1}, {"token": "No", "logprob": None}]}]}],
    ],
    ids=["whole", "streamed"],
)
def test_top_tokens_are_those_of_the_first_position(shown: Any) -> None:
    assert top_tokens(shown) == [("Yes", -1.0)]


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["content", "top_logprobs", "token", "logprob", "usage"]), inner),
    ),
)


@given(shown=anything)
def test_top_tokens_of_anything_else_are_none_and_never_an_error(shown: Any) -> None:
    for token, logprob in top_tokens(shown):
        assert isinstance(token, str)
        assert isinstance(logprob, float)
    assert set(usage_of(shown)) == {"tokens_in", "tokens_out"}


@pytest.mark.parametrize("first", [("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")])
@pytest.mark.parametrize("kind", [dict, SimpleNamespace])
def test_usage_is_read_in_both_vocabularies_from_mappings_and_objects(first: tuple[str, str], kind: Any) -> None:
    assert usage_of(kind(**dict(zip(first, (12, 3), strict=True)))) == {"tokens_in": 12, "tokens_out": 3}
    assert usage_of(None) == {"tokens_in": None, "tokens_out": None}


def test_label_log_probabilities_add_up_to_what_the_tokens_say() -> None:
    model = Chat(Reply("Yes", top=[("Yes", math.log(0.5)), (" yes", math.log(0.25)), ("No", math.log(0.25))]))
    (answer,) = model.choice_logprobs([ChoiceLogprobs(model, ASKED, ("Yes", "No"))])
    assert isinstance(answer, Logprobs)
    assert [math.exp(value) for value in answer.values] == pytest.approx([0.75, 0.25])
