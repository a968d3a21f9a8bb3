"""A whole evaluation on a small data set, with the real assistant and a fake embedder."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eval.calibrating import collect_examples
from eval.datasets import Dataset, Ticket, load_dataset
from eval.preparing import Setup, default_index_dir, without_shared
from eval.reporting import report_as_dict
from eval.runner import run_evaluation
from eval.summary import summarise, summary_as_dict
from indexer.building import BuildOptions, build_index
from indexer.errors import DatasetError
from indexer.metadata import Audience
from indexer.publishing import Learned, publish_learned
from indexer.snapshot import Snapshot, current_version
from service.assistant import Assistant
from service.decision import NOTHING, DecisionModel
from tests.conftest import FakeEmbedder
from tests.eval_world import write_dataset, write_lines


@pytest.fixture
def data(small_world: Path, tmp_path: Path) -> Dataset:
    return load_dataset(write_dataset(small_world.parent), tmp_path / "cache")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(cache_dir=tmp_path / "cache")


def test_every_ticket_is_asked_and_every_citation_holds(data: Dataset, setup: Setup) -> None:
    steps: list[tuple[str, int, int]] = []
    run = run_evaluation(data, setup, FakeEmbedder(), lambda *step: steps.append(step))
    assert [outcome.ticket.query_id for outcome in run.outcomes] == ["t1", "t2", "t3", "n1", "n2"]
    assert run.article_count == 4
    assert run.index_dir.parent == setup.cache_dir
    assert ("asking", 5, 5) in steps
    summary = summarise(run)
    assert summary.retrieval["Success@3"].value == 1.0
    assert summary.citations > 0
    assert summary.citation_failures == []
    assert (summary.answerable, summary.unanswerable) == (3, 2)
    assert set(summary.per_query) == {"t1", "t2", "t3"}
    assert set(summary.decision.kinds) == {"off_topic", "same_product"}
    assert summary.latency_p50_ms <= summary.latency_p95_ms
    assert summary_as_dict(summary)["citations"]["share"] == 1.0


def test_scope_is_the_tickets_unless_one_is_given(data: Dataset, setup: Setup) -> None:
    internal = "runbooks/restart.md"
    found = {
        o.ticket.query_id: {path for path, _ in o.ranked} for o in run_evaluation(data, setup, FakeEmbedder()).outcomes
    }
    assert internal in found["t1"]
    assert internal not in found["t3"]
    as_public = run_evaluation(data, replace(setup, audience=Audience.PUBLIC), FakeEmbedder())
    assert all(internal not in {path for path, _ in outcome.ranked} for outcome in as_public.outcomes)


def test_index_is_reused(data: Dataset, setup: Setup) -> None:
    run_evaluation(data, setup, FakeEmbedder())
    again = FakeEmbedder()
    run_evaluation(data, setup, again)
    # One warming call and five tickets, up to three views each; no article is embedded again.
    assert len(again.texts) <= 6 * 3


def test_article_changed_behind_the_index_is_told(data: Dataset, setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    build_index = importlib.import_module("eval.preparing").build_index

    def build_then_edit(source: Path, *rest: Any) -> Any:
        report = build_index(source, *rest)
        file = source / "db/listener.md"
        file.write_text(file.read_text() + "\nEdited.\n")
        return report

    monkeypatch.setattr("eval.preparing.build_index", build_then_edit)
    summary = summarise(run_evaluation(data, setup, FakeEmbedder()))
    assert summary.citation_failures
    assert all("db/listener.md is not the cited version" in reason for reason in summary.citation_failures)
    assert summary_as_dict(summary)["citations"]["share"] < 1.0


def test_malformed_article_is_reported(data: Dataset, setup: Setup) -> None:
    (data.articles_dir / "bad.md").write_text("---\naudience: everyone\n---\n\ntext\n")
    assert any("not indexed: bad.md" in problem for problem in run_evaluation(data, setup, FakeEmbedder()).problems)


def test_refused_question_counts_as_no_suggestion(data: Dataset, setup: Setup) -> None:
    long = Ticket("huge", "", "word " * 5_000, labels={"db/listener.md": 1})
    run = run_evaluation(replace(data, tickets=(*data.tickets, long)), setup, FakeEmbedder())
    assert run.outcomes[-1].ranked == ()
    assert summarise(run).per_query["huge"]["Success@5"] == 0.0
    assert any(problem.startswith("refused: huge: ") for problem in run.problems)


def test_nothing_to_score(data: Dataset, setup: Setup) -> None:
    with pytest.raises(DatasetError, match="no ticket that can be scored"):
        run_evaluation(replace(data, tickets=()), setup, FakeEmbedder())


def test_data_set_without_answerable_or_unanswerable_tickets(data: Dataset, setup: Setup) -> None:
    answerable = summarise(run_evaluation(data.first(2), setup, FakeEmbedder()))
    only = [ticket for ticket in data.tickets if ticket.answerable]
    alone = summarise(run_evaluation(replace(data, tickets=tuple(only)), setup, FakeEmbedder()))
    none = summarise(run_evaluation(replace(data, tickets=data.tickets[3:]), setup, FakeEmbedder()))
    assert answerable.decision.auroc is not None
    assert alone.decision.auroc is None
    assert alone.decision.false_suggestions is None
    assert none.retrieval == {}
    assert none.decision.coverage is None
    assert none.decision.false_suggestions is not None


def test_index_folder_depends_on_what_goes_into_it(data: Dataset, setup: Setup, tmp_path: Path) -> None:
    plain = default_index_dir(data, setup)
    assert plain == default_index_dir(data, setup)
    learned = replace(setup, history=tmp_path / "history.jsonl")
    assert len({plain, default_index_dir(data, learned), default_index_dir(data, replace(setup, model="other"))}) == 3


def test_history_is_learned_without_the_tickets(data: Dataset, setup: Setup, tmp_path: Path) -> None:
    repeated = data.tickets[0]
    history = write_lines(
        tmp_path / "history.jsonl",
        [
            {"_id": "h1", "title": "Oracle", "text": "ORA-12154 again", "articles": ["db/listener.md"]},
            {"_id": "t2", "text": "same id as a ticket", "articles": ["db/listener.md"]},
            {"_id": "h2", "title": repeated.title, "text": repeated.text, "articles": ["auth/token-expired.md"]},
        ],
    )
    run = run_evaluation(data, replace(setup, history=history), FakeEmbedder())
    assert run.learned is not None
    assert (run.learned.used, run.learned.left_out) == (1, 2)
    assert run.learned.version == run.index_version
    assert report_as_dict(run, summarise(run))["history"]["used"] == 1


def test_history_that_is_not_there(data: Dataset, setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="history"):
        run_evaluation(data, replace(setup, history=tmp_path / "absent.jsonl"), FakeEmbedder())


def test_an_index_that_is_named_is_measured_as_it_is(data: Dataset, setup: Setup, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    build_index(data.articles_dir, mine, FakeEmbedder(), BuildOptions())
    decision = {"model": DecisionModel(threshold=0.0).as_dict(), "made": {"dataset": "acme, split dev"}}
    publish_learned(mine, FakeEmbedder(), Learned(decision=decision))
    (data.articles_dir / "db/listener.md").unlink()
    version = current_version(mine)
    run = run_evaluation(data, replace(setup, index_dir=mine), FakeEmbedder())
    assert (current_version(mine), run.index_version) == (version, version)
    assert Snapshot.open(mine).decision == decision
    assert (run.threshold, run.article_count) == (0.0, 4)
    assert "the decision was calibrated before this run, on acme, split dev" in run.problems


def test_an_index_of_other_articles_is_refused(data: Dataset, setup: Setup, tmp_path: Path) -> None:
    """Labelled paths start from another folder than the index' paths: everything would count as wrong."""
    build_index(data.articles_dir.parent, tmp_path / "mine", FakeEmbedder(), BuildOptions())
    with pytest.raises(DatasetError, match=r"holds none of the 3 labelled articles, such as auth/token-expired\.md"):
        run_evaluation(data, replace(setup, index_dir=tmp_path / "mine"), FakeEmbedder())


