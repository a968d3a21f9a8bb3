from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from indexer.building import build_index
from indexer.errors import IndexMismatch, IndexNotFound
from indexer.history import Belief, ResolvedTickets, TicketHistory, read_tickets, write_history
from indexer.publishing import Learned, publish_learned
from indexer.snapshot import Snapshot
from tests.conftest import FakeEmbedder, build

AXES = np.eye(4, dtype=np.float32)


def _history(folder: Path, tickets: ResolvedTickets) -> TicketHistory:
    write_history(folder / "h", tickets, ["a.md", "b.md", "c.md"], AXES[:3], np.eye(4, dtype=np.float32))
    return TicketHistory(folder / "h", ["a.md", "b.md", "c.md"])


def test_a_similar_ticket_votes_for_what_resolved_it(tmp_path: Path) -> None:
    history = _history(tmp_path, ResolvedTickets(AXES[[3, 1]], (("a.md",), ("b.md", "gone.md")), ("", "")))
    evidence = history.evidence(AXES[3])
    assert int(np.argmax(evidence.votes)) == 0
    assert evidence.counts[0] == 1
    assert evidence.votes[2] == 0
    assert evidence.prototype[0] > 0.2
    assert evidence.prototype[2] == pytest.approx(0.0)
    assert len(history) == 2
    assert evidence.trust == pytest.approx(2 / (2 + 9))


def test_without_some_tickets_it_is_as_if_they_had_never_been(tmp_path: Path) -> None:
    links = (("a.md",), ("b.md", "c.md"), ("b.md",))
    vectors = AXES[[3, 3, 1]]
    whole = _history(tmp_path / "whole", ResolvedTickets(vectors, links, ("", "", "")))
    before = whole.evidence(AXES[3])
    less = whole.without(np.array([1])).without(np.array([1]))
    never = _history(tmp_path / "never", ResolvedTickets(vectors[[0, 2]], (links[0], links[2]), ("", "")))
    for ours, theirs in ((less, never), (whole, _history(tmp_path / "x", ResolvedTickets(vectors, links, ("",) * 3)))):
        found, wanted = ours.evidence(AXES[3]), theirs.evidence(AXES[3])
        np.testing.assert_allclose(found.votes, wanted.votes, atol=1e-6)
        np.testing.assert_allclose(found.prototype, wanted.prototype, atol=1e-6)
        np.testing.assert_array_equal(found.counts, wanted.counts)
        assert (len(ours), ours.trust) == (len(theirs), theirs.trust)
    np.testing.assert_array_equal(whole.evidence(AXES[3]).votes, before.votes)


def test_words_tell_apart_what_vectors_do_not(tmp_path: Path) -> None:
    words = (frozenset({"webhook", "gone"}), frozenset({"webhook", "certificate"}), frozenset({"certificate"}))
    tickets = ResolvedTickets(AXES[[3, 3, 3]], (("a.md",), ("b.md",), ("c.md",)), ("", "", ""), None, words)
    history = _history(tmp_path / "words", tickets)
    blind = history.evidence(AXES[3]).votes
    np.testing.assert_allclose(blind, blind[0])
    np.testing.assert_allclose(history.evidence(AXES[3], ["unheard"]).votes, blind)
    first, second, third = history.evidence(AXES[3], {"webhook": 1.0, "gone": 2.0}).votes
    assert first > second > third > 0
    assert np.argmax(history.evidence(AXES[3], ["certificate"]).votes) == 2
    far = history.evidence(AXES[0], ["gone"])
    assert far.votes[0] > 0
    assert far.votes[2] == 0


def test_words_of_tickets_that_are_held_out_change_nothing(tmp_path: Path) -> None:
    words = (frozenset({"webhook", "gone"}), frozenset({"webhook"}), frozenset({"certificate", "gone", "old", "x"}))
    links, vectors = (("a.md",), ("b.md",), ("c.md",)), AXES[[3, 1, 3]]
    less = _history(tmp_path / "whole", ResolvedTickets(vectors, links, ("",) * 3, None, words)).without(np.array([2]))
    never = _history(tmp_path / "never", ResolvedTickets(vectors[:2], links[:2], ("",) * 2, None, words[:2]))
    for terms in (["gone"], ["webhook", "gone"], ["certificate"], []):
        found, wanted = less.evidence(AXES[3], terms), never.evidence(AXES[3], terms)
        np.testing.assert_allclose(found.votes, wanted.votes, atol=1e-6)
        np.testing.assert_array_equal(found.counts, wanted.counts)


