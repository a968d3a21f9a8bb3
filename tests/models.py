"""Small models with random weights, in the folders that sentence-transformers writes: what other models look like."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from indexer.embedding import default_model_dir

KINDS = ("bert", "roberta", "xlm-roberta", "mpnet")

_SIZE = {
    "vocab_size": 30_522,
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "max_position_embeddings": 130,
}
_SPREAD = 0.1
"""Of the weights. With the usual 0.02 attention looks at all tokens alike, and no mistake in it would show."""

_SPREAD_OF_DISTANCE = 1.5
"""Of MPNet's biases by distance, which only count beside the products that they are added to."""


def write_model(folder: Path, kind: str, pooling: str = "mean", prompts: dict[str, str] | None = None) -> Path:
    """A model of `kind` in `folder`: the default model's tokeniser, random weights, up to 128 tokens."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoConfig, AutoModel

    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(default_model_dir() / name, folder / name)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    _write(folder / "tokenizer_config.json", {**tokenizer, "tokenizer_class": "PreTrainedTokenizerFast"})
    config = AutoConfig.for_model(kind, **_SIZE)
    torch.manual_seed(7)
    model = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "LayerNorm" not in name:
                values.normal_(0.0, _SPREAD_OF_DISTANCE if "relative_attention_bias" in name else _SPREAD)
    config.save_pretrained(folder)
    save_file({name: values.contiguous() for name, values in model.state_dict().items()}, folder / "model.safetensors")
    parts = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (path, name) in enumerate(parts)
    ]
    _write(folder / "modules.json", modules)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 128, "do_lower_case": False})
    _write(folder / "config_sentence_transformers.json", {"prompts": prompts or {}})
    switches = {f"pooling_mode_{name}": name == f"{pooling}_token{'s' if pooling == 'mean' else ''}" for name in _MODES}
    (folder / "1_Pooling").mkdir()
    _write(folder / "1_Pooling/config.json", {"word_embedding_dimension": 48, **switches})
    return folder


def change(file: Path, **values: Any) -> None:
    """Set `values` in a JSON file."""
    _write(file, {**json.loads(file.read_text()), **values})


_MODES = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")


def _write(file: Path, values: Any) -> None:
    file.write_text(json.dumps(values), encoding="utf-8")
