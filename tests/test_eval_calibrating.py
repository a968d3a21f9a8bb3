from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from eval.calibrating import Example, _table_of, calibrate, choose_threshold
from eval.cli import app
from indexer.errors import DatasetError, IndexCorrupt
from indexer.history import ResolvedTickets
from indexer.publishing import Learned, publish_learned
from indexer.snapshot import Snapshot
from service.assistant import Assistant
from service.decision import DecisionModel, Features, read_decision
from service.learning import PastTicket, learn, read_history
from tests.conftest import FakeEmbedder, build


def _examples(count: int, seed: int = 0) -> list[Example]:
    """Tickets of a team where only wording tells right from wrong."""
    chance = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        right = number % 3 != 0
        wording = chance.normal(4.0 if right else 1.0, 0.8)
        features = Features(chance.normal(), chance.normal(0.5, 0.1), wording, chance.normal(2, 1), 0.5, 0.0, 0.0, 0.0)
        examples.append(Example(features, correct=right, answerable=right, left_out=False))
    return examples


def test_what_tells_right_from_wrong_gains_weight_and_nothing_becomes_negative() -> None:
    made = calibrate(_examples(150), trust=0.0, budget=0.1)
    default = DecisionModel()
    assert made.model.wording > default.wording
    assert made.model.nearness < default.nearness / 2
    assert all(getattr(made.model, name) >= 0 for name in ("nearness", "likeness", "wording", "coverage", "signatures"))
    assert made.auroc is not None
    assert made.auroc > 0.95
    assert made.coverage > 0.8
    assert made.risk is not None
    assert made.risk < 0.2
    fresh = _examples(60, seed=1)
    suggested = [e for e in fresh if made.model.probability(e.features) >= made.model.threshold]
    assert sum(e.correct for e in suggested) / len(suggested) > 0.8


def test_figures_are_of_tickets_that_neither_model_nor_threshold_has_seen() -> None:
    """Where features tell nothing, a threshold that keeps to the budget on its own tickets keeps to it by chance."""
    risks = []
    for seed in range(6):
        chance = np.random.default_rng(seed)
        examples = [
            Example(
                Features(chance.normal(), chance.normal(), chance.normal(), chance.normal(), 0.5, 0.0, 0.0, 0.0),
                correct=chance.random() < 0.8,
                answerable=True,
                left_out=False,
            )
            for _ in range(60)
        ]
        made = calibrate(examples, trust=0.0, budget=0.1)
        risks.append(made.risk)
    found = [risk for risk in risks if risk is not None]
    assert found
    assert max(found) > 0.1


def test_a_ticket_and_the_same_without_its_article_are_in_one_fold() -> None:
    examples = [example for number in range(30) for example in _twins(number)]
    assert _table_of(examples).folds.tolist() == [number % 5 for number in range(30) for _ in range(2)]


def _twins(number: int) -> list[Example]:
    features = Features(0.0, 0.5, float(number), 1.0, 0.5, 0.0, 0.0, 0.0)
    return [
        Example(features, correct=True, answerable=True, left_out=False),
        Example(features, correct=False, answerable=True, left_out=True),
    ]


def test_a_calibration_can_be_read_back() -> None:
    made = calibrate(_examples(60), trust=0.0, budget=0.2)
    assert read_decision(json.loads(json.dumps(made.as_dict()))) == made.model
    for broken in ({}, {"model": {"bias": "x"}}, {"model": None}):
        with pytest.raises(IndexCorrupt, match="kb calibrate"):
            read_decision(broken)


def test_too_few_tickets_or_of_one_kind() -> None:
    with pytest.raises(DatasetError, match="at least 20"):
        calibrate(_examples(10), trust=0.0, budget=0.1)
    with pytest.raises(DatasetError, match=r"right for all 60 tickets.*some that are not"):
        calibrate([e for e in _examples(90) if e.correct], trust=0.0, budget=0.1)


