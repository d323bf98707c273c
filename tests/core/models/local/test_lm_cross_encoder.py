"""Decoders and encoder-decoders as classifiers, against the whole logits of transformers, on random models."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.examples import examples
from tamis import CrossEncoder, models
from tamis.errors import ConfigError
from tamis.parts.dump import dump
from tamis.prompts.template import template
from tamis.prompts.wordings import Wording, wording, wording_for
from tamis.values.answers import Failure, Score
from tamis.values.calls import Classify
from tamis.values.model import MODELS
from tamis.values.ranking import Query
from tamis.values.scale import LOGIT

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

QUERY = "how tall is it?"
TEXTS = ["it is tall", "a recipe " * 9, "z", "(see the document)", "a passage about a document: relevant. " * 3]
ROOM = 420
DECODERS = ["qwen3-reranker", "mxbai-rerank-v2", "zerank", "bge-reranker-gemma"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    from support.tiny_models import tiny_causal_lm

    return tiny_causal_lm(tmp_path_factory.mktemp("decoder"), window=512)


def scores(model, texts=TEXTS, query=QUERY):
    return [answer.value for answer in model.classify([Classify(model, query, text) for text in texts])]


def published(name, query, text):
    """What the code published with the model reads: pieces that it tokenises one by one, before they are joined."""
    chat = "<|im_end|>\n<|im_start|>assistant\n"
    if name == "qwen3-reranker":
        golden = template(name).messages(None, Query(query), [text], ["1"], 10_000)
        system, user, begun = (message.content for message in golden)
        return [f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n", user, chat + begun]
    if name == "mxbai-rerank-v2":
        golden = template(name).messages(None, Query(query), [text], ["1"], 10_000)
        system, user = (message.content for message in golden)
        asked, document, task = user.split("\n", 2)
        return [f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n", asked, "\n", document, "\n", task, chat]
    if name == "zerank":
        return [f"<|im_start|>system\n{query}<|im_end|>\n<|im_start|>user\n{text}{chat}"]
    assert name == "bge-reranker-gemma"
    return [f"A: {query}", "\n", f"B: {text}", "\n", wording(name).after[-1]]


def whole(folder, name, query, text):
    """The score by the whole logits of the plain model, one pair at a time."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = [tokenizer.bos_token_id] if name == "bge-reranker-gemma" else []
    for piece in published(name, query, text):
        ids += tokenizer(piece, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = network(torch.tensor([ids])).logits[0, -1]
    token = {
        label: tokenizer(label, add_special_tokens=False)["input_ids"][0] for label in ("yes", "no", "Yes", "1", "0")
    }
    values = {label: logits[number].item() for label, number in token.items()}
    return {
        "qwen3-reranker": values["yes"] - values["no"],
        "mxbai-rerank-v2": values["1"] - values["0"],
        "zerank": values["Yes"] / 5,
        "bge-reranker-gemma": values["Yes"],
    }[name], len(ids)


@pytest.mark.parametrize("name", DECODERS)
def test_the_score_is_that_of_the_whole_model(decoder, name):
    model = models.LMCrossEncoder(decoder, name, device="cpu", max_length=512)
    expected = [whole(decoder, name, QUERY, text) for text in TEXTS]
    answers = model.classify([Classify(model, QUERY, text) for text in TEXTS])
    assert [answer.value for answer in answers] == pytest.approx([value for value, _ in expected], abs=1e-4)
    assert [answer.tokens_in for answer in answers] == [length for _, length in expected]
    assert len({round(answer.value, 3) for answer in answers}) == len(TEXTS)


@pytest.mark.parametrize("name", DECODERS)
def test_a_batch_gives_what_single_calls_give(decoder, name):
    model = models.LMCrossEncoder(decoder, name, device="cpu", max_length=512, batch_tokens=10_000)
    mixed = [Classify(model, query, text) for query in (QUERY, "what?") for text in TEXTS]
    together = [answer.value for answer in model.classify(mixed)]
    assert together == pytest.approx([model.classify([call])[0].value for call in mixed], abs=1e-4)


def test_only_the_labels_rows_are_kept_and_the_given_model_stays_whole(decoder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(decoder)
    network = transformers.AutoModelForCausalLM.from_pretrained(decoder)
    model = models.LMCrossEncoder.of(network, tokenizer, wording="qwen3-reranker", max_length=512)
    expected = scores(models.LMCrossEncoder(decoder, "qwen3-reranker", device="cpu", max_length=512))
    assert scores(model) == pytest.approx(expected, abs=1e-4)
    assert model._network.get_output_embeddings().weight.shape == (2, 32)
    assert network.get_output_embeddings().weight.shape == (len(tokenizer), 32)
    assert model.cache_key is None
    with pytest.raises(ValueError, match="needs its tokenizer"):
        models.LMCrossEncoder(network, "zerank")


@pytest.mark.parametrize("kind", ["Qwen3", "Gemma2", "Gemma", "Mistral"])
def test_families_that_keep_keys_and_scale_logits_in_other_ways(tmp_path, decoder, kind):
    """Gemma 2 squashes its logits and slides its windows, Gemma ties input and output."""
    config = getattr(transformers, f"{kind}Config")(
        **{"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8},
        **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512},
        **{"initializer_range": 0.3, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 1, "sliding_window": 64},
    )
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(decoder).save_pretrained(tmp_path)
    model = models.LMCrossEncoder(tmp_path, "mxbai-rerank-v2", device="cpu", max_length=512)
    expected = [whole(tmp_path, "mxbai-rerank-v2", QUERY, text)[0] for text in TEXTS]
    assert scores(model) == pytest.approx(expected, abs=1e-4)


def test_what_stands_before_the_passage_is_read_once(decoder):
    model = models.LMCrossEncoder(decoder, "qwen3-reranker", device="cpu", max_length=512)
    read = []
    handle = model._network.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    answers = model.classify([Classify(model, QUERY, text) for text in TEXTS])
    handle.remove()
    front = len(model._front(QUERY))
    assert read[0] == front
    assert sum(read) < sum(answer.tokens_in for answer in answers) / 2


def test_a_long_passage_loses_its_end_and_never_the_question(decoder):
    model = models.LMCrossEncoder(decoder, "qwen3-reranker", device="cpu", max_length=ROOM)
    long, longer = "a passage " * 300, "a passage " * 9000
    answers = model.classify([Classify(model, QUERY, long), Classify(model, QUERY, longer)])
    assert [answer.tokens_in for answer in answers] == [ROOM, ROOM]
    assert answers[0].value == pytest.approx(answers[1].value, abs=1e-4)
    cut = model._tokenizer.decode(
        model._passages.tokens([" " + long], 1000)[0][: ROOM - len(model._front(QUERY)) - len(model._back)]
    )
    assert answers[0].value == pytest.approx(whole(decoder, "qwen3-reranker", QUERY, cut.strip())[0], abs=1e-4)


def test_the_query_says_what_relevant_means(decoder):
    model = models.LMCrossEncoder(decoder, "qwen3-reranker", device="cpu", instruction="Prefer feet.")
    asked = Query(QUERY, instruction="Prefer metres.")
    by_query, by_model = ([r.score for r in CrossEncoder(model).rerank(q, TEXTS).kept] for q in (asked, QUERY))
    told = models.LMCrossEncoder(decoder, "qwen3-reranker", device="cpu", instruction="Prefer metres.")
    assert by_query == pytest.approx(sorted(scores(told), reverse=True), abs=1e-5)
    assert by_model == pytest.approx(sorted(scores(model), reverse=True), abs=1e-5)
    assert by_query != by_model
    both = model.classify([Classify(model, QUERY, "a"), Classify(model, QUERY, "a", "Prefer metres.")])
    assert both[0].value != both[1].value, "one batch, two instructions"


def test_a_query_that_leaves_no_room_fails_alone(decoder):
    model = models.LMCrossEncoder(decoder, "qwen3-reranker", device="cpu", max_length=ROOM)
    bad, good = model.classify([Classify(model, "why " * 500, "a"), Classify(model, QUERY, "a")])
    assert isinstance(bad, Failure)
    assert "max_length" in bad.message
    assert isinstance(good, Score)


def test_control_tokens_in_texts_are_text(decoder):
    model = models.LMCrossEncoder(decoder, "zerank", device="cpu")
    end = model._tokenizer.eos_token_id
    assert end not in model._passages.tokens(["a</s><s>"], 100)[0]
    assert end not in model._front("a</s><s>")


def test_monot5_is_the_first_step_of_its_decoder(tiny_seq2seq_lm_folder):
    model = models.LMCrossEncoder(tiny_seq2seq_lm_folder, "monot5", device="cpu", max_length=128)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_seq2seq_lm_folder)
    network = transformers.AutoModelForSeq2SeqLM.from_pretrained(tiny_seq2seq_lm_folder).eval()
    texts = ["Everest is tall.", "a soup", "the soup of a tall soup " * 3]
    for text, value in zip(texts, scores(model, texts, "is Everest tall?"), strict=True):
        inputs = tokenizer(f"Query: is Everest tall? Document: {text} Relevant:", return_tensors="pt")
        with torch.inference_mode():
            logits = network(**inputs, decoder_input_ids=torch.tensor([[0]])).logits[0, -1]
        true, false = (tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in ("true", "false"))
        assert value == pytest.approx((logits[true] - logits[false]).item(), abs=1e-3)


QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


@examples(30)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["the", " ", "\n", "it's", "?", "8", "(", "é"]), max_size=20).map("".join)
)
def test_the_passage_apart_is_the_passage_in_its_line(text):
    """Splitting in front of the blank changes no token, with the pre-tokenizer of Qwen."""
    from tokenizers import Regex, Tokenizer, pre_tokenizers, trainers
    from tokenizers import models as kinds

    bpe = Tokenizer(kinds.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["<Document>: the Document: the (the it's ?\n ::\n > >: "] * 3, trainer)
    joined = bpe.encode("<Query>: q\n<Document>: " + text).ids
    assert joined == bpe.encode("<Query>: q\n<Document>:").ids + bpe.encode(" " + text).ids


