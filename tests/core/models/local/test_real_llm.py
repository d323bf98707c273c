"""OpenAIChat with a real, very small language model behind llama.cpp: the protocol, not the quality."""

from __future__ import annotations

import asyncio
import json
import math

import pytest

from tamis.errors import ModelError
from tamis.models import OpenAIChat
from tamis.values.answers import Generated
from tamis.values.calls import ChoiceLogprobs, Generate, Message

pytestmark = pytest.mark.model
pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def model(llm_server):
    return OpenAIChat(llm_server.model, base_url=llm_server.url, timeout=300, max_concurrency=2)


def user(text):
    return (Message("user", text),)


def test_it_writes(model):
    (answer,) = model.generate([Generate(model, user("Tell me a long story about France."), max_tokens=5)])
    assert isinstance(answer, Generated)
    assert answer.text
    assert not answer.complete
    assert answer.tokens_out == 5
    assert answer.tokens_in > 8


def test_yes_and_no_have_probabilities(model):
    question = (
        "Passage: Mount Everest is 8,849 m tall. Question: How tall is Mount Everest? Does the passage answer it?"
    )
    call = ChoiceLogprobs(model, user(f"{question} Answer Yes or No."), ("Yes", "No"))
    (answer,) = model.choice_logprobs([call])
    assert all(value < 0 for value in answer.values)
    assert 0.01 < math.fsum(map(math.exp, answer.values)) <= 1.0 + 1e-6
    (again,) = asyncio.run(model.achoice_logprobs([call]))
    assert again.values == pytest.approx(answer.values, abs=0.05)


def test_a_schema_is_obeyed(model):
    schema = {
        "type": "object",
        "properties": {"relevant": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 3}},
        "required": ["relevant", "score"],
        "additionalProperties": False,
    }
    (answer,) = model.generate([Generate(model, user("Is water wet? Answer in JSON."), max_tokens=60, schema=schema)])
    data = json.loads(answer.text)
    assert set(data) == {"relevant", "score"}
    assert isinstance(data["relevant"], bool)
    assert 0 <= data["score"] <= 3
    assert model._dialect.format == "json_schema"


def test_a_prompt_that_does_not_fit_is_an_error_with_the_reason(model):
    with pytest.raises(ModelError, match="HTTP 400") as caught:
        model.generate([Generate(model, user("word " * 6000), max_tokens=8)])
    assert not caught.value.retryable
