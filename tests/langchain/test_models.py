from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from langchain_classic.retrievers.document_compressors.cross_encoder import BaseCrossEncoder
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableLambda
from tests.langchain.fakes import (
    AsyncBagOfWords,
    AsyncJudge,
    AsyncTextJudge,
    BagOfWords,
    Overlap,
    SyncJudge,
    TextJudge,
    yes_or_no,
)

from langchain_tamis import LangChainChat, LangChainCrossEncoder, LangChainEmbeddings, TamisCompressor
from langchain_tamis.models import as_cross_encoder, as_model
from tamis.errors import ConfigError, ModelError
from tamis.models import Function
from tamis.values.answers import Failure, Generated, Logprobs
from tamis.values.calls import ChoiceLogprobs, Classify, Embed, Generate, Message
from tamis.values.model import capabilities
from tamis.values.scale import LOGIT, UNKNOWN

MESSAGES = (Message("system", "be brief"), Message("user", '<passage number="1">\nan ISO date\n</passage>'))


def says(answer: Any) -> LangChainChat:
    return LangChainChat(SyncJudge(answer=lambda passages: answer))


def generated(model: LangChainChat, **more: Any) -> Any:
    return model.generate([Generate(model, MESSAGES, **more)])[0]


def test_messages_become_langchain_messages_and_the_reply_text() -> None:
    judge = SyncJudge(answer=lambda passages: "fine")
    assert generated(LangChainChat(judge)) == Generated("fine")
    (messages, options), *_ = judge.asked
    assert [type(message) for message in messages] == [SystemMessage, HumanMessage]
    assert [message.content for message in messages] == [message.content for message in MESSAGES]
    assert options == {}


def test_stop_words_and_bound_settings_reach_the_model() -> None:
    judge = SyncJudge(answer=lambda passages: "fine")
    generated(LangChainChat(judge.bind(max_tokens=7)), stop=("\n",))
    assert judge.asked[0][1] == {"stop": ["\n"], "max_tokens": 7}


def test_content_blocks_give_their_text_and_usage_is_reported() -> None:
    message = AIMessage(
        [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        usage_metadata={"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
    )
    answer = generated(says(message))
    assert answer == Generated("ab", tokens_in=5, tokens_out=2)
    assert type(answer.text) is str


@pytest.mark.parametrize(
    ("metadata", "complete"),
    [
        ({}, True),
        ({"finish_reason": "stop"}, True),
        ({"finish_reason": None}, True),
        ({"finish_reason": "length"}, False),
        ({"finish_reason": "MAX_TOKENS"}, False),
        ({"stop_reason": "max_tokens"}, False),
        ({"stopReason": "max_tokens"}, False),
        ({"done_reason": "length"}, False),
    ],
)
def test_an_answer_cut_by_the_output_limit_says_so(metadata: dict[str, Any], complete: bool) -> None:
    assert generated(says(AIMessage("text", response_metadata=metadata))).complete is complete


def test_a_content_filter_is_named() -> None:
    answer = generated(says(AIMessage("", response_metadata={"finish_reason": "content_filter"})))
    assert (answer.complete, answer.stopped_by) == (False, "content filter (finish reason: content_filter)")


def test_text_models_give_plain_strings() -> None:
    answer = generated(LangChainChat(TextJudge()))
    assert type(answer.text) is str
    assert '"relevance": 9' in answer.text


def test_a_runnable_that_gives_neither_text_nor_message_is_a_failure() -> None:
    answer = generated(LangChainChat(RunnableLambda(lambda messages: {"a": 1})))
    assert isinstance(answer, Failure)
    assert "dict" in answer.message


@pytest.mark.parametrize(
    ("llm", "native"),
    [
        (SyncJudge(), False),
        (AsyncJudge(), True),
        (SyncJudge().bind(a=1), False),
        (SyncJudge().bind(a=1).with_config(tags=["t"]), False),
        (SyncJudge().with_retry(), False),
        (AsyncJudge().bind(a=1), True),
        (AsyncJudge().with_retry(), True),
        (TextJudge(), False),
        (AsyncTextJudge(), True),
        (SyncJudge().with_fallbacks([SyncJudge()]), True),
    ],
)
async def test_only_a_model_with_its_own_async_method_is_asked_that_way(llm: Any, native: bool) -> None:
    model = LangChainChat(llm)
    assert hasattr(model, "agenerate") is hasattr(model, "achoice_logprobs") is native
    if native:
        (answer,) = await model.agenerate([Generate(model, MESSAGES)])  # type: ignore[attr-defined]
        assert '"relevance": 9' in answer.text


def test_logprobs_are_declared_when_asked_for_only() -> None:
    assert capabilities(LangChainChat(SyncJudge())) == ("generate",)
    assert capabilities(LangChainChat(SyncJudge(), logprobs=True)) == ("generate", "choice_logprobs")


def test_the_openai_classes_are_known_to_show_logprobs() -> None:
    known = type("ChatOpenAI", (SyncJudge,), {"__module__": "langchain_openai.chat_models.base"})
    assert "choice_logprobs" in capabilities(LangChainChat(known()))
    assert "choice_logprobs" in capabilities(LangChainChat(known().bind(max_tokens=1)))
    assert "choice_logprobs" not in capabilities(LangChainChat(known(), logprobs=False))


async def test_label_logprobs_come_from_the_first_output_position() -> None:
    judge = AsyncJudge(answer=yes_or_no)
    model = LangChainChat(judge, logprobs=True)
    call = ChoiceLogprobs(model, MESSAGES, ("Yes", "No", "Perhaps"))
    (answer,) = model.choice_logprobs([call])
    assert isinstance(answer, Logprobs)
    assert answer.values[:2] == pytest.approx((-0.1, -1.0))
    assert answer.values[2] == -math.inf
    assert (answer.tokens_in, answer.tokens_out) == (50, 1)
    assert judge.asked[0][1] == {"logprobs": True, "top_logprobs": 20}
    assert await model.achoice_logprobs([call]) == [answer]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"logprobs": None},
        {"logprobs": {"content": []}},
        {"logprobs": {"content": None}},
        {"logprobs": {"content": [{"top_logprobs": [{"token": "Yes"}]}]}},
        {"logprobs": {"content": [{"top_logprobs": [{"token": "Oui", "logprob": -0.1}]}]}},
    ],
)
def test_a_reply_without_logprobs_is_a_failure(metadata: dict[str, Any]) -> None:
    judge = SyncJudge(answer=lambda passages: AIMessage("Yes", response_metadata=metadata))
    model = LangChainChat(judge, logprobs=True)
    (answer,) = model.choice_logprobs([ChoiceLogprobs(model, MESSAGES, ("Yes", "No"))])
    assert isinstance(answer, Failure)
    assert answer.why == "malformed"