@pytest.mark.parametrize(
    "words", [(), (frozenset(), frozenset()), (frozenset({"a", "b"}), frozenset()), (frozenset({"b"}), frozenset("cb"))]
)
def test_words_are_read_as_they_were_written(tmp_path: Path, words: tuple[frozenset[str], ...]) -> None:
    tickets = ResolvedTickets(AXES[:2], (("a.md",), ("b.md",)), ("", ""), None, words)
    assert _history(tmp_path, tickets).evidence(AXES[0], ["b"]).votes[0] > 0
    assert read_tickets(tmp_path / "h").words == words


def test_belief_scales_trust(tmp_path: Path) -> None:
    belief = Belief(0.25, 40, 3, ((0.0, 0.5), (0.25, 0.6), (1.0, 0.4)), "2026-01-02")
    history = _history(tmp_path, ResolvedTickets(AXES[[3, 1]], (("a.md",), ("b.md",)), ("", ""), belief))
    assert history.trust == history.evidence(AXES[3]).trust == pytest.approx(0.25 * 2 / (2 + 9))
    assert read_tickets(tmp_path / "h").belief == belief
    assert (belief.quality, belief.quality_without) == (0.6, 0.5)


def test_links_to_articles_that_left_are_kept_in_the_file(tmp_path: Path) -> None:
    tickets = ResolvedTickets(AXES[[3]], (("gone.md",),), ("2026-01-02",))
    assert _history(tmp_path, tickets).evidence(AXES[3]).votes.sum() == 0
    again = read_tickets(tmp_path / "h")
    assert again.links == (("gone.md",),)
    assert again.created == ("2026-01-02",)
    np.testing.assert_array_equal(again.vectors, tickets.vectors)


def test_history_is_published_and_survives_a_rebuild(small_world: Path, index_dir: Path) -> None:
    embedder = FakeEmbedder()
    build(small_world, index_dir, embedder)
    assert Snapshot.open(index_dir).history is None
    tickets = ResolvedTickets(embedder.embed(["login is broken"]), (("auth/token-expired.md", "no/such.md"),), ("",))
    version, unknown = publish_learned(index_dir, embedder, Learned(tickets))
    assert unknown == ("no/such.md",)
    assert Snapshot.open(index_dir).name == version
    for name in (version, build(small_world, index_dir).version):
        history = Snapshot.open(index_dir).history
        assert history is not None, name
        assert len(history) == 1
    build_index(small_world, index_dir, FakeEmbedder(salt="other"))
    assert Snapshot.open(index_dir).history is None


def test_history_needs_an_index_by_the_same_model(small_world: Path, index_dir: Path) -> None:
    tickets = ResolvedTickets(FakeEmbedder().embed(["x"]), (("a.md",),), ("",))
    with pytest.raises(IndexNotFound):
        publish_learned(index_dir, FakeEmbedder(), Learned(tickets))
    build(small_world, index_dir)
    with pytest.raises(IndexMismatch):
        publish_learned(index_dir, FakeEmbedder(salt="other"), Learned(tickets))


def test_only_older_tickets_count_for_a_day_in_the_past(tmp_path: Path) -> None:
    links = (("a.md",), ("b.md",), ("c.md",))
    both = _history(tmp_path / "both", ResolvedTickets(AXES[[3, 3, 3]], links, ("2026-01-01", "2026-02-01", "")))
    then = both.evidence(AXES[3], before="2026-02-01")
    alone = _history(tmp_path / "one", ResolvedTickets(AXES[[3]], (("a.md",),), ("2026-01-01",))).evidence(AXES[3])
    np.testing.assert_allclose(then.votes, alone.votes, atol=1e-6)
    np.testing.assert_allclose(then.prototype, alone.prototype, atol=1e-6)
    np.testing.assert_array_equal(then.counts, alone.counts)
    assert then.trust == alone.trust
    assert both.evidence(AXES[3], before="2020-01-01").votes.sum() == 0


def test_a_calibrated_decision_is_published_and_survives_a_rebuild(small_world: Path, index_dir: Path) -> None:
    build(small_world, index_dir)
    publish_learned(index_dir, FakeEmbedder(), Learned(decision={"model": {"threshold": 0.7}}))
    build(small_world, index_dir)
    assert Snapshot.open(index_dir).decision == {"model": {"threshold": 0.7}}