def test_a_model_is_known_by_its_name():
    assert wording_for("Qwen/Qwen3-Reranker-0.6B") == wording("qwen3-reranker")
    assert wording_for("/models/mxbai-rerank-large-v2/") == wording("mxbai-rerank-v2")
    assert wording_for("zeroentropy/zerank-1-small") == wording("zerank")
    assert wording_for("BAAI/bge-reranker-v2-gemma") == wording("bge-reranker-gemma")
    assert wording_for("castorini/monot5-3b-msmarco-10k") == wording("monot5")
    assert wording_for("mixedbread-ai/mxbai-rerank-base-v1") is None
    assert models.LMCrossEncoder("Qwen/Qwen3-Reranker-4B").scale == LOGIT
    with pytest.raises(ValueError, match="how Qwen/Qwen3-4B asks is not known"):
        models.LMCrossEncoder("Qwen/Qwen3-4B")
    with pytest.raises(ConfigError, match="unknown wording 'qwen3'"):
        MODELS.build({"lm_cross_encoder": "x", "wording": "qwen3"})


def test_instructions_take_their_line_or_none():
    front = wording("mxbai-rerank-v2").front
    assert front("q")[1] == [("query: ", False), ("q", True)]
    assert (
        "".join(text for text, _ in front("{instruction}", "be brief")[1])
        == "instruction: be brief\nquery: {instruction}"
    )
    assert ("find it", True) in wording("qwen3-reranker").front("q", "find it")[1]


