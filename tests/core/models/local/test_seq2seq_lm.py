"""Seq2SeqLM against transformers itself, on a random T5; and monoT5, duoT5, UPR and ListT5 through it."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import pytest

from tamis import Pairwise, Pointwise, QueryLikelihood, Tournament
from tamis.judges import Labels, Permutation, Preference
from tamis.models import Seq2SeqLM
from tamis.parts.dump import dump
from tamis.schedules import AllPairs
from tamis.values.answers import Failure, Generated
from tamis.values.calls import ChoiceLogprobs, Generate, Message, PromptLogprobs
from tamis.values.model import MODELS, capabilities

pytest.importorskip("torch")
pytest.importorskip("transformers")

TEXTS = ["Query: a Relevant:", "Query: the tall Everest is Document: a soup of the tall Everest Relevant:", "true", "x"]


@pytest.fixture(scope="module")
def model(tiny_seq2seq_lm_folder: Path) -> Seq2SeqLM:
    return Seq2SeqLM(tiny_seq2seq_lm_folder, device="cpu")


@pytest.fixture(scope="module")
def reference(tiny_seq2seq_lm_folder: Path) -> Any:
    from transformers import AutoTokenizer, T5ForConditionalGeneration

    network = T5ForConditionalGeneration.from_pretrained(tiny_seq2seq_lm_folder).eval()
    return network, AutoTokenizer.from_pretrained(tiny_seq2seq_lm_folder)


def user(*texts: str) -> tuple[Message, ...]:
    return tuple(Message("user", text) for text in texts)


def log_probabilities(reference: Any, text: str, decoded: list[int]) -> Any:
    """(positions, vocabulary): what follows each position of the decoder, unpadded and alone."""
    import torch

    network, tokenizer = reference
    with torch.inference_mode():
        inputs = tokenizer(text, return_tensors="pt")
        return torch.log_softmax(network(**inputs, decoder_input_ids=torch.tensor([decoded])).logits[0], -1)


def test_labels_are_read_at_the_first_step_of_the_decoder(model: Seq2SeqLM, reference: Any) -> None:
    """One token each, as monoT5 has them; the same in a batch and alone."""
    tokenizer = reference[1]
    calls = [ChoiceLogprobs(model, user(text), ("true", "false")) for text in TEXTS]
    answers: list[Any] = model.choice_logprobs(calls)
    for text, call, answer in zip(TEXTS, calls, answers, strict=True):
        first = log_probabilities(reference, text, [0])[-1]
        ids = [tokenizer.convert_tokens_to_ids(token) for token in ("▁true", "▁false")]
        assert answer.values == pytest.approx(first[ids].tolist(), abs=1e-4)
        assert answer.tokens_in == len(tokenizer(text)["input_ids"])
        (alone,) = model.choice_logprobs([call])
        assert alone.values == pytest.approx(answer.values, abs=1e-5)  # type: ignore[union-attr]


def test_a_label_of_several_tokens_and_a_begun_answer(model: Seq2SeqLM, reference: Any) -> None:
    tokenizer = reference[1]
    long = tokenizer("soups", add_special_tokens=False)["input_ids"]
    begun = tokenizer("the tall", add_special_tokens=False)["input_ids"]
    assert len(long) > 1
    messages = (*user(TEXTS[1]), Message("assistant", "the tall"))
    answers: list[Any] = model.choice_logprobs(
        [ChoiceLogprobs(model, messages, ("true", "soups")), ChoiceLogprobs(model, user("x"), ("true", "soups"))]
    )
    after = log_probabilities(reference, TEXTS[1], [0, *begun, *long])
    places = range(len(begun), len(begun) + len(long))
    assert answers[0].values[1] == pytest.approx(
        math.fsum(after[place, token].item() for place, token in zip(places, long, strict=True)), abs=1e-4
    )


def test_a_continuation_is_the_decoders_text(model: Seq2SeqLM, reference: Any) -> None:
    tokenizer = reference[1]
    calls = [
        PromptLogprobs(model, text, f" {said}")
        for text, said in zip(TEXTS, ("the tall", "a", "true", "x"), strict=True)
    ]
    for call, answer in zip(calls, model.prompt_logprobs(calls), strict=True):
        ids = tokenizer(call.continuation, add_special_tokens=False)["input_ids"]
        found = log_probabilities(reference, call.prefix, [0, *ids])
        wanted = [found[place, token].item() for place, token in enumerate(ids)]
        assert answer.values == pytest.approx(wanted, abs=1e-4)  # type: ignore[union-attr]


def test_text_is_what_transformers_writes(model: Seq2SeqLM, reference: Any) -> None:
    network, tokenizer = reference
    answers: list[Any] = model.generate([Generate(model, user(text), max_tokens=6) for text in TEXTS])
    for text, answer in zip(TEXTS, answers, strict=True):
        ids = network.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=6, do_sample=False)[0][1:]
        assert answer.text == tokenizer.decode(ids, skip_special_tokens=True)
        assert answer.tokens_out <= 6


def test_fused_passages_do_not_see_each_other(tiny_seq2seq_lm_folder: Path, reference: Any) -> None:
    """Each is encoded alone, the decoder attends to all: what stacking the states by hand gives."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    network, tokenizer = reference
    model = Seq2SeqLM(tiny_seq2seq_lm_folder, device="cpu", fusion=True)
    with torch.inference_mode():
        states = [network.encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state for text in TEXTS]
        whole = BaseModelOutput(last_hidden_state=torch.cat(states, dim=1))
        logits = network(encoder_outputs=whole, decoder_input_ids=torch.tensor([[0]])).logits[0, -1]
        wanted = torch.log_softmax(logits, -1)[[tokenizer.convert_tokens_to_ids(f"▁{n}") for n in "12"]].tolist()
    few = ChoiceLogprobs(model, user(*TEXTS[:2]), ("1", "2"))
    fused, other = model.choice_logprobs([ChoiceLogprobs(model, user(*TEXTS), ("1", "2")), few])
    assert fused.values == pytest.approx(wanted, abs=1e-4)  # type: ignore[union-attr]
    assert other.values == pytest.approx(model.choice_logprobs([few])[0].values, abs=1e-5)  # type: ignore[union-attr]
    (alone,) = Seq2SeqLM(tiny_seq2seq_lm_folder, device="cpu").choice_logprobs([few])
    assert alone.values != pytest.approx(other.values, abs=1e-3)  # type: ignore[union-attr]