def test_labelled_articles_that_the_index_lacks_are_named(data: Dataset, setup: Setup, tmp_path: Path) -> None:
    kept = (data.articles_dir / "db/listener.md").read_text()
    (data.articles_dir / "db/listener.md").unlink()
    build_index(data.articles_dir, tmp_path / "mine", FakeEmbedder(), BuildOptions())
    (data.articles_dir / "db/listener.md").write_text(kept)
    run = run_evaluation(data, replace(setup, index_dir=tmp_path / "mine"), FakeEmbedder())
    assert any("does not hold, counted as not found: db/listener.md" in problem for problem in run.problems)


def test_tickets_of_both_splits_are_not_calibrated_on(data: Dataset) -> None:
    others = replace(data, split="dev", tickets=(data.tickets[0], Ticket("d1", "", "only here", kind="x")))
    kept, told = without_shared(others, data)
    assert [ticket.query_id for ticket in kept.tickets] == ["d1"]
    assert told == ["tickets of both splits, left out of calibrating on 'dev': t1"]
    with pytest.raises(DatasetError, match="name two splits"):
        without_shared(data, data)


def test_a_refused_first_ticket_does_not_decide_the_threshold(data: Dataset, setup: Setup) -> None:
    long = Ticket("huge", "", "word " * 5_000, labels={"db/listener.md": 1})
    run = run_evaluation(replace(data, tickets=(long, *data.tickets)), setup, FakeEmbedder())
    assert summarise(run).decision.threshold == DecisionModel().threshold
    examples = collect_examples(Assistant(run.index_dir, FakeEmbedder()), run.dataset, setup, lambda *step: None)
    assert (examples[0].features, examples[0].correct) == (NOTHING, False)