def test_a_string_has_no_logprobs() -> None:
    model = LangChainChat(TextJudge(), logprobs=True)
    assert isinstance(model.choice_logprobs([ChoiceLogprobs(model, MESSAGES, ("Yes", "No"))])[0], Failure)


def test_two_wrappers_share_no_cached_answers() -> None:
    judge = SyncJudge()
    one, two = LangChainChat(judge), LangChainChat(judge)
    assert one.cache_key.startswith("object:")
    assert one.cache_key != two.cache_key


def test_names_and_context_windows_are_taken_from_the_model() -> None:
    named = type("Named", (SyncJudge,), {"__annotations__": {"model": str}, "model": "judge-1"})
    assert LangChainChat(SyncJudge()).name == "SyncJudge"
    assert LangChainChat(named().bind(a=1)).name == "judge-1"
    assert LangChainChat(SyncJudge(), name="mine").name == "mine"
    assert LangChainChat(SyncJudge()).context_window is None
    profile = {"max_input_tokens": 8192}
    profiled = type("Profiled", (SyncJudge,), {"__annotations__": {"profile": Any}, "profile": profile})
    assert LangChainChat(profiled()).context_window == 8192


def test_wrappers_can_be_pickled_and_copied() -> None:
    for model in (LangChainChat(TextJudge()), LangChainChat(AsyncTextJudge())):
        for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert generated(other) == generated(model)
            assert hasattr(other, "agenerate") == hasattr(model, "agenerate")


async def test_embeddings_keep_the_order_of_mixed_calls() -> None:
    bag = AsyncBagOfWords()
    model = LangChainEmbeddings(bag)
    calls = [Embed(model, "one"), Embed(model, "what?", "query"), Embed(model, "two")]
    vectors = [list(vector.values) for vector in model.embed(calls)]
    assert vectors == [bag.embed_query(text) for text in ("one", "what?", "two")]
    assert [list(v.values) for v in await model.aembed(calls)] == vectors  # type: ignore[attr-defined]
    assert bag.batches == [2, 2]
    assert not hasattr(LangChainEmbeddings(BagOfWords()), "aembed")


def test_numpy_vectors_and_scores_become_python_floats() -> None:
    class Arrays(BagOfWords):
        def embed_documents(self, texts: list[str]) -> Any:
            return np.ones((len(texts), 3), dtype=np.float32)

    class Scores(BaseCrossEncoder):
        def score(self, text_pairs: Any) -> Any:
            return np.arange(len(text_pairs), dtype=np.float32)

    embedder = LangChainEmbeddings(Arrays())
    encoder = LangChainCrossEncoder(Scores())
    assert {type(x) for x in embedder.embed([Embed(embedder, "a")])[0].values} == {float}
    scores = encoder.classify([Classify(encoder, "q", "a"), Classify(encoder, "q", "b")])
    assert [score.value for score in scores] == [0.0, 1.0]
    assert type(scores[0].value) is float


