"""The evaluation report: its figures are those of an evaluation, and its page says them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eval.cli import app
from eval.datasets import Dataset, load_dataset
from eval.full_report import FullReport, command_line, make_report, write_report
from eval.preparing import Setup
from eval.report_page import markdown_page
from eval.runner import run_evaluation
from eval.summary import summarise
from indexer.errors import DatasetError
from tests.conftest import FakeEmbedder
from tests.eval_world import write_dataset, write_lines, write_text

ARTICLES = {
    "auth/token-expired.md": "Every call answers 401 invalid_token since {}",
    "db/listener.md": "ORA-12154 TNS could not resolve the connect identifier on host {}",
    "mail/bounce.md": "550 5.7.26 authentication missing, messages to {} bounce",
}


def _write_splits(folder: Path) -> Path:
    """24 dev and 12 test tickets, a quarter of which nothing answers, and marked lines of one article."""
    write_text(folder / "dataset.json", json.dumps({"articles": "articles"}))
    tickets, labels, unanswerable = [], {"dev": "", "test": ""}, []
    for number in range(36):
        split = "test" if number % 3 == 0 else "dev"
        article = list(ARTICLES)[number % 4 - 1] if number % 4 else None
        if article:
            tickets.append({"_id": f"t{number}", "text": ARTICLES[article].format(f"n{number}")})
            labels[split] += f"t{number}\t{article}\t1\n"
        else:
            text = f"What is for lunch in canteen {number}?"
            unanswerable.append({"_id": f"n{number}", "text": text, "kind": "off_topic", "split": split})
    write_lines(folder / "queries.jsonl", tickets)
    write_lines(folder / "no_answer.jsonl", unanswerable)
    for split, lines in labels.items():
        write_text(folder / "qrels" / f"{split}.tsv", lines)
    marked = {"query_id": "t3", "article": "mail/bounce.md", "start_line": 1, "end_line": 17}
    write_lines(folder / "snippets.jsonl", [marked])
    return folder


def _rows(page: str, heading: str) -> dict[str, list[str]]:
    """First cell to the other cells of the table below a heading."""
    lines = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """How an interval comes about is tested elsewhere; here are hundreds of them."""
    monkeypatch.setattr("eval.bootstrap.RESAMPLES", 200)


@pytest.fixture
def splits(small_world: Path) -> Path:
    return _write_splits(small_world.parent)


@pytest.fixture
def made(splits: Path, tmp_path: Path) -> FullReport:
    cache = tmp_path / "cache"
    test, dev = (load_dataset(splits, cache, split) for split in ("test", "dev"))
    setup = Setup(cache_dir=cache, budget=0.2)
    return make_report(test, dev, setup, "kb eval report D", lambda *step: None, FakeEmbedder())


def test_every_run_is_there_with_the_figures_of_an_evaluation(made: FullReport, splits: Path, tmp_path: Path) -> None:
    assert [named.name for named in made.runs] == ["test, calibrated on dev", "test, as it comes", "dev, as it comes"]
    data = load_dataset(splits, tmp_path / "cache", "dev")
    alone = summarise(run_evaluation(data, Setup(tmp_path / "again", leave_article_out=True), FakeEmbedder()))
    assert made.runs[2].summary.retrieval == alone.retrieval
    assert made.runs[2].summary.decision == alone.decision
    assert made.runs[2].summary.left_out == alone.left_out
    main = made.main.summary
    assert made.signals[0].value == main.retrieval["nDCG@10"]
    whole = made.decision[0]
    assert whole.auroc is not None
    assert main.decision.auroc is not None
    assert whole.auroc.value == pytest.approx(main.decision.auroc.value)
    assert whole.coverage == main.decision.coverage
    assert whole.precision == main.decision.precision
    assert whole.false_suggestions == main.decision.false_suggestions
    assert main.left_out is not None
    assert whole.left_out is not None
    assert main.left_out.auroc is not None
    assert whole.left_out.value == pytest.approx(main.left_out.auroc.value)


def test_page_says_how_it_was_made_and_every_figure(made: FullReport) -> None:
    page = markdown_page(made)
    run, summary = made.main.run, made.main.summary
    assert "by `kb eval report D`" in page
    assert f"Index {run.index_version}: 4 articles" in page
    assert f"{summary.answerable} answerable and {summary.unanswerable} unanswerable tickets of the split test" in page
    precision = summary.decision.precision
    assert precision is not None
    assert f"with a budget of 20% wrong suggestions; here {1 - precision.value:.1%} are wrong, within" in page
    ranking = _rows(page, "Ranking")
    assert ranking[""] == ["test, as it comes", "dev, as it comes"]
    ndcg = summary.retrieval["nDCG@10"]
    assert ranking["nDCG@10: quality of the first 10"][0] == f"{ndcg.value:.3f} ({ndcg.low:.3f} to {ndcg.high:.3f})"
    decision = _rows(page, "Decision")
    assert decision["threshold"] == [f"{named.summary.decision.threshold:.3f}" for named in made.runs]
    assert len(decision["AUROC: answerable above unanswerable"]) == 3
    assert "- off_topic" in decision
    assert _rows(page, "Leave-article-out")["AUROC: article there above gone"]
    quoting = _rows(page, "Citations and snippets")
    assert quoting["citations that verify against the files"][0] == f"{summary.citations} of {summary.citations}"
    assert quoting["pairs of ticket and article with marked lines"][0] == "1"
    assert "without words" in _rows(page, "What each signal is worth")
    features = _rows(page, "What each feature of the decision is worth")
    row = made.decision[1]
    assert row.auroc is not None
    assert features[row.name][0] == f"{row.auroc.value:.3f}"
    assert features["all features"][1] == ""


def test_risk_coverage_ends_with_every_ticket(made: FullReport) -> None:
    rows = _rows(markdown_page(made), "Risk and coverage")
    last = rows["100%"]
    curve = made.main.summary.decision.curve
    assert last[1] == f"{curve[-1].risk:.3f}"
    assert last[3:] == ["1.000", "1.000"]
    shares = [int(share.rstrip("%")) for share in list(rows)[2:]]
    assert shares == sorted(shares)


def test_failures_are_named(splits: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    data = load_dataset(splits, cache, "test")
    mistaken = replace(data.tickets[0], labels={"runbooks/restart.md": 1})
    lunch = replace(data.tickets[0], query_id="n99", labels={}, kind="other_product")
    tickets = (mistaken, *data.tickets[1:], lunch)
    made = make_report(
        replace(data, tickets=tickets), None, Setup(cache), "kb eval report D", lambda *step: None, FakeEmbedder()
    )
    page = markdown_page(made)
    failed = _rows(page, "Where the ranking fails")
    assert failed[mistaken.query_id][1] == "runbooks/restart.md"
    assert failed[mistaken.query_id][2] == made.main.run.outcomes[0].ranked[0][0]
    wrongly = [one for one in made.main.run.outcomes if one.suggested and not one.ticket.answerable]
    assert [one.ticket.query_id for one in wrongly] == ["n99"]
    assert _rows(page, "Where the decision fails")["n99"][0] == "other_product"


def test_one_split_is_enough(small_world: Path, tmp_path: Path) -> None:
    data = load_dataset(write_dataset(small_world.parent), tmp_path / "cache")
    made = make_report(data, None, Setup(tmp_path / "cache"), "kb", lambda *step: None, FakeEmbedder())
    page = markdown_page(made)
    assert [named.name for named in made.runs] == ["all"]
    assert _rows(page, "Ranking")[""] == ["all"]
    assert "Default weights" in page
    assert "snippet overlaps" not in page, "no lines are marked"
    unanswerable = replace(data, tickets=data.tickets[3:])
    empty = make_report(unanswerable, None, Setup(tmp_path / "cache"), "kb", lambda *step: None, FakeEmbedder())
    assert "## Ranking" not in markdown_page(empty)
    assert "| nDCG@10 | - | |" in markdown_page(empty).replace("  ", " ")


def test_files(made: FullReport, tmp_path: Path) -> None:
    markdown, values = write_report(made, tmp_path / "out")
    assert markdown.read_text().startswith("# ")
    read = json.loads(values.read_text())
    assert read["command"] == "kb eval report D"
    assert list(read["runs"]) == [named.name for named in made.runs]
    main = read["runs"]["test, calibrated on dev"]
    assert main["summary"]["retrieval"]["nDCG@10"]["value"] == made.main.summary.retrieval["nDCG@10"].value
    assert {query["id"] for query in main["queries"]} == {one.ticket.query_id for one in made.main.run.outcomes}
    assert [row["name"] for row in read["decision_features"]] == [row.name for row in made.decision]
    assert [row["name"] for row in read["signals"]] == [row.name for row in made.signals]


def test_command_line_can_be_typed_again() -> None:
    typed = command_line(Path("my data"), split="test", articles=None, calibrate_on="dev", budget=0.05, limit=None)
    assert typed == "kb eval report 'my data' --split test --calibrate-on dev --budget 0.05"


@pytest.mark.usefixtures("real_embedder")
def test_command(splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["eval", "report", str(splits), "--out", "out"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "written: out/report.md, out/report.json" in done.output
    page = Path("out/report.md").read_text()
    assert "--split test --calibrate-on dev --budget 0.1`" in page, "dev is found by itself"
    with pytest.raises(DatasetError, match="name two splits"):
        CliRunner().invoke(
            app, ["eval", "report", str(splits), "--split", "dev", "--calibrate-on", "dev"], catch_exceptions=False
        )


def test_splits_do_not_overlap(splits: Path, tmp_path: Path) -> None:
    both: list[Dataset] = [load_dataset(splits, tmp_path / "cache", split) for split in ("test", "dev")]
    test, dev = ({ticket.query_id for ticket in data.tickets} for data in both)
    assert (len(test), len(dev), test & dev) == (12, 24, set())
