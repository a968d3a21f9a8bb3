from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.engine import ChunkCosines, Evidence, Signals, TokenCosines
from indexer.errors import IndexCorrupt
from indexer.tokens import NO_SIGNS, TokenTable, write_tokens
from service.decision import NOTHING, WITH_TICKETS, DecisionModel, Features, default_decision, read_decision
from service.evidence import Ranked, Weights, exactness, rank_articles, standardise

_NAMES = [field.name for field in fields(Features)]


def _signals(rows: int, **values: list[float]) -> Signals:
    names = [field.name for field in fields(Signals) if field.name != "rows"]
    arrays = {name: np.array(values.get(name, [0.0] * rows), np.float32) for name in names}
    return Signals(rows=np.arange(rows), **arrays)


def _evidence(candidates: Signals, **changes: object) -> Evidence:
    spread = {name: [0.0, 0.5, 1.0, 0.5] for name in ("passages", "plain", "gist", "opening", "words", "held")}
    cosines = ChunkCosines(candidates.rows, np.arange(len(candidates.rows) + 1), candidates.passages)
    evidence = Evidence(
        candidates=candidates,
        background=_signals(4, **spread),
        signatures={},
        similar_tickets={},
        trust=0.0,
        self_similarity=0.4,
        cosines=cosines,
        terms={"token": 3.0, "expir": 1.0},
        rarities={"code: a": 0.6},
        signature_count=0,
        tokens=TokenCosines(NO_SIGNS, None, cosines, candidates.rows),
    )
    return replace(evidence, **changes)  # type: ignore[arg-type]


def test_features() -> None:
    found = _signals(2, gist=[0.2, 0.6], likeness=[0.9, 0.7], held=[1.0, 3.0])
    evidence = _evidence(found, signatures={1: ("code: a",)}, signature_count=2)
    features = DecisionModel().read([Ranked(1, 5.0, {}, 1), Ranked(0, 1.0, {}, 0)], evidence)
    assert features.nearness == pytest.approx(0.6 - 0.1 - 0.65 * 0.4)
    assert features.likeness == pytest.approx(0.9)
    assert features.coverage == pytest.approx(3 / 4 * 2**0.5)
    assert features.wording == pytest.approx((3.0 - 0.5) / np.std([0.0, 0.5, 1.0, 0.5]))
    assert features.signatures == 0.5
    assert features.standing == 0.0
    no_codes = DecisionModel().read([Ranked(1, 5.0, {}, 1)], _evidence(found))
    assert no_codes.signatures == 0.5
    best = Ranked(1, 5.0, {"words": 3.0, "tickets": 2.0}, 1)
    for trust, standing in ((1.0, 5.0), (0.5, 7.0), (0.0, 5.0)):
        assert WITH_TICKETS.read([best], _evidence(found, trust=trust)).standing == pytest.approx(standing)


def test_lead_tells_what_others_among_the_first_say_better(tmp_path: Path) -> None:
    known, near, far = (np.array([[value] * 8], np.uint8) for value in (0b11110000, 0b11110001, 0b00001111))
    both = np.concatenate([known, far])
    write_tokens(tmp_path, [[both, near, known, known, near, far]])
    evidence = _evidence(_signals(6))
    evidence = replace(evidence, tokens=replace(evidence.tokens, signs=both, table=TokenTable(tmp_path, 64)))

    def lead(*rows: int) -> float:
        return DecisionModel().read([Ranked(row, 1.0, {}, row) for row in rows], evidence).lead

    assert lead(0, 1, 2) == 0.0  # holds both tokens
    assert lead(0) == 0.0
    behind = 1.0 - np.cos(np.pi / 8)
    assert lead(1, 2) == pytest.approx((np.cos(np.pi / 8) - 1.0 + np.cos(7 * np.pi / 8) - np.cos(np.pi * 7 / 8)) / 2)
    assert lead(1, 0) == pytest.approx(-(behind + 1.0 - np.cos(7 * np.pi / 8)) / 2)
    assert lead(1, 2, 3, 4, 2, 0) == lead(1, 2)  # the sixth is not looked at
    assert DecisionModel().read([Ranked(1, 1.0, {}, 1)], _evidence(_signals(2))).lead == 0.0