def _sure(count: int, wrong: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities from 0.99 down to 0.5, and what is right: all but the places `wrong`."""
    right = np.ones(count)
    right[list(wrong)] = 0.0
    return np.linspace(0.99, 0.5, count), right


def test_a_larger_budget_never_raises_the_threshold() -> None:
    probabilities, right = _sure(40, [12, 22, 25, *range(30, 40)])
    thresholds = [choose_threshold(probabilities, right, budget) for budget in (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) > 3
    assert choose_threshold(probabilities, right, 1.0) == pytest.approx(0.25)  # half-way to nothing


def test_tickets_that_are_equally_sure_come_together() -> None:
    probabilities = np.array([0.9, 0.8, 0.7, 0.7, 0.7, 0.4, 0.2])
    right = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    between = {0.85, 0.75, 0.55, 0.3, 0.1, 0.9 + 1e-6}
    for budget in np.linspace(0.0, 1.0, 40):
        assert any(choose_threshold(probabilities, right, budget) == pytest.approx(place) for place in between)


@pytest.mark.parametrize(
    ("right", "budget", "expected"),
    [
        ([1.0, 1.0], 0.06, 0.75),  # (0 + 0.1) / 2 wrong of the first, (0.1 + 0.4) / 4 of both
        ([1.0, 1.0], 0.13, 0.3),
        ([1.0, 0.0], 0.13, 0.75),  # (0.1 + 1.4) / 4 of both
        ([0.0, 1.0], 0.38, 0.3),  # (1 + 0.1) / 2 of the first, (1.1 + 0.4) / 4 of both
    ],
)
def test_wrong_ones_are_half_counted_and_half_expected(right: list[float], budget: float, expected: float) -> None:
    assert choose_threshold(np.array([0.9, 0.6]), np.array(right), budget) == pytest.approx(expected)


def test_no_threshold_is_good_enough() -> None:
    assert choose_threshold(np.array([0.9, 0.5]), np.array([0.0, 1.0]), 0.0) > 0.9


def test_a_published_calibration_decides(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    model = DecisionModel(threshold=0.0, bias=50.0)
    publish_learned(index_dir, FakeEmbedder(), Learned(decision={"model": model.as_dict()}))
    from indexer.scope import INTERNAL
    from service.answers import Question

    answer = Assistant(index_dir, FakeEmbedder()).answer(Question("token"), INTERNAL)
    assert (answer.threshold, answer.answered) == (0.0, True)
    assert answer.confidence > 0.99


def test_learning_leaves_out_what_is_barred_and_forgets_a_calibration(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    publish_learned(index_dir, FakeEmbedder(), Learned(decision={"model": DecisionModel().as_dict()}))
    tickets = [
        PastTicket("1", "", "token is refused by the gateway", ("auth/token-expired.md",), "2026-01-01"),
        PastTicket("2", "", "listener cannot be resolved", ("db/listener.md", "gone.md"), ""),
        PastTicket("3", "", "mail bounces at the customer", ("mail/bounce.md",), ""),
    ]
    barred = [
        PastTicket("1", "", "something else", (), ""),
        PastTicket("9", "", "mail bounces at the customer", (), ""),
    ]
    report = learn(tickets, index_dir, FakeEmbedder(), barred)
    assert (report.used, report.usable, report.left_out, report.unknown_articles) == (1, 1, 2, ("gone.md",))
    snapshot = Snapshot.open(index_dir)
    assert snapshot.decision is None
    assert snapshot.history is not None
    assert len(snapshot.history) == 1
    with pytest.raises(DatasetError, match="nothing to learn"):
        learn(tickets[:1], index_dir, FakeEmbedder(), barred)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "object"),
        ('{"articles": ["a.md"]}', "neither"),
        ('{"text": "x"}', "articles"),
        ('{"text": "x", "articles": []}', "articles"),
        ('{"text": "x", "articles": ["a.md"], "created": "yesterday"}', "ISO date or time.*'yesterday'"),
        ('{"text": "x", "articles": ["a.md"], "created": "31/01/2026"}', "ISO date or time"),
        ('{"text": "x", "articles": ["a.md"], "created": "20260131"}', "ISO date or time"),
        ('{"text": "x", "articles": ["a.md"], "created": "2026-02-30"}', "ISO date or time"),
    ],
)
def test_a_malformed_history_is_named_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(f'{{"text": "fine", "articles": ["a.md"]}}\n\n{line}\n')
    with pytest.raises(DatasetError, match=rf"history\.jsonl:3.*{reason}"):
        read_history(file)


@pytest.mark.parametrize("created", ["", "2026-01-31", "2026-01-31T10:00:00Z", "2026-01-31 10:00:00.5+02:00"])
def test_dates_of_a_history_are_iso_or_unknown(tmp_path: Path, created: str) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(json.dumps({"text": "fine", "articles": ["a.md"], "created": created}))
    assert read_history(file)[0].created == created


@pytest.mark.parametrize(
    ("linked", "hint"),
    [
        ("kb_articles/db/listener.md", "write db/listener.md, not kb_articles/db/listener.md"),
        ("KB-1002", "write db/listener.md, not KB-1002"),
        ("elsewhere.md", "write paths below the folder that was indexed, such as auth/token-expired.md"),
    ],
)
def test_a_history_of_which_nothing_is_in_the_index_is_refused(
    small_world: Path, index_dir: Path, linked: str, hint: str
) -> None:
    build(small_world, index_dir)
    learn([PastTicket("1", "", "token refused", ("auth/token-expired.md",), "")], index_dir, FakeEmbedder())
    before = Snapshot.open(index_dir).name
    tickets = [PastTicket(str(n), "", "listener", (linked, f"no{n}.md"), "") for n in range(3)]
    with pytest.raises(DatasetError) as caught:
        learn(tickets, index_dir, FakeEmbedder())
    assert str(caught.value) == (
        f"no article that the history links is in the index ({linked}, no0.md, no1.md and 1 more): {hint}"
    )
    assert Snapshot.open(index_dir).name == before
    report = learn([*tickets, PastTicket("9", "", "x", ("db/listener.md",), "")], index_dir, FakeEmbedder())
    assert (report.used, report.usable) == (4, 1)


def test_kb_learn_says_what_is_wrong(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["learn", str(tmp_path / "none.jsonl"), "--index", str(tmp_path)])
    assert isinstance(result.exception, DatasetError)
    assert "none.jsonl" in str(result.exception)


def test_dates_of_tickets_are_kept(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    vectors = FakeEmbedder().embed(["token"])
    publish_learned(
        index_dir, FakeEmbedder(), Learned(ResolvedTickets(vectors, (("db/listener.md",),), ("2026-05-05",)))
    )
    from indexer.scope import INTERNAL
    from service.answers import Question

    assistant = Assistant(index_dir, FakeEmbedder())
    tickets = {"before": "2026-05-05", "after": "2026-05-06"}
    counts = {
        name: any(
            "1 similar ticket" in reason.detail
            for found in assistant.answer(Question("token"), INTERNAL, as_of=day).suggestions
            for reason in found.reasons
        )
        for name, day in tickets.items()
    }
    assert counts == {"before": False, "after": True}
