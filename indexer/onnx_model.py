"""An encoder as an int8 ONNX graph, written straight from its weights: no torch, no tracing, no optimiser pass.

Every matrix product with weights runs in int8: weights per output column, activations per token. A token's scale comes
from that token alone, so a text's vector does not depend on what else is in its batch, and queries that are embedded
together get the answers that they would get alone. Scheme: symmetric quantisation around 128, scale = largest magnitude
/ 127 (as in Dettmers et al. 2022, LLM.int8(), without its outlier split, which a model of this size does not need).
Attention, layer norms and GELU run in fp32. The states of all tokens of a batch lie below one another, (batch x tokens,
dimensions), so that one `QuantizeLinear` by row does a whole batch. A layer norm is the plain operator after two
additions: onnxruntime's fused one, `SkipLayerNormalization`, takes three times as long on a processor.

The word table, two thirds of the model, stays outside the graph in fp16, so that only the rows that a text uses come
into memory.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.model_folder import ModelFolder, Pooling, UnsupportedModel

RECIPE = "int8-rows-2"
"""Names this way of writing the graph; a change of it makes a new file and a new fingerprint."""

_LARGEST = 127.0
_GELU_LOWEST = 0.17
"""GELU is nowhere below -0.17, so a row of it needs only its maximum to be known."""
_DOMAIN = "com.microsoft"
_OPSET = 17
_FARTHEST = 128
"""MPNet's biases are by distance up to here, and then all the same."""
_BERT_NAMES = {
    "attention.attn.q.": "attention.self.query.",
    "attention.attn.k.": "attention.self.key.",
    "attention.attn.v.": "attention.self.value.",
    "attention.attn.o.": "attention.output.dense.",
    "attention.LayerNorm.": "attention.output.LayerNorm.",
}
"""What MPNet calls the same weights."""

Weights = dict[str, NDArray[Any]]


GRAPH_FILE, WORDS_FILE = "graph.onnx", "words.npy"
POOLED, STATES = "pooled", "states"
"""The graph's outputs."""


def write_int8_model(model: ModelFolder, folder: Path) -> None:
    """Write graph and word table for the weights of `model` into `folder`.

    The table: float16 (vocabulary, dimensions). Inputs of the graph: `words`, the table's rows for a batch, float16
    (batch, tokens, dimensions), and `attention_mask`, int64 (batch, tokens), padded on the right. Outputs: `states`,
    float32 (batch, tokens, dimensions), what the last layer makes of each token; `pooled`, float32 (batch, dimensions),
    the mean of these under the mask or the first of them, not yet of unit length.

    Raises:
        UnsupportedModel: the weights are not those of the architecture.
    """
    import onnx

    weights = _read_weights(model.weights_file)
    try:
        np.save(folder / WORDS_FILE, weights.pop("embeddings.word_embeddings.weight").astype(np.float16))
        graph = _Graph(weights, model)
        state = graph.embeddings()
        for layer in range(model.architecture.layers):
            state = graph.encoder_layer(f"encoder.layer.{layer}.", state)
    except KeyError as error:
        raise UnsupportedModel(f"{model.weights_file}: there is no {error.args[0]}") from error
    graph.pool(state)
    onnx.save(graph.model(), str(folder / GRAPH_FILE))


