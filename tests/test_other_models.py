"""Models other than the default one: in int8 if their kind is known, by sentence-transformers if not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer import onnx_embedding
from indexer.embedding import Precision, encode_documents, encode_queries, load_embedder
from indexer.errors import ModelError
from indexer.model_folder import Pooling, UnsupportedModel, read_model_folder
from indexer.onnx_embedding import OnnxEmbedder
from indexer.onnx_model import _distance_buckets
from indexer.torch_embedding import SentenceTransformerEmbedder
from tests.models import KINDS, change, write_model

TEXTS = [
    "disk full",
    "the mail server answers 550 and the queue grows",
    "a b a b b a",
    "a a a b b b",
    " ".join(f"step {number} of the upgrade fails" for number in range(40)),
]


@pytest.fixture(autouse=True)
def model_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KB_MODEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/symptom-kb"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_is_the_model(kind: str, pooling: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", kind, pooling)
    fast, reference = load_embedder(str(folder)), load_embedder(str(folder), Precision.FP32)
    assert isinstance(fast, OnnxEmbedder)
    assert isinstance(reference, SentenceTransformerEmbedder)
    assert fast.count_tokens(TEXTS) == reference.count_tokens(TEXTS)
    assert max(fast.count_tokens(TEXTS)) > 128
    expected = reference.embed(TEXTS)
    assert (fast.embed(TEXTS) * expected).sum(axis=1).min() > 0.99
    alone = np.concatenate([fast.embed([text]) for text in TEXTS])
    assert (alone * expected).sum(axis=1).min() > 0.99
    start = " ".join(TEXTS[-1].split()[:12])
    for embedder in (fast, reference):
        one, other = embedder.embed([start, f"{start} and 500 more disks"], embedder.count_tokens([start])[0] + 2)
        np.testing.assert_allclose(one, other, atol=1e-5)
        one, other = embedder.embed([start, f"{start} and 500 more disks"])
        assert abs(one - other).max() > 0.001
    assert (fast.fingerprint.dimensions, fast.fingerprint.max_tokens) == (48, 128)
    assert (reference.fingerprint.dimensions, reference.fingerprint.max_tokens) == (48, 128)


def test_prompts_of_the_model_stand_before_questions_and_documents(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", "bert", prompts={"query": "find: ", "passage": "text: ", "other": "x: "})
    for precision in Precision:
        embedder = load_embedder(str(folder), precision)
        assert (embedder.fingerprint.query_prompt, embedder.fingerprint.document_prompt) == ("find: ", "text: ")
        plain = embedder.embed(["disk full", "find: disk full", "text: disk full"])
        np.testing.assert_allclose(encode_queries(embedder, ["disk full"]).vectors[0], plain[1], atol=1e-5)
        np.testing.assert_allclose(encode_documents(embedder, ["disk full"]).vectors[0], plain[2], atol=1e-5)
        assert abs(plain[0] - plain[1]).max() > 0.01


def test_a_graph_that_strays_is_not_kept(tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(write_model(tmp_path / "model", "bert"))
    monkeypatch.setattr(onnx_embedding, "_LEAST_COSINE", 1.01)
    with pytest.raises(ModelError, match=r"int8 is not built for .*change its vectors too much, to a cosine of 0\.9"):
        load_embedder(folder, Precision.INT8)
    assert isinstance(load_embedder(folder), SentenceTransformerEmbedder)
    assert list(model_cache.iterdir()) == []


def test_other_weights_and_settings_make_another_graph_and_fingerprint(tmp_path: Path, model_cache: Path) -> None:
    folder = write_model(tmp_path / "model", "bert")
    first = load_embedder(str(folder))
    change(folder / "1_Pooling/config.json", pooling_mode="cls")
    second = load_embedder(str(folder))
    assert second.fingerprint != first.fingerprint
    assert abs(second.embed(["disk full"]) - first.embed(["disk full"])).max() > 0.01
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert load_embedder(str(folder)).fingerprint != second.fingerprint
    assert len(list(model_cache.iterdir())) == 3


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("config.json", {"model_type": "t5"}, "of the kind t5"),
        ("config.json", {"hidden_act": "relu"}, "hidden_act is relu"),
        ("config.json", {"position_embedding_type": "rotary"}, "position_embedding_type is rotary"),
        ("config.json", {"num_attention_heads": None}, "its settings are not as expected"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "do_lower_case is true"),
        ("config.json", {"num_hidden_layers": 3}, r"there is no encoder\.layer\.2\."),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "pooling is"),
        ("1_Pooling/config.json", {"pooling_mode": "weightedmean"}, "pooling is weightedmean"),
        ("1_Pooling/config.json", {"include_prompt": False}, "leaves the prompt out"),
    ],
)
def test_what_no_graph_is_written_for_is_named(
    file: str, values: dict[str, object], reason: str, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "model", "bert")
    change(folder / file, **values)
    with pytest.raises(ModelError, match=f"int8 is not built for .*{reason}"):
        load_embedder(str(folder), Precision.INT8)


def test_parts_and_files_that_are_needed(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", "bert")
    modules = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(modules.replace("models.Normalize", "models.Dense"))
    with pytest.raises(UnsupportedModel, match="has the parts Transformer, Pooling, Dense"):
        read_model_folder(folder)
    (folder / "modules.json").write_text(modules[:-1])
    with pytest.raises(UnsupportedModel, match=r"modules\.json cannot be read"):
        read_model_folder(folder)
    (folder / "modules.json").write_text(modules)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be read"):
        load_embedder(str(folder), Precision.INT8)
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModel, match=r"there is no model\.safetensors"):
        read_model_folder(folder)
    with pytest.raises(UnsupportedModel, match=r"there is no modules\.json"):
        read_model_folder(tmp_path)


def test_distances_fall_into_the_buckets_of_the_model() -> None:
    import torch
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

    distances = np.arange(-400, 401)
    theirs = MPNetEncoder.relative_position_bucket
    expected = theirs(torch.from_numpy(distances), num_buckets=32)  # type: ignore[no-untyped-call]
    np.testing.assert_array_equal(_distance_buckets(distances, 32), expected.numpy())


def test_newer_folders_name_their_pooling(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", "bert")
    (folder / "1_Pooling/config.json").write_text('{"embedding_dimension": 48, "pooling_mode": "cls"}')
    assert read_model_folder(folder).architecture.pooling is Pooling.FIRST
    (folder / "sentence_bert_config.json").unlink()
    assert read_model_folder(folder).max_tokens == 130
