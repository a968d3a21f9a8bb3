"""A sentence-transformers folder read without torch: what its model is made of and how it wants to be asked.

Only what `indexer.onnx_model` can write as a graph is accepted: encoders of the BERT, RoBERTa, XLM-RoBERTa and MPNet
kind with GELU, mean or first-token pooling, and weights in `model.safetensors`. Whatever else a folder asks for is told
by name, so that nobody gets vectors of a model that was run otherwise than it was made.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from indexer.errors import ModelError

_FETCHED = ["*.json", "*.txt", "*.model", "model.safetensors"]
_TRUE = ("1", "ON", "YES", "TRUE")
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Names under which sentence-transformers looks for the prompt of what is searched, in this order."""


class UnsupportedModel(ModelError):
    """The folder holds a model that cannot be written as an int8 graph; sentence-transformers may still run it."""


class Pooling(StrEnum):
    """How the states of a text's tokens become one vector."""

    MEAN = "mean"
    FIRST = "cls"


@dataclass(frozen=True, slots=True)
class Architecture:
    """An encoder as its weights need it to be run.

    Attributes:
        first_position: row of the position table that the first token takes.
        has_relative_bias: whether attention adds a learned bias by distance (MPNet).
    """

    layers: int
    heads: int
    epsilon: float
    first_position: int
    has_relative_bias: bool
    pooling: Pooling


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What was read of a folder.

    Attributes:
        max_tokens: the longest text, special tokens included; what is past it is cut.
        dimensions: length of a vector.
        query_prompt, document_prompt: what the model wants in front of a question and of what is searched.
    """

    path: Path
    architecture: Architecture
    max_tokens: int
    dimensions: int
    query_prompt: str
    document_prompt: str

    @property
    def digest(self) -> str:
        """Of all that a graph is made from besides the weights: eight hexadecimal digits."""
        return hashlib.sha256(repr((self.architecture, self.max_tokens)).encode()).hexdigest()[:8]

    @property
    def weights_file(self) -> Path:
        return self.path / "model.safetensors"


def find_model_folder(model: str) -> Path:
    """The folder of `model`: itself, or where the hub's local cache has the model of that name.

    Only with HF_HUB_OFFLINE=0 in the environment is it fetched.

    Raises:
        ModelError: it is neither.
    """
    if Path(model).is_dir():
        return Path(model)
    # Told again with the call: the hub's library reads the variable when it is imported, which may be long ago.
    offline = os.environ.setdefault("HF_HUB_OFFLINE", "1").upper() in _TRUE
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    name = model if "/" in model else f"sentence-transformers/{model}"
    try:
        return Path(snapshot_download(name, allow_patterns=_FETCHED, local_files_only=offline))
    except (OSError, ValueError, HFValidationError) as error:
        if offline:
            raise ModelError(
                f"model {model} is neither a folder nor in the hub's local cache; name a folder that holds it, or set "
                "HF_HUB_OFFLINE=0 once to let it be fetched"
            ) from error
        raise ModelError(f"model {model} is no folder and cannot be fetched: {error}") from error


def read_model_folder(path: Path) -> ModelFolder:
    """What the files in `path` say.

    Raises:
        UnsupportedModel: a part that is not known, or files that are missing or cannot be read.
    """
    try:
        return _read_settings(path)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnsupportedModel(f"{path}: its settings are not as expected: {error!r}") from error


def query_prompt_of(prompts: Mapping[str, str]) -> str:
    """What a model's prompts put in front of a question, by the names that sentence-transformers knows."""
    return prompts.get("query") or ""


def document_prompt_of(prompts: Mapping[str, str]) -> str:
    """The same for what is searched. sentence-transformers adds an empty `document`, which hides the other names."""
    return next((prompts[name] for name in _DOCUMENT_PROMPTS if prompts.get(name)), "")


def _read_settings(path: Path) -> ModelFolder:
    modules = {module["type"].rsplit(".", 1)[-1]: str(module["path"]) for module in _read(path, "modules.json")}
    unknown = modules.keys() - {"Transformer", "Pooling", "Normalize"}
    if unknown or not {"Transformer", "Pooling"} <= modules.keys():
        raise UnsupportedModel(f"{path}: the model has the parts {', '.join(modules)}")
    folder = path / modules["Transformer"]
    config, limits = _read(folder, "config.json"), _read(folder, "sentence_bert_config.json", optional=True)
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise UnsupportedModel(f"{path}: there is no {name}")
    if limits.get("do_lower_case"):
        raise UnsupportedModel(f"{path}: do_lower_case is true")
    pooling = _pooling_of(_read(path / modules["Pooling"], "config.json"), path)
    architecture = _architecture_of(config, pooling, path)
    prompts = _read(path, "config_sentence_transformers.json", optional=True).get("prompts") or {}
    places = int(config["max_position_embeddings"]) - architecture.first_position
    tokenizer = _read(folder, "tokenizer_config.json", optional=True)
    stated = limits.get("max_seq_length") or tokenizer.get("model_max_length") or places
    return ModelFolder(
        path=folder,
        architecture=architecture,
        max_tokens=min(int(stated), places),
        dimensions=int(config["hidden_size"]),
        query_prompt=query_prompt_of(prompts),
        document_prompt=document_prompt_of(prompts),
    )


def _architecture_of(config: Mapping[str, Any], pooling: Pooling, path: Path) -> Architecture:
    kind = config.get("model_type")
    if kind not in ("bert", "roberta", "xlm-roberta", "mpnet"):
        raise UnsupportedModel(f"{path}: the model is of the kind {kind}")
    for key, only in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if config.get(key, only) != only:
            raise UnsupportedModel(f"{path}: {key} is {config[key]}")
    return Architecture(
        layers=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        # All but BERT keep the rows up to the padding token's for padding.
        first_position=0 if kind == "bert" else int(config.get("pad_token_id") or 1) + 1,
        has_relative_bias=kind == "mpnet",
        pooling=pooling,
    )


def _pooling_of(config: Mapping[str, Any], path: Path) -> Pooling:
    """From either form of the file: one name, or a switch for each kind."""
    stated = config.get("pooling_mode")
    if stated is None:
        stated = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
        stated = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get("+".join(stated), stated)
    if stated not in tuple(Pooling):
        raise UnsupportedModel(f"{path}: pooling is {stated}")
    if config.get("include_prompt", True) is not True:
        raise UnsupportedModel(f"{path}: pooling leaves the prompt out")
    return Pooling(stated)


def _read(folder: Path, name: str, *, optional: bool = False) -> Any:
    try:
        return json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if optional:
            return {}
        raise UnsupportedModel(f"{folder}: there is no {name}") from error
    except (OSError, ValueError) as error:
        raise UnsupportedModel(f"{folder / name} cannot be read: {error}") from error