def test_a_text_that_does_not_fit_fails_alone(model: Seq2SeqLM) -> None:
    good, bad = model.choice_logprobs(
        [
            ChoiceLogprobs(model, user("a"), ("true", "false")),
            ChoiceLogprobs(model, user("a " * 300), ("true", "false")),
        ]
    )
    assert not isinstance(good, Failure)
    assert isinstance(bad, Failure)
    assert "takes 128 in all" in bad.message
    assert isinstance(model.generate([Generate(model, user("a " * 300))])[0], Failure)
    assert isinstance(model.generate([Generate(model, user("a " * 100), max_tokens=3)])[0], Generated)


def test_published_rerankers_of_the_family_run(model: Seq2SeqLM, tiny_seq2seq_lm_folder: Path) -> None:
    """monoT5, duoT5, UPR and ListT5 as their presets ask; random weights, so only that nothing is lost or degraded."""
    texts = ["a soup", "the tall Everest is tall", "Everest", "of the soup", "tall", "is"]
    fused = Seq2SeqLM(tiny_seq2seq_lm_folder, device="cpu", fusion=True)
    stages = (
        Pointwise(model, judge=Labels(("true", "false"), template="monot5", least_mass=0)),  # type: ignore[arg-type]
        Pairwise(
            model,
            schedule=AllPairs("soft"),
            judge=Preference(ties=False, names=("0", "1"), labels=("true", "false"), template="duot5", least_mass=0),  # type: ignore[arg-type]
        ),
        QueryLikelihood(model),
    )
    for stage in stages:
        ranking = stage.rerank("tall Everest", texts)
        assert not ranking.degraded, ranking.warnings
        assert sorted(ranking.positions) == list(range(6))
    judge = Permutation(template="listt5", worst_first=True)  # type: ignore[arg-type]
    listed = Tournament(fused, size=5, keep=2, judge=judge, top=3).rerank("tall Everest", texts)
    assert sorted(listed.positions) == list(range(6))
    assert listed.usage.failed == 0


def test_the_object(model: Seq2SeqLM, tiny_seq2seq_lm_folder: Path) -> None:
    assert capabilities(model) == ("generate", "choice_logprobs", "prompt_logprobs")
    assert model.context_window == 128
    assert model.architecture is not None
    assert model.architecture.kind == "encoder-decoder"
    data = {"seq2seq_lm": {"model": str(tiny_seq2seq_lm_folder), "fusion": True}}
    assert dump(MODELS.build(data)) == data
    assert pickle.loads(pickle.dumps(model)) == model
    with pytest.raises(ValueError, match=r"Seq2SeqLM\.of\(model, tokenizer\)"):
        Seq2SeqLM(object())
