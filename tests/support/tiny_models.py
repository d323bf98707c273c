"""Random models of a few thousand parameters, saved as folders in the layout of real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def tiny_causal_lm(folder: Path, *, window: int = 256) -> Path:
    """A Llama with a byte-level BPE tokenizer that has tokens for Yes, No and the like, and a chat template."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from tokenizers.decoders import ByteLevel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(["Yes No Yes No yes no A B C relevant passage query document [1] > [2]"] * 4, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
        initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_seq2seq_lm(folder: Path, *, window: int = 128) -> Path:
    """A T5 with a tokenizer of words that closes every text, and tokens for true, false and digits."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from tokenizers.decoders import Metaspace
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    words = "Query: Document: Document0: Document1: Relevant: Index: Context: true false tall Everest is a the soup of"
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:,.?"
    tokens = ["<pad>", "</s>", "<unk>", *(f"▁{word}" for word in [*words.split(), *"0123456789"]), "▁", *letters]
    unigram = Tokenizer(models.Unigram([(token, -float(len(token) < 3)) for token in tokens], unk_id=2))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = Metaspace()
    unigram.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=unigram, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        n_positions=window,
        initializer_factor=3.0,
        decoder_start_token_id=0,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_cross_encoder(folder: Path, *, labels: int = 1) -> Path:
    """A BERT sequence classifier with a word-piece tokenizer of letters and a few words."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _word_pieces(folder)
    torch.manual_seed(0)
    config = BertConfig(**_BERT, vocab_size=len(tokenizer), num_labels=labels)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def tiny_onnx_cross_encoder(folder: Path) -> Path:
    """A graph that counts the letters query and passage share, as `model.onnx` and, the same, `model_int8.onnx`."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {token: number for number, token in enumerate([*special, *"abcdefghijklmnopqrstuvwxyz0123456789"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))

    constants = {"width": len(vocabulary), "values": [0.0, 1.0], "places": [1], "last": [2], "one": 1.0, "scale": 0.01}
    kinds = {"width": "int64", "places": "int64", "last": "int64"}
    stored = [
        numpy_helper.from_array(np.array(value, kinds.get(name, "float32")), name) for name, value in constants.items()
    ]
    nodes = [
        helper.make_node("OneHot", ["input_ids", "width", "values"], ["letters"], axis=-1),
        helper.make_node("Cast", ["token_type_ids"], ["kind"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["kind", "last"], ["in_passage"]),
        helper.make_node("Sub", ["one", "in_passage"], ["in_query"]),
        helper.make_node("Mul", ["letters", "in_query"], ["query_letters"]),
        helper.make_node("Mul", ["letters", "in_passage"], ["passage_letters"]),
        helper.make_node("ReduceSum", ["query_letters", "places"], ["query_counts"], keepdims=0),
        helper.make_node("ReduceSum", ["passage_letters", "places"], ["passage_counts"], keepdims=0),
        helper.make_node("Mul", ["query_counts", "passage_counts"], ["shared"]),
        helper.make_node("ReduceSum", ["shared", "places"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "scale"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])]
    graph = helper.make_graph(nodes, "shared letters", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    for name in ("model.onnx", "model_int8.onnx"):
        onnx.save(model, str(folder / name))
    return folder


def tiny_embedder(folder: Path) -> Path:
    """A sentence-transformers model: BERT, mean pooling, and prompts of its own for queries and documents."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel

    body = folder / "body"
    tokenizer = _word_pieces(body)
    torch.manual_seed(0)
    BertModel(BertConfig(**_BERT, vocab_size=len(tokenizer))).save_pretrained(body)
    transformer = Transformer(str(body), max_seq_length=64)
    prompts = {"query": "query ", "document": ""}
    whole = SentenceTransformer(modules=[transformer, Pooling(32)], prompts=prompts, device="cpu")
    whole.save(str(folder / "model"))
    return folder / "model"


_BERT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
    "hidden_dropout_prob": 0.1,
}


def _word_pieces(folder: Path) -> list[str]:
    from transformers import BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!"
    words = ["tall", "mountain", "query", "recipe", "the", "is"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), *words]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)}, model_max_length=64)
    tokenizer.save_pretrained(folder)
    return vocabulary


PUNCTUATED = [*"abcdefghijklmnopqrstuvwxyz0123456789.,?!-", "tall", "mountain", "recipe", "the", "is"]
COLBERT_WORDS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PUNCTUATED]


def tiny_colbert(folder: Path, *, attend: bool = False, width: int = 12) -> Path:
    """A ColBERT as its authors save one: a BERT and `linear.weight` in one file, settings in `artifact.metadata`.

    Queries are filled up to 16 tokens, passages cut at 24.
    """
    import json

    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    words = [*COLBERT_WORDS, *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}, model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(**_BERT, vocab_size=len(words))
    config.architectures = ["HF_ColBERT"]
    body = BertModel(config)
    config.save_pretrained(folder)
    weights = {f"bert.{name}": tensor.contiguous() for name, tensor in body.state_dict().items()}
    save_file({**weights, "linear.weight": torch.randn(width, 32)}, folder / "model.safetensors", {"format": "pt"})
    settings = {
        "query_maxlen": 16,
        "doc_maxlen": 24,
        "dim": width,
        "mask_punctuation": True,
        "attend_to_mask_tokens": attend,
        "query_token_id": "[unused0]",
        "doc_token_id": "[unused1]",
        "similarity": "cosine",
    }
    (folder / "artifact.metadata").write_text(json.dumps(settings))
    return folder


def tiny_pylate(folder: Path, *, expand: bool = True) -> Path:
    """The same weights as PyLate saves them: a transformer, `1_Dense`, and settings for sentence-transformers."""
    import json

    from safetensors.torch import load_file, save_file

    tiny_colbert(folder)
    weights = load_file(folder / "model.safetensors")
    linear = weights.pop("linear.weight")
    save_file({name.removeprefix("bert."): tensor for name, tensor in weights.items()}, folder / "model.safetensors")
    (folder / "artifact.metadata").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": linear}, folder / "1_Dense" / "model.safetensors")
    dense = {"in_features": 32, "out_features": len(linear), "bias": False}
    activation = {"activation_function": "torch.nn.modules.linear.Identity"}
    (folder / "1_Dense" / "config.json").write_text(json.dumps({**dense, **activation}))
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    body = {"max_seq_length": 23, "do_lower_case": False}
    (folder / "sentence_bert_config.json").write_text(json.dumps(body))
    settings = {
        "model_type": "ColBERT",
        "prompts": {},
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[unused0]",
        "document_prefix": "[unused1]",
        "query_length": 16,
        "document_length": 24,
        "attend_to_expansion_tokens": False,
        "do_query_expansion": expand,
        "skiplist_words": [".", ",", "?", "!", "-"],
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder
