"""LlamaIndex models as tamis models."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, MessageRole
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.postprocessor.tamis import LlamaIndexEmbedding, LlamaIndexLLM
from llama_index.postprocessor.tamis.models import as_model

from llamaindex.doubles import BlockingLLM, HashedWords, LogprobLLM, NativeHashedWords, NativeLLM
from tamis.errors import ModelError
from tamis.values.answers import Failure
from tamis.values.calls import ChoiceLogprobs, Embed, Generate, Message
from tamis.values.model import capabilities

ASKED = (Message("system", "be brief"), Message("user", "how tall?"))


def test_a_chat_model_is_asked_in_roles():
    llm = NativeLLM(reply=lambda prompt: "8849 m")
    model = LlamaIndexLLM(llm)
    (answer,) = model.generate([Generate(model, ASKED)])
    assert answer.text == "8849 m"
    assert llm.asked == ["system: be brief\nuser: how tall?"]


def test_a_completion_model_is_asked_in_its_own_chat_template():
    llm = BlockingLLM(reply=lambda prompt: "8849 m", messages_to_prompt=lambda ms: "|".join(m.content for m in ms))
    model = LlamaIndexLLM(llm)
    (answer,) = model.generate([Generate(model, ASKED)])
    assert answer.text == "8849 m"
    assert llm.asked == ["be brief|how tall?"]
    assert llm.options == [{"formatted": True}]


def test_nothing_but_the_given_options_is_passed_to_the_llm():
    llm = NativeLLM(reply=lambda prompt: "")
    plain, warm = LlamaIndexLLM(llm), LlamaIndexLLM(llm, options={"temperature": 0.5})
    plain.generate([Generate(plain, ASKED, max_tokens=9, schema={"type": "object"})])
    warm.generate([Generate(warm, ASKED)])
    assert llm.options == [{}, {"temperature": 0.5}]


def test_the_system_role_is_the_one_the_llm_wants():
    class Cohere(NativeLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(is_chat_model=True, system_role=MessageRole.CHATBOT)

    llm = Cohere(reply=lambda prompt: "")
    model = LlamaIndexLLM(llm)
    model.generate([Generate(model, ASKED)])
    assert llm.asked[0].startswith("chatbot: be brief")


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"usage": {"prompt_tokens": 100, "completion_tokens": 7}}, (100, 7)),
        (SimpleNamespace(usage=SimpleNamespace(prompt_tokens=100, completion_tokens=7)), (100, 7)),
        ({"usage": SimpleNamespace(input_tokens=100, output_tokens=7)}, (100, 7)),
        ({"usage": None}, (None, None)),
        ("text", (None, None)),
        (None, (None, None)),
    ],
)
def test_usage_is_read_where_the_provider_tells_it(raw, told):
    class Telling(NativeLLM):
        def _answer(self, messages, options):
            return ChatResponse(message=ChatMessage(content="x"), raw=raw)

    model = LlamaIndexLLM(Telling(reply=str))
    (answer,) = model.generate([Generate(model, ASKED)])
    assert (answer.tokens_in, answer.tokens_out) == told


@pytest.mark.parametrize(
    ("raw", "complete", "stopped_by"),
    [
        (SimpleNamespace(choices=[SimpleNamespace(finish_reason="length")]), False, ""),
        ({"choices": [{"finish_reason": "stop"}]}, True, ""),
        ({"stop_reason": "max_tokens"}, False, ""),
        ({"candidates": [{"finish_reason": "SAFETY"}]}, False, "content filter (finish reason: safety)"),
        ({"choices": []}, True, ""),
        (None, True, ""),
    ],
)
def test_how_an_answer_ended_is_read_where_the_provider_tells_it(raw, complete, stopped_by):
    class Telling(NativeLLM):
        def _answer(self, messages, options):
            return ChatResponse(message=ChatMessage(content=None if stopped_by else "x"), raw=raw)

    model = LlamaIndexLLM(Telling(reply=str))
    (answer,) = model.generate([Generate(model, ASKED)])
    assert (answer.complete, answer.stopped_by) == (complete, stopped_by)


def test_an_answer_without_text_is_a_failure():
    class Silent(NativeLLM):
        def _answer(self, messages, options):
            return ChatResponse(message=ChatMessage(content=None))

    model = LlamaIndexLLM(Silent(reply=str))
    assert isinstance(model.generate([Generate(model, ASKED)])[0], Failure)


def test_async_methods_that_block_are_not_offered():
    for blocking in (BlockingLLM(reply=str), MockLLM(), BlockingLLM(reply=str, chats=True)):
        assert not hasattr(LlamaIndexLLM(blocking), "agenerate")
        assert not hasattr(LlamaIndexLLM(blocking), "achoice_logprobs")
    assert hasattr(LlamaIndexLLM(NativeLLM(reply=str)), "agenerate")
    assert hasattr(LlamaIndexLLM(BlockingLLM(reply=str), native_async=True), "agenerate")
    assert not hasattr(LlamaIndexLLM(NativeLLM(reply=str), native_async=False), "agenerate")


async def test_async_answers_are_the_sync_ones():
    model = LlamaIndexLLM(LogprobLLM(reply=lambda prompt: "-0.5"))
    written, asked = [Generate(model, ASKED)], [ChoiceLogprobs(model, ASKED, ("Yes", "No"))]
    assert await model.agenerate(written) == model.generate(written)
    assert await model.achoice_logprobs(asked) == model.choice_logprobs(asked)


def test_label_probabilities_come_from_the_first_position():
    llm = LogprobLLM(reply=lambda prompt: "-0.5")
    model = LlamaIndexLLM(llm)
    (answer,) = model.choice_logprobs([ChoiceLogprobs(model, ASKED, ("Yes", "No"))])
    assert answer.values == pytest.approx((-0.5, -1.0))
    assert (answer.tokens_in, answer.tokens_out) == (100, 7)
    assert llm.options == [{"logprobs": True, "top_logprobs": 20, "max_tokens": 1}]


def test_label_probabilities_are_declared_only_where_they_can_work():
    assert capabilities(LlamaIndexLLM(LogprobLLM(reply=str))) == ("generate", "choice_logprobs")
    assert capabilities(LlamaIndexLLM(NativeLLM(reply=str))) == ("generate",)
    assert capabilities(LlamaIndexLLM(NativeLLM(reply=str), logprobs=True)) == ("generate", "choice_logprobs")
    assert capabilities(LlamaIndexLLM(LogprobLLM(reply=str), logprobs=False)) == ("generate",)


def test_an_llm_that_shows_no_probabilities_after_all_is_a_failure():
    model = LlamaIndexLLM(NativeLLM(reply=lambda prompt: "Yes"), logprobs=True)
    (answer,) = model.choice_logprobs([ChoiceLogprobs(model, ASKED, ("Yes", "No"))])
    assert isinstance(answer, Failure)
    assert answer.why == "malformed"


def test_an_llm_tells_its_name_and_window():
    model = LlamaIndexLLM(NativeLLM(reply=str))
    assert (model.name, model.context_window, model.max_concurrency) == ("scripted", 100_000, 16)
    assert LlamaIndexLLM(MockLLM()).name == "MockLLM"


def test_cache_keys_belong_to_one_wrapper_and_stay_in_memory():
    llm, embedding = NativeLLM(reply=str), HashedWords()
    wrapped = [LlamaIndexLLM(llm), LlamaIndexLLM(llm), LlamaIndexEmbedding(embedding), LlamaIndexEmbedding(embedding)]
    assert len({model.cache_key for model in wrapped}) == 4
    assert all(model.cache_key.startswith("object:") for model in wrapped)


def test_queries_and_passages_are_embedded_by_their_own_methods_in_the_order_asked():
    embedding = HashedWords()
    model = LlamaIndexEmbedding(embedding)
    calls = [Embed(model, "a b"), Embed(model, "q", "query"), Embed(model, "c d")]
    assert [list(vector.values) for vector in model.embed(calls)] == [embedding.vector(t) for t in ("a b", "q", "c d")]
    assert embedding.queries == ["q"]
    assert embedding.texts == [["a b", "c d"]]
    assert all(type(value) is float for value in model.embed(calls)[0].values)


async def test_async_embeddings_are_the_sync_ones():
    model = LlamaIndexEmbedding(NativeHashedWords())
    calls = [Embed(model, "a b"), Embed(model, "q", "query")]
    assert await model.aembed(calls) == model.embed(calls)


def test_async_embedding_that_blocks_is_not_offered():
    assert not hasattr(LlamaIndexEmbedding(HashedWords()), "aembed")
    assert hasattr(LlamaIndexEmbedding(NativeHashedWords()), "aembed")
    assert hasattr(LlamaIndexEmbedding(HashedWords(), native_async=True), "aembed")


def test_an_embedding_model_batches_as_it_likes_to():
    model = LlamaIndexEmbedding(MockEmbedding(embed_dim=3, embed_batch_size=7))
    assert (model.max_batch, capabilities(model)) == (7, ("embed",))


def test_too_few_vectors_are_an_error_and_not_a_shift():
    class Short(HashedWords):
        def _get_text_embeddings(self, texts):
            return super()._get_text_embeddings(texts)[:-1]

    model = LlamaIndexEmbedding(Short())
    with pytest.raises(ModelError, match="1 results for 2"):
        model.embed([Embed(model, "a"), Embed(model, "b")])


def test_what_is_a_tamis_model_already_passes_through():
    model = LlamaIndexLLM(NativeLLM(reply=str))
    assert as_model(model) is model
    assert isinstance(as_model(NativeLLM(reply=str)), LlamaIndexLLM)
    assert isinstance(as_model(HashedWords()), LlamaIndexEmbedding)


def test_a_native_llm_can_be_used_from_several_event_loops():
    model = LlamaIndexLLM(NativeLLM(reply=lambda prompt: "x"))
    for _ in range(2):
        assert asyncio.run(model.agenerate([Generate(model, ASKED)]))[0].text == "x"
