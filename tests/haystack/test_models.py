"""Haystack components as tamis models."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from haystack.dataclasses import ChatMessage
from haystack_integrations.components.rankers.tamis import HaystackChat, HaystackTextEmbedder
from haystack_integrations.components.rankers.tamis.models import as_model

from tamis import Listwise, Pointwise
from tamis.errors import CapabilityError, ConfigError
from tamis.models.served.habits import THINKING_TOKENS
from tamis.values.answers import Failure, Generated, Vector
from tamis.values.calls import ChoiceLogprobs, Embed, Generate, Message
from tamis.values.model import capabilities

ASK = Generate(None, (Message("system", "be brief"), Message("user", "hello")), max_tokens=7, schema={"type": "object"})
CHOOSE = ChoiceLogprobs(None, ASK.messages, ("Yes", "No"))


class Generator:
    """Gives the reply it was made with and remembers what it was asked."""

    def __init__(self, text="hi", **meta):
        self.reply = ChatMessage.from_assistant(text, meta=meta) if text is not None else None
        self.asked = []

    def run(self, messages):
        self.asked.append(messages)
        return {"replies": [] if self.reply is None else [self.reply]}


class Settable(Generator):
    generation_kwargs = None

    def run(self, messages, generation_kwargs=None):
        self.kwargs = generation_kwargs
        return super().run(messages)


class Native(Generator):
    async def run_async(self, messages):
        return self.run(messages)


def test_messages_keep_their_roles_and_the_reply_its_text_and_usage():
    generator = Generator("42", usage={"prompt_tokens": 10, "completion_tokens": 2}, finish_reason="stop")
    assert HaystackChat(generator).generate([ASK]) == [Generated("42", tokens_in=10, tokens_out=2)]
    assert [(m.role.value, m.text) for m in generator.asked[0]] == [("system", "be brief"), ("user", "hello")]


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"total_tokens": 3}])
def test_a_reply_without_usage_counts_as_unreported(usage):
    (answer,) = HaystackChat(Generator("42", usage=usage)).generate([ASK])
    assert (answer.tokens_in, answer.tokens_out) == (None, None)


def test_usage_in_the_words_of_the_responses_api():
    (answer,) = HaystackChat(Generator("42", usage={"input_tokens": 5, "output_tokens": 1})).generate([ASK])
    assert (answer.tokens_in, answer.tokens_out) == (5, 1)


def test_a_reply_cut_at_the_token_limit_is_incomplete():
    (answer,) = HaystackChat(Generator("4", finish_reason="length")).generate([ASK])
    assert not answer.complete


def test_what_ended_a_reply_is_named():
    (answer,) = HaystackChat(Generator("4", finish_reason="content_filter")).generate([ASK])
    assert (answer.complete, answer.stopped_by) == (False, "content filter (finish reason: content_filter)")
    (answer,) = HaystackChat(Settable("", finish_reason="length"), forward=("max_tokens",)).generate([ASK])
    assert (answer.text, answer.complete, answer.limit) == ("", False, 7)


def test_a_model_that_thinks_is_forwarded_a_limit_that_has_room_for_it():
    generator = Settable("[2] > [1]")
    generator.model = "gpt-5-mini"
    model = HaystackChat(generator, forward=("max_tokens", "temperature"))
    ranking = Listwise(model).rerank("tall mountain", ["a recipe", "a mountain"])
    assert ranking.positions == (1, 0)
    assert generator.kwargs.keys() == {"max_completion_tokens"}
    assert generator.kwargs["max_completion_tokens"] > THINKING_TOKENS
    for budget, more in ((0, 0), (500, 500)):
        model = HaystackChat(generator, forward=("max_tokens",), thinking_budget=budget)
        Listwise(model).rerank("tall mountain", ["a recipe", "a mountain"])
        assert generator.kwargs["max_completion_tokens"] < 100 + more
    assert HaystackChat(generator).thinking_tokens is None
    with pytest.raises(ConfigError, match="thinking_budget"):
        HaystackChat(generator, forward=("max_tokens",), thinking_budget=-1)


def test_no_reply_and_a_reply_without_text_are_failures():
    (nothing,) = HaystackChat(Generator(None)).generate([ASK])
    generator = Generator()
    generator.reply = ChatMessage.from_assistant()
    (silent,) = HaystackChat(generator).generate([ASK])
    assert isinstance(nothing, Failure)
    assert isinstance(silent, Failure)


async def test_only_a_generator_with_run_async_is_asynchronous():
    assert not hasattr(HaystackChat(Generator()), "agenerate")
    assert await HaystackChat(Native("42")).agenerate([ASK]) == [Generated("42")]


def test_generation_kwargs_belong_to_the_generator():
    generator = Settable()
    HaystackChat(generator).generate([ASK])
    assert generator.kwargs is None


def test_settings_are_forwarded_when_asked_for():
    generator = Settable()
    HaystackChat(generator, forward=("max_tokens", "temperature", "response_format")).generate([ASK])
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    assert generator.kwargs == {"max_tokens": 7, "temperature": 0.0, "response_format": schema}
    HaystackChat(generator, forward=("response_format",)).generate([replace(ASK, schema=None)])
    assert generator.kwargs == {}


def test_forwarding_to_a_generator_that_takes_no_settings_is_an_error_at_once():
    with pytest.raises(ConfigError, match="takes no generation_kwargs"):
        HaystackChat(Generator(), forward=("max_tokens",))


def alternatives(**tokens):
    content = [{"token": "Yes", "top_logprobs": [{"token": t, "logprob": p} for t, p in tokens.items()]}]
    return {"content": content, "refusal": None}


def declaring(**meta):
    generator = Settable("Yes", **meta)
    generator.generation_kwargs = {"logprobs": True, "top_logprobs": 20}
    return generator


@pytest.mark.parametrize("streamed", [False, True])
def test_log_probabilities_are_read_where_the_generator_declares_them(streamed):
    shown = alternatives(Yes=-0.25, No=-1.5, Maybe=-4.0)
    model = HaystackChat(declaring(logprobs=[shown] if streamed else shown, usage={"prompt_tokens": 3}))
    assert capabilities(model) == ("generate", "choice_logprobs")
    (answer,) = model.choice_logprobs([CHOOSE])
    assert answer.values == pytest.approx((-0.25, -1.5))
    assert answer.tokens_in == 3


@pytest.mark.parametrize(
    "shown", [None, {}, [], {"content": []}, {"content": [{"token": "Yes"}]}, alternatives(Hm=-1.0)]
)
def test_missing_log_probabilities_are_a_failure(shown):
    (answer,) = HaystackChat(declaring(logprobs=shown)).choice_logprobs([CHOOSE])
    assert isinstance(answer, Failure)


def test_a_generator_without_log_probabilities_cannot_rank_by_them():
    with pytest.raises(CapabilityError, match="choice_logprobs"):
        Pointwise(HaystackChat(Generator()))


def test_a_pointwise_pipeline_ranks_by_them():
    ranking = Pointwise(HaystackChat(declaring(logprobs=alternatives(Yes=-0.25, No=-1.5)))).rerank("q", ["a"])
    assert ranking.kept[0].score == pytest.approx(math.exp(-0.25) / (math.exp(-0.25) + math.exp(-1.5)))


def test_models_are_told_apart_and_named():
    one, other = HaystackChat(Generator()), HaystackChat(Generator())
    assert one.cache_key != other.cache_key
    assert one.cache_key.startswith("object:")
    assert one.name == "Generator"
    assert one.max_concurrency == 16


@pytest.mark.parametrize(("wrap", "what"), [(HaystackChat, "chat generator"), (HaystackTextEmbedder, "text embedder")])
def test_anything_without_a_run_is_refused(wrap, what):
    with pytest.raises(ConfigError, match=f"str is not a {what}"):
        wrap("gpt")


class Embedder:
    def __init__(self, embedding):
        self.embedding = embedding

    def run(self, text):
        return {"embedding": self.embedding}


class NativeEmbedder(Embedder):
    async def run_async(self, text):
        return self.run(text)


async def test_embeddings_become_vectors_of_floats():
    assert HaystackTextEmbedder(Embedder([1, 2])).embed([Embed(None, "a")]) == [Vector((1.0, 2.0))]
    assert not hasattr(HaystackTextEmbedder(Embedder([1])), "aembed")
    assert await HaystackTextEmbedder(NativeEmbedder([3])).aembed([Embed(None, "a")]) == [Vector((3.0,))]


def test_no_embedding_is_a_failure():
    (answer,) = HaystackTextEmbedder(Embedder([])).embed([Embed(None, "a")])
    assert isinstance(answer, Failure)


def test_as_model_wraps_what_is_haystacks_and_nothing_else():
    class Odd:
        run = dict.fromkeys

    odd, ours = Odd(), HaystackChat(Generator())
    assert isinstance(as_model(Generator()), HaystackChat)
    assert isinstance(as_model(Embedder([1.0])), HaystackTextEmbedder)
    assert all(as_model(value) is value for value in (odd, ours, "a name", None))