def _read_weights(file: Path) -> Weights:
    """By BERT's names, without the prefix that some files have."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored = load_file(file)
    except (OSError, SafetensorError, TypeError) as error:  # TypeError: a number format that NumPy lacks
        raise UnsupportedModel(f"{file} cannot be read: {error}") from error
    weights = {}
    for name, values in stored.items():
        start = max(name.find("embeddings."), name.find("encoder."))
        known = name[max(0, start) :]
        for theirs, ours in _BERT_NAMES.items():
            known = known.replace(theirs, ours)
        weights[known] = values.astype(np.float32, copy=False)
    return weights


class _Graph:
    """Collects nodes and constants; every method returns the name of the value it adds."""

    def __init__(self, weights: Weights, model: ModelFolder) -> None:
        from onnx import helper, numpy_helper

        self._helper = helper
        self._tensor = numpy_helper.from_array
        self._weights = weights
        self._build = model.architecture
        self._longest = model.max_tokens
        self._width = weights["embeddings.LayerNorm.weight"].shape[0]
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._count = 0
        self._step = self._constant(np.float32(1.0 / _LARGEST))
        self._one = self._constant(np.float32(1.0))
        self._zero_point = self._constant(np.uint8(128))
        self._tiny = self._constant(np.float32(1e-6))
        self._gelu_floor = self._constant(np.float32(_GELU_LOWEST))
        self._flat = self._constant(np.array([-1, self._width], np.int64))
        self._mask = self._shape = self._zero_points = self._bias = ""

    def embeddings(self) -> str:
        """Word, position and (always the first) token type, normalised: (batch x tokens, dimensions)."""
        first = self._build.first_position
        places = self._weights["embeddings.position_embeddings.weight"][first : first + self._longest]
        types = self._weights.get("embeddings.token_type_embeddings.weight")
        table = self._constant(places if types is None else places + types[:1])
        found = self._add("Cast", "words", to=1)
        width = self._add("Slice", self._add("Shape", "attention_mask"), *self._integers([1], [2]))
        here = self._add("Slice", table, self._integers([0])[0], width, self._integers([0])[0])
        if self._build.has_relative_bias:
            self._bias = self._relative_bias(width)
        summed = self._add("Add", found, here)
        scale, shift = self._named("embeddings.LayerNorm.weight"), self._named("embeddings.LayerNorm.bias")
        self._mask = self._add("Cast", "attention_mask", to=6)
        self._shape = self._add("Shape", summed)
        state = self._add("Reshape", summed, self._flat)
        count = self._add("Slice", self._add("Shape", state), *self._integers([0], [1]))
        self._zero_points = self._add("Expand", self._zero_point, count)
        return self._add("LayerNormalization", state, scale, shift, axis=-1, epsilon=self._build.epsilon)

    def encoder_layer(self, prefix: str, state: str) -> str:
        """Self-attention and feed-forward, each with its residual and layer norm."""
        own = f"{prefix}attention.self."
        parts = ("query", "key", "value")
        weight = np.concatenate([self._weights[f"{own}{part}.weight"] for part in parts])
        bias = np.concatenate([self._weights[f"{own}{part}.bias"] for part in parts])
        together = self._add("Add", self._product(state, weight), self._constant(bias))
        views = [self._add("Reshape", part, self._shape) for part in self._add_many("Split", 3, together, axis=-1)]
        mixed = self._add(
            "MultiHeadAttention",
            *views,
            "",
            self._mask,
            *([self._bias] if self._bias else []),
            domain=_DOMAIN,
            num_heads=self._build.heads,
            mask_filter_value=-1e9,
        )
        state = self._residual(f"{prefix}attention.output.", self._add("Reshape", mixed, self._flat), state)
        inner = self._product(state, self._weights[f"{prefix}intermediate.dense.weight"])
        inner = self._add("BiasGelu", inner, self._named(f"{prefix}intermediate.dense.bias"), domain=_DOMAIN)
        return self._residual(f"{prefix}output.", inner, state, after_gelu=True)

    def pool(self, state: str) -> None:
        """The token states as the output `states`; the mean of those that are no padding, or the first, as `pooled`."""
        states = STATES
        self._nodes.append(self._helper.make_node("Reshape", [state, self._shape], [states]))
        if self._build.pooling is Pooling.FIRST:
            first = self._constant(np.int64(0))
            self._nodes.append(self._helper.make_node("Gather", [states, first], [POOLED], axis=1))
            return
        mask = self._add("Cast", "attention_mask", to=1)
        share = self._add("Div", mask, self._add("ReduceSum", mask, self._integers([1])[0], keepdims=1))
        row = self._add("Unsqueeze", share, self._integers([1])[0])
        mean = self._add("MatMul", row, states)
        self._nodes.append(self._helper.make_node("Squeeze", [mean, self._integers([1])[0]], [POOLED]))

    def model(self) -> Any:
        """The whole as an ONNX model."""
        helper = self._helper
        shape = ["batch", "tokens"]
        inputs = [
            helper.make_tensor_value_info("words", 10, [*shape, self._width]),
            helper.make_tensor_value_info("attention_mask", 7, shape),
        ]
        outputs = [
            helper.make_tensor_value_info(POOLED, 1, ["batch", self._width]),
            helper.make_tensor_value_info(STATES, 1, [*shape, self._width]),
        ]
        graph = helper.make_graph(self._nodes, "encoder", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def _residual(self, prefix: str, value: str, state: str, *, after_gelu: bool = False) -> str:
        """`state` plus the dense layer below `prefix` of `value`, normalised."""
        dense = self._product(value, self._weights[f"{prefix}dense.weight"], after_gelu=after_gelu)
        summed = self._add("Add", self._add("Add", dense, self._named(f"{prefix}dense.bias")), state)
        scale, shift = self._named(f"{prefix}LayerNorm.weight"), self._named(f"{prefix}LayerNorm.bias")
        return self._add("LayerNormalization", summed, scale, shift, axis=-1, epsilon=self._build.epsilon)

    def _relative_bias(self, width: str) -> str:
        """What attention adds for the distance of two tokens, of all pairs: (1, heads, tokens, tokens)."""
        distances = np.arange(1 - self._longest, self._longest)
        table = self._weights["encoder.relative_attention_bias.weight"]
        by_distance = self._constant(table[_distance_buckets(distances, len(table))].T)  # (heads, distances)
        start, step = self._constant(np.int64(0)), self._constant(np.int64(1))
        places = self._add("Range", start, self._add("Squeeze", width), step)
        ahead, behind = (self._add("Unsqueeze", places, self._integers([axis])[0]) for axis in (0, 1))
        apart = self._add("Add", self._add("Sub", ahead, behind), self._constant(np.int64(self._longest - 1)))
        return self._add("Unsqueeze", self._add("Gather", by_distance, apart, axis=1), self._integers([0])[0])

    def _product(self, value: str, weight: NDArray[Any], *, after_gelu: bool = False) -> str:
        """`value` times `weight` (outputs, inputs) in int8, as fp32."""
        if after_gelu:
            largest = self._add("Max", self._add("ReduceMax", value, axes=[-1], keepdims=0), self._gelu_floor)
        else:
            magnitudes = self._add("Abs", value)
            largest = self._add("Max", self._add("ReduceMax", magnitudes, axes=[-1], keepdims=0), self._tiny)
        steps = self._add("Mul", largest, self._step)
        whole = self._add("QuantizeLinear", value, steps, self._zero_points, axis=0)
        scales = np.maximum(np.abs(weight).max(axis=1), 1e-12).astype(np.float32) / np.float32(_LARGEST)
        columns = np.ascontiguousarray(np.round(weight / scales[:, None]).astype(np.int8).T)
        product = self._add(
            "MatMulIntegerToFloat",
            whole,
            self._constant(columns),
            self._one,
            self._constant(scales),
            self._zero_point,
            domain=_DOMAIN,
        )
        return self._add("Mul", product, self._add("Unsqueeze", steps, *self._integers([1])))

    def _named(self, name: str) -> str:
        return self._constant(self._weights[name])

    def _integers(self, *values: list[int]) -> list[str]:
        return [self._constant(np.array(value, np.int64)) for value in values]

    def _constant(self, value: Any) -> str:
        self._count += 1
        name = f"c{self._count}"
        self._constants.append(self._tensor(np.asarray(value), name))
        return name

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self._add_many(operator, 1, *inputs, **attributes)[0]

    def _add_many(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        self._count += 1
        names = [f"v{self._count}_{number}" for number in range(outputs)]
        self._nodes.append(self._helper.make_node(operator, list(inputs), names, **attributes))
        return names


def _distance_buckets(distances: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Rows of MPNet's table of biases: half of `count` for each direction, a quarter exact, the rest by logarithm.

    Args:
        distances: place of the token that is looked at, less that of the one that looks.
    """
    half, exact = count // 2, count // 4
    apart = np.abs(distances)
    grown = np.log(np.maximum(apart, 1) / exact) / math.log(_FARTHEST / exact) * (half - exact)
    far = np.minimum(exact + grown.astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(apart < exact, apart, far)