@given(
    st.lists(st.floats(-5, 20), min_size=len(_NAMES), max_size=len(_NAMES)),
    st.integers(0, len(_NAMES) - 1),
    st.floats(0, 5),
)
def test_more_evidence_never_lowers_the_probability(values: list[float], place: int, more: float) -> None:
    features = Features(*values)
    stronger = replace(features, **{_NAMES[place]: values[place] + more})
    for model in (DecisionModel(), WITH_TICKETS):
        assert 0.0 <= model.probability(features) <= model.probability(stronger) <= 1.0


def test_an_error_that_is_all_of_the_question_outweighs_the_other_signals() -> None:
    found = _signals(2, passages=[2.0, 0.5], plain=[2.0, 0.5], words=[1.0, 0.5], gist=[0.3, 0.3])
    evidence = _evidence(
        found,
        signatures={1: ("code: ora 1",)},
        signature_count=1,
        rarities={"code: ora 1": 0.9},
        terms={"ora": 2.0, "1": 1.0},
    )
    assert exactness(("code: ora 1",), evidence) == pytest.approx(0.9)
    ranked = rank_articles(evidence, Weights())
    assert ranked[0].row == 1
    assert DecisionModel().confidence(ranked, evidence) > 0.5
    in_passing = replace(evidence, terms={**evidence.terms, "else": 27.0})
    assert exactness(("code: ora 1",), in_passing) == pytest.approx(0.009)
    assert rank_articles(in_passing, Weights())[0].row == 0
    assert exactness(("code: ora 1",), replace(evidence, terms={"else": 3.0})) == 0.0
    assert exactness((), evidence) == 0.0


def test_nothing_found_is_no_confidence() -> None:
    evidence = _evidence(_signals(0))
    assert DecisionModel().confidence([], evidence) == 0.0
    assert DecisionModel().probability(NOTHING) < 0.01


def test_no_words_at_all() -> None:
    evidence = _evidence(_signals(1, gist=[0.5]), terms={})
    assert DecisionModel().read([Ranked(0, 1.0, {}, 0)], evidence).coverage == 0.0


def test_tickets_are_used_once_they_are_believed() -> None:
    assert not default_decision(0.0).uses_tickets
    assert not default_decision(0.49).uses_tickets
    assert default_decision(0.5).uses_tickets


def test_ranking_adds_named_parts_and_keeps_path_order_on_ties() -> None:
    found = _signals(3, passages=[0.5, 1.0, 0.5], words=[0.5, 0.5, 0.5])
    ranked = rank_articles(_evidence(found, signatures={2: ("code: a",)}), Weights())
    assert [item.row for item in ranked] == [1, 2, 0]
    assert ranked[1].parts["signature"] == pytest.approx(0.6)
    for item in ranked:
        assert item.score == pytest.approx(sum(item.parts.values()), abs=1e-5)
    ties = rank_articles(_evidence(_signals(3)), Weights())
    assert [item.row for item in ties] == [0, 1, 2]


def test_tickets_count_by_trust() -> None:
    found = _signals(2, votes=[0.0, 1.0])
    usual = replace(_evidence(found).background, votes=np.array([0, 1, 0, 1], np.float32))
    ranked = rank_articles(_evidence(found, trust=0.5, background=usual), Weights())
    assert ranked[0].row == 1
    assert ranked[0].parts["tickets"] == pytest.approx(0.5 * 1.0)


def test_standardise() -> None:
    background = np.array([0.0, 2.0], np.float32)
    np.testing.assert_allclose(standardise(np.array([1.0, 2.0, 99.0], np.float32), background), [0.0, 1.0, 8.0])
    np.testing.assert_array_equal(standardise(np.array([3.0], np.float32), np.ones(5, np.float32)), [0.0])


def test_a_model_that_was_calibrated_before_there_was_a_feature_decides_as_it_did() -> None:
    stored = DecisionModel(bias=-1.5, threshold=0.7).as_dict()
    for name in ("lead", "exact"):
        del stored[name]
    model = read_decision({"model": stored})
    assert model == DecisionModel(bias=-1.5, threshold=0.7, lead=0.0)
    with pytest.raises(IndexCorrupt, match="kb calibrate"):
        read_decision({"model": {**stored, "bias": None}})
    del stored["nearness"]
    with pytest.raises(IndexCorrupt, match="kb calibrate"):
        read_decision({"model": stored})
