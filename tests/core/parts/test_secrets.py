"""No error shows a secret."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tamis
from tamis.cli import options
from tamis.errors import TamisError
from tamis.models import OpenAIChat, RerankService
from tamis.parts.secrets import is_secret, masked, shown

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
secrets = st.text(ALPHABET, min_size=16, max_size=40).map(lambda text: f"sk-{text}")
CLASSES: dict[str, tuple[type, dict[str, Any]]] = {
    "openai": (OpenAIChat, {"model": "m", "base_url": "http://localhost:9/v1"}),
    "rerank_service": (RerankService, {"model": "m", "provider": "cohere"}),
}
wrong = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
holders = st.sampled_from(["api_key", "headers", "a list", "a number of headers", "beside"])


def with_secret(holder: str, secret: str) -> dict[str, Any]:
    return {
        "api_key": {"api_key": secret},
        "headers": {"headers": {"Authorization": secret}},
        "a list": {"api_key": [secret]},
        "a number of headers": {"headers": {"X": [secret], "Y": 5}},
        "beside": {"api_key": secret, "headers": {"X-Token": secret, "Y": secret}},
    }[holder]


@settings(deadline=None, max_examples=150)
@given(name=st.sampled_from(sorted(CLASSES)), secret=secrets, holder=holders, value=wrong, data=st.data())
def test_no_error_of_a_wrong_field_shows_the_secret_of_another(
    name: str, secret: str, holder: str, value: Any, data: st.DataObject
) -> None:
    cls, needed = CLASSES[name]
    fields = [field for field in cls.__dataclass_fields__ if field not in ("api_key", "headers")]
    field = data.draw(st.sampled_from([*fields, "api_kye", "bogus", "architecture"]))
    written = {**needed, **with_secret(holder, secret), field: value}
    pipelines: list[Any] = [
        [{"pointwise": {"model": {name: written}}}],
        [{"pointwise": {"model": {name: written}, "depht": 3, "depth": "x"}}],
        [{"pointwise": {"modell": {name: written}}}],
        [{"pointwise": [{name: written}]}],
        {name: written},
        [{"pointwise": {"model": {name: [written]}}}],
        [{"pointwise": {"model": {name: written, "other": written}}}],
        [{"top_n": written}],
        [[written]],
        {"stage": {"calibrate": {"artefact": written}}},
    ]
    for pipeline in pipelines:
        try:
            made = tamis.load(pipeline, allow="all")
        except TamisError as error:
            text = "".join(traceback.format_exception(error))
        else:
            text = f"{made!r} {made} {made.to_yaml()}"
        assert secret[3:] not in text
    try:
        text = repr(cls(**written))
    except Exception as error:
        text = str(error)
    assert secret[3:] not in text


@given(secrets)
def test_yaml_that_cannot_be_read_is_not_quoted(secret: str) -> None:
    for text in (f'api_key: "{secret}', f"api_key: {secret}\n  x: [", f"{secret}: *{'a'}", f"- !{secret[3:]} x\t\x00"):
        with pytest.raises(tamis.ConfigError) as refused:
            tamis.from_yaml(text)
        if not text.startswith("- !"):
            assert secret[3:] not in "".join(traceback.format_exception(refused.value))


def test_a_model_option_without_a_name_is_not_quoted() -> None:
    with pytest.raises(tamis.ConfigError, match="NAME=") as refused:
        options.models(["{openai: m, api_key: sk-ABCDEFGH}"])
    assert "ABCDEFGH" not in str(refused.value)


def test_a_key_in_place_of_the_name_of_a_variable_is_refused_unseen() -> None:
    with pytest.raises(tamis.ConfigError, match="api_key_env") as refused:
        tamis.load([{"listwise": {"model": {"openai": "m", "api_key_env": "sk-ABC-DEFGH"}}}], allow="all")
    assert "ABC" not in str(refused.value)


@given(secret=secrets, before=st.text(max_size=30), after=st.text(max_size=30), data=st.data())
def test_no_piece_of_eight_characters_of_a_secret_is_left(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    start, end = sorted((data.draw(st.integers(0, len(secret))), data.draw(st.integers(0, len(secret)))))
    text = masked(before + secret[start:end] + after, [secret])
    assert not any(secret[place : place + 8] in text for place in range(len(secret) - 7))
    assert masked("nothing of it", [secret]) == "nothing of it"


@pytest.mark.parametrize("name", ["api_key", "apiKey", "X-Api-Key", "headers", "Authorization", "token", "auth_token"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["max_tokens", "tokens_per_minute", "tokenizer", "passage_tokens", "keywords", "k"])
def test_names_of_no_secrets(name: str) -> None:
    assert not is_secret(name)


def test_a_container_is_shown_by_its_keys_alone() -> None:
    assert shown({"a": "secret", "b": 1}) == "a mapping with 'a', 'b'"
    assert shown(["secret"]) == "a list of 1"
    assert shown("https://user:secret@host/v1") == "'https://***@host/v1'"


def test_nothing_is_logged_where_a_model_is_made(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        OpenAIChat("m", api_key="sk-ABCDEFGH")
    assert "ABCDEFGH" not in caplog.text


KEYS = (
    "sk-SECRETSECRET1234",
    "hf_SECRETSECRETabcd",
    "xoxb-SECRETSECRET-1",
    "ghp_SECRETSECRET1234",
    "AKIASECRETSECRET1234",
    "eyJSECRETSECRET.eyJzdWIi.abc",
    "SECRETSECRET0123456789abcd",
)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "written",
    [
        "timeout: {}",
        "structured: {}",
        "{}: 1",
        "max_concurrency: [{}]",
        "headers: {{{}: 1}}",
        "context_window: {{{}: 1}}",
    ],
)
def test_no_error_shows_a_key_that_was_given_in_the_wrong_place(key: str, written: str) -> None:
    text = f"- pointwise: {{model: {{openai: {{model: m, {written.format(key)}}}}}}}"
    with pytest.raises(TamisError) as caught:
        tamis.from_yaml(text, allow="all")
    assert "SECRETSECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "mixedbread-ai/mxbai-rerank-large-v2",
        "cross-encoder/ms-marco-MiniLM-L-6-v2",
        "Qwen/Qwen3-Reranker-0.6B",
        "ibm-granite/granite-embedding-reranker-english-r2",
        "sentence-transformers/paraphrase-multilingual-mpnet-base-v2",
        "task-force, risk-averse",
        "http://localhost:8000/v1",
        "pairwise_ranking_prompting_all_pairs",
    ],
)
def test_ordinary_names_are_shown(name: str) -> None:
    assert shown(name) == repr(name)


def test_a_number_of_any_size_can_be_shown() -> None:
    assert shown(16**20_000) == "a number of 80,001 bits"
    with pytest.raises(TamisError, match="bits"):
        tamis.load([{"top_n": {"n": 16**20_000}}])