def test_a_model_that_loses_results_is_an_error_and_not_a_shift() -> None:
    class Short(BagOfWords):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0]]

    class Fewer(BaseCrossEncoder):
        def score(self, text_pairs: Any) -> list[float]:
            return [1.0]

    embedder, encoder = LangChainEmbeddings(Short()), LangChainCrossEncoder(Fewer())
    with pytest.raises(ModelError, match="1 results for 2"):
        embedder.embed([Embed(embedder, "a"), Embed(embedder, "b")])
    with pytest.raises(ModelError, match="1 results for 2"):
        encoder.classify([Classify(encoder, "q", "a"), Classify(encoder, "q", "b")])


def test_a_cross_encoder_is_known_by_its_score_and_not_by_a_base_class() -> None:
    """langchain-classic had a base class of its own before langchain-core had one."""

    class OfClassic(BaseCrossEncoder):
        def score(self, text_pairs: Any) -> list[float]:
            return [float(len(text)) for _, text in text_pairs]

    class Ours:
        def score(self) -> None: ...

        def classify(self, calls: Sequence[Classify]) -> list[Any]:
            return []

    ours = Ours()
    assert isinstance(as_model(OfClassic()), LangChainCrossEncoder)
    assert isinstance(as_model(Overlap()), LangChainCrossEncoder)
    assert as_model(ours) is ours, "a tamis model stays one, whatever else it has"


class LengthAs:
    """Scores a passage by its length, and writes the scores in some form."""

    def __init__(self, form: Callable[[list[float]], Any]) -> None:
        self.form = form

    def score(self, text_pairs: Any) -> Any:
        return self.form([float(len(text)) for _, text in text_pairs])


FORMS: dict[str, Callable[[list[float]], Any]] = {
    "list": lambda scores: scores,
    "rows": lambda scores: [[score] for score in scores],
    "array": np.array,
    "column": lambda scores: np.array(scores, dtype=np.float32)[:, None],
    "scalars": lambda scores: [np.array(score) for score in scores],
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_scores_count_whatever_holds_them(form: Callable[[list[float]], Any]) -> None:
    found = [Document(text) for text in ("aa", "b", "cccc")]
    ranking = TamisCompressor("cross-encoder", cross_encoder=LengthAs(form)).rank(found, "q")
    assert [(ranked.text, ranked.score) for ranked in ranking.kept] == [("cccc", 4.0), ("aa", 2.0), ("b", 1.0)]
    assert not ranking.degraded


def test_several_scores_for_a_pair_are_an_error_that_counts_them() -> None:
    encoder = LangChainCrossEncoder(LengthAs(lambda scores: np.ones((len(scores), 2))))
    with pytest.raises(ModelError, match="gave 2 numbers for a pair"):
        encoder.classify([Classify(encoder, "q", "a")])


def test_what_is_given_as_a_cross_encoder_is_one_whatever_else_it_can_do() -> None:
    class Both(LengthAs):
        def embed(self, text: str) -> list[float]:
            return [1.0]

    found = [Document(text) for text in ("aa", "b", "cccc")]
    compressor = TamisCompressor("cross-encoder", cross_encoder=Both(FORMS["list"]))
    assert [document.page_content for document in compressor.compress_documents(found, "q")] == ["cccc", "aa", "b"]
    ours = Function(lambda call: float(len(call.text)), "classify")
    assert as_cross_encoder(ours) is ours


@pytest.mark.parametrize(
    ("pipeline", "given"),
    [
        ("cross-encoder", {"cross_encoder": Overlap}),
        ("cross-encoder", {"models": {"cross_encoder": Overlap}}),
        ("rankgpt", {"llm": SyncJudge}),
        ("embedding", {"embeddings": BagOfWords}),
    ],
)
def test_a_class_in_the_place_of_a_model_is_refused(pipeline: str, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"must be an object, got the class (\w+): write \1\(\.\.\.\)"):
        TamisCompressor(pipeline, **given)


def test_a_cross_encoder_declares_its_scale() -> None:
    assert LangChainCrossEncoder(Overlap()).scale == UNKNOWN
    assert LangChainCrossEncoder(Overlap(), scale=LOGIT).scale == LOGIT


def test_as_model_wraps_what_is_langchains_and_nothing_else() -> None:
    def kind(value: Any) -> type:
        return type(as_model(value))

    embeddings: Embeddings = BagOfWords()
    wrapped: Sequence[Any] = (LangChainChat(SyncJudge()), "a name")
    assert kind(SyncJudge()) is kind(TextJudge()) is kind(SyncJudge().bind(a=1)) is LangChainChat
    assert kind(embeddings) is LangChainEmbeddings
    assert kind(Overlap()) is LangChainCrossEncoder
    assert all(as_model(value) is value for value in wrapped)
