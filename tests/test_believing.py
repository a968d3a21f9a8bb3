"""How far a history is believed: as far as it ranks its own held-out tickets better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.cli import app
from indexer.history import read_tickets
from indexer.publishing import read_learned
from indexer.snapshot import HISTORY, Snapshot
from service.believing import FEWEST_TICKETS, average_by_article, choose_factor
from service.learning import LearningReport, PastTicket, learn
from tests.conftest import FakeEmbedder, build, write_article
from tests.eval_world import write_lines

PATHS = ("auth/token-expired.md", "db/listener.md", "mail/bounce.md", "runbooks/restart.md")
JARGON = ("the purple lamp blinks", "my blue box hums", "a green wheel squeaks", "one red cable glows")
"""What customers say of each article's problem; no article has a word of it."""


def _returning(each: int) -> list[PastTicket]:
    """Tickets about the same few problems, again and again, in words that no article has."""
    return [
        PastTicket(f"{path}-{number}", "", f"{words} since day {number}", (path,), "")
        for number in range(each)
        for path, words in zip(PATHS, JARGON, strict=True)
    ]


def _misleading(source: Path) -> list[PastTicket]:
    """Tickets in pairs that say the same, one resolved by the part's own article, one by some other."""
    parts = ["axle", "belt", "boom", "bulb", "clutch", "cog", "crank", "duct", "fan", "fuse", "gasket", "hinge"]
    paths = [f"parts/{name}.md" for name in parts]
    for name, path in zip(parts, paths, strict=True):
        write_article(source, path, f"Replace the {name}.\n", title=f"The {name} fails")
    return [
        PastTicket("", "", f"{name} {verb} {name}", (path,), "")
        for place, name in enumerate(parts)
        for verb, path in (("rattles", paths[place]), ("squeaks", paths[place - 5]))
    ]


def _learn(source: Path, index_dir: Path, tickets: list[PastTicket], *, measure: bool = True) -> LearningReport:
    build(source, index_dir)
    return learn(tickets, index_dir, FakeEmbedder(), measure=measure)


def test_problems_that_come_back_are_believed(small_world: Path, index_dir: Path) -> None:
    tickets = _returning(8)
    belief = _learn(small_world, index_dir, tickets).belief
    assert belief is not None
    assert (belief.factor, belief.tickets, belief.articles) == (1.0, 32, 4)
    assert belief.quality_without < 0.7
    assert belief.quality == pytest.approx(1.0)
    history = Snapshot.open(index_dir).history
    assert history is not None
    assert history.trust == pytest.approx(32 / (32 + 3 * 4))


def test_a_history_that_misleads_does_not_count(source: Path, index_dir: Path) -> None:
    belief = _learn(source, index_dir, _misleading(source)).belief
    assert belief is not None
    assert belief.factor == 0.0
    assert belief.quality == belief.quality_without == max(quality for _, quality in belief.tried)
    assert belief.tried[-1][1] < belief.quality - 0.1
    history = Snapshot.open(index_dir).history
    assert history is not None
    assert (len(history), history.trust) == (24, 0.0)


def test_what_was_measured_survives_a_rebuild(source: Path, index_dir: Path) -> None:
    belief = _learn(source, index_dir, _misleading(source)).belief
    write_article(source, "parts/other.md", "Replace the other.\n")
    build(source, index_dir)
    snapshot = Snapshot.open(index_dir)
    assert read_tickets(snapshot.folder / HISTORY).belief == belief
    learned = read_learned(index_dir, FakeEmbedder()).tickets
    assert learned is not None
    assert learned.belief == belief
    assert snapshot.history is not None
    assert snapshot.history.trust == 0.0


def test_without_measuring_or_with_few_tickets_the_size_alone_decides(source: Path, index_dir: Path) -> None:
    tickets = _misleading(source)
    for chosen, measure in ((tickets, False), (tickets[: FEWEST_TICKETS - 1], True)):
        assert _learn(source, index_dir, chosen, measure=measure).belief is None
        history = Snapshot.open(index_dir).history
        assert history is not None
        assert history.trust == pytest.approx(len(chosen) / (len(chosen) + 3 * 12))


def test_only_words_that_articles_use_are_kept_of_a_ticket(small_world: Path, index_dir: Path) -> None:
    text = "Hello, Ada Lovelace (ada@example.com) cannot resolve the listener, listener of order 4711"
    _learn(small_world, index_dir, [PastTicket("T-1", "Lovelace again", text, ("db/listener.md",), "")])
    folder = Snapshot.open(index_dir).folder / HISTORY
    (words,) = read_tickets(folder).words
    assert "resolv" in words
    stored = b"".join(file.read_bytes() for file in folder.iterdir())
    for said in (b"ovelac", b"ada", b"4711", b"T-1"):
        assert said not in stored


def test_tickets_of_unknown_articles_are_not_asked(small_world: Path, index_dir: Path) -> None:
    tickets = [*_returning(8), *[PastTicket("", "", f"gone {number}", ("gone.md",), "") for number in range(5)]]
    belief = _learn(small_world, index_dir, tickets).belief
    assert belief is not None
    assert belief.tickets == 32


def test_articles_count_alike_however_often_they_are_linked() -> None:
    quality = {place: np.array([1.0, 0.5]) for place in range(4)} | {4: np.array([0.0, 1.0])}
    linked = [frozenset({7}), frozenset({7}), frozenset({7}), frozenset({7, 8}), frozenset({8})]
    np.testing.assert_allclose(average_by_article(quality, linked), [[1.0, 0.5], [0.5, 0.75]])


@pytest.mark.parametrize(
    ("means", "chosen"),
    [
        ([[0.1, 0.5, 0.9], [0.2, 0.5, 0.9]], 2),  # the most is the best
        ([[0.9, 0.5, 0.1], [0.9, 0.6, 0.2]], 0),  # the least is, clearly
        ([[0.5, 0.5, 0.5], [0.6, 0.6, 0.6]], 2),  # equal: as the size says
        ([[0.5, 0.9, 0.1], [0.5, 0.3, 1.0]], 2),  # 0.05 behind, which is within the doubt
        ([[0.5, 0.9, 0.8], [0.5, 0.9, 0.8]], 1),  # 0.1 behind without any doubt
        ([[0.7, 0.3, 0.5]], 0),  # one article
    ],
)
def test_less_belief_has_to_be_better_beyond_doubt(means: list[list[float]], chosen: int) -> None:
    assert choose_factor(np.array(means)) == chosen


@pytest.mark.parametrize(("misleads", "said"), [(False, "believed in full"), (True, "does not count in the ranking")])
def test_kb_learn_says_how_far_it_believes(
    tmp_path: Path, small_world: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch, misleads: bool, said: str
) -> None:
    tickets = _misleading(small_world) if misleads else _returning(8)
    build(small_world, index_dir)
    file = write_lines(
        tmp_path / "h.jsonl", [{"text": ticket.text, "articles": list(ticket.articles)} for ticket in tickets]
    )
    monkeypatch.setattr("indexer.embedding.load_embedder", lambda *_: FakeEmbedder())
    arguments = ["learn", str(file), "--index", str(index_dir)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    printed = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert printed["belief"]["factor"] == (0.0 if misleads else 1.0)
    unmeasured = CliRunner().invoke(app, [*arguments, "--no-measure"])
    assert "held out" not in unmeasured.stdout