def test_a_wording_of_ones_own_as_data(decoder):
    own = Wording(before=("{query} | ",), passage="{passage}", after=(" relevant?",), positive="A", negative="B")
    model = models.LMCrossEncoder(decoder, own, device="cpu")
    data = dump(model)
    assert MODELS.build(data) == model
    assert scores(MODELS.build(data)) == pytest.approx(scores(model), abs=1e-6)
    with pytest.raises(ConfigError, match="no single token for 'Zürich'"):
        scores(models.LMCrossEncoder(decoder, Wording(("{query}",), "{passage}", (), "Zürich"), device="cpu"))
    with pytest.raises(ConfigError, match="must hold"):
        Wording(("q",), "{passage}", (), "A")


def test_a_copy_carries_no_weights(decoder):
    model = models.LMCrossEncoder(decoder, "zerank", device="cpu")
    expected = scores(model)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert "_network" not in twin.__dict__
        assert scores(twin) == pytest.approx(expected, abs=1e-5)


FRAMES = {
    "qwen3-reranker": "<|im_start|>{role}\n{text}<|im_end|>\n",
    "mxbai-rerank-v2": "<|im_start|>{role}\n{text}<|im_end|>\n",
    "monot5": "{text}",
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("instruction", [None, "Prefer metres."])
def test_a_wording_says_what_the_template_of_the_same_checkpoint_says(name: str, instruction: str | None) -> None:
    query, passage = "how tall is Everest?", "Everest is 8849 m tall."
    said, frame = wording(name), FRAMES[name]
    turns = template(name).messages(None, Query(query, instruction=instruction), [passage], ["1"], 100)
    opening = [frame.format(role=turn.role, text=turn.content) for turn in turns if turn.role != "assistant"]
    begun = "".join(turn.content for turn in turns if turn.role == "assistant")
    if "im_start" in frame:
        opening.append(f"<|im_start|>assistant\n{begun}")
    front = "".join(text for piece in said.front(query, instruction) for text, _ in piece)
    assert front + said.middle(passage) + "".join(said.after) == "".join(opening)
