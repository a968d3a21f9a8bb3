from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.dense import IndexType, Selection
from indexer.engine import Evidence, Query, RetrievalEngine
from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC, Scope
from indexer.signatures import extract_signatures, signature_key
from indexer.snapshot import Snapshot
from tests.conftest import FakeEmbedder, build, write_article


def _query(text: str, scope: Scope = INTERNAL, limit: int = 60, excluded: frozenset[str] = frozenset()) -> Query:
    signatures = frozenset(signature_key(signature) for signature in extract_signatures(text))
    return Query(FakeEmbedder().embed([text])[0], text, signatures, scope, limit, excluded)


def _paths(engine: RetrievalEngine, evidence: Evidence) -> list[str]:
    return [engine.snapshot.store.cards[row].path for row in evidence.candidates.rows.tolist()]


@pytest.fixture
def engine(small_world: Path, index_dir: Path) -> RetrievalEngine:
    build(small_world, index_dir)
    return RetrievalEngine(Snapshot.open(index_dir))


def test_an_exact_signature_is_named_with_its_article(engine: RetrievalEngine) -> None:
    evidence = engine.search(_query("we see ORA-12154 since today"))
    (row,) = evidence.signatures
    assert engine.snapshot.store.cards[row].path == "db/listener.md"
    assert evidence.signatures[row] == ("error code: ora-12154",)
    assert evidence.rarities == pytest.approx({"error code: ora-12154": 1.0})
    assert engine.search(_query("we see ORA-99999")).rarities == {}


def test_how_telling_a_signature_is_does_not_tell_of_articles_out_of_sight(small_world: Path, index_dir: Path) -> None:
    write_article(small_world, "runbooks/db.md", "The alert shows ORA-12154 or ORA-00942.\n", audience="internal")
    build(small_world, index_dir)
    engine = RetrievalEngine(Snapshot.open(index_dir))
    everything = engine.search(_query("ORA-12154 ORA-00942")).rarities
    assert everything["error code: ora-12154"] < everything["error code: ora-00942"] == pytest.approx(1.0)
    assert engine.search(_query("ORA-12154 ORA-00942", PUBLIC)).rarities == pytest.approx(
        {"error code: ora-12154": 1.0}
    )


def test_signals_are_of_every_candidate_and_agree_with_the_vectors(engine: RetrievalEngine) -> None:
    query = _query("token expired and the API answers 401")
    evidence = engine.search(query)
    signals = evidence.candidates
    for values in (signals.passages, signals.gist, signals.opening, signals.plain, signals.words, signals.held):
        assert values.shape == signals.rows.shape
        assert np.isfinite(values).all()
    best = engine.snapshot.store.cards[int(signals.rows[int(np.argmax(signals.words))])]
    assert best.path == "auth/token-expired.md"
    position = signals.rows.tolist().index(best.row)
    chunks = evidence.cosines.of(best.row)
    assert chunks.shape == (best.chunk_count,)
    assert signals.passages[position] == pytest.approx(np.sort(chunks)[-3:].mean(), abs=1e-5)


def test_a_huge_article_is_measured_like_any_other(small_world: Path, index_dir: Path) -> None:
    parts = "\n\n".join(f"## Part {number}\n\nWidget number {number} stops." for number in range(300))
    write_article(small_world, "huge.md", f"{parts}\n", title="All widgets")
    build(small_world, index_dir)
    engine = RetrievalEngine(Snapshot.open(index_dir))
    evidence = engine.search(_query("widget 299 stops"))
    for row, mean in zip(evidence.candidates.rows.tolist(), evidence.candidates.passages.tolist(), strict=True):
        chunks = evidence.cosines.of(row)
        assert len(chunks) == engine.snapshot.store.cards[row].chunk_count
        assert mean == pytest.approx(np.sort(chunks)[-3:].mean(), abs=1e-5)
    assert max(card.chunk_count for card in engine.snapshot.store.cards) == 300


def test_public_never_sees_internal(engine: RetrievalEngine) -> None:
    text = "Gateway is down in every region: restart the gateway pods, 503"
    assert "runbooks/restart.md" in _paths(engine, engine.search(_query(text, INTERNAL)))
    found = engine.search(_query(text, PUBLIC))
    assert "runbooks/restart.md" not in _paths(engine, found)
    row = engine.snapshot.store.row_of("KB-1004")
    assert row is not None
    assert row not in found.background.rows
    assert row not in found.signatures
    assert not engine.visible(PUBLIC)[row]


def test_excluded_articles_are_treated_as_not_there(engine: RetrievalEngine) -> None:
    found = engine.search(_query("ORA-12154", excluded=frozenset({"db/listener.md", "not/there.md"})))
    assert "db/listener.md" not in _paths(engine, found)
    row = engine.snapshot.store.row_of("db/listener.md")
    assert row not in found.background.rows
    assert row not in found.signatures


def test_a_scope_that_admits_nothing(engine: RetrievalEngine) -> None:
    found = engine.search(_query("ORA-12154", Scope(frozenset({Audience.INTERNAL}), frozenset({"nothing"}))))
    assert found.candidates.rows.shape == (0,)
    assert found.background.rows.shape == (0,)
    assert found.signatures == {}


@pytest.mark.parametrize("text", ["", " ", "the", "漢字", "\x00", "?" * 3000])
def test_odd_questions(engine: RetrievalEngine, text: str) -> None:
    assert np.isfinite(engine.search(_query(text)).candidates.passages).all()


def test_one_article_is_enough(source: Path, index_dir: Path) -> None:
    write_article(source, "only.md", "The only words there are.\n")
    build(source, index_dir)
    engine = RetrievalEngine(Snapshot.open(index_dir))
    assert _paths(engine, engine.search(_query("only words"))) == ["only.md"]


WORLDS = st.lists(
    st.tuples(
        st.sampled_from(["public", "internal", None]),
        st.sampled_from(["", "products: [email]", "products: [sdk, email]", "products: [SDK]"]),
        st.lists(st.sampled_from(["token", "ORA-12154", "gateway", "http 503", "invalid_grant", "mail"]), max_size=6),
    ),
    min_size=1,
    max_size=9,
)
SCOPES = st.builds(
    Scope,
    st.frozensets(st.sampled_from(list(Audience)), min_size=1),
    st.frozensets(st.sampled_from(["email", "sdk"])),
)


@settings(max_examples=25)
@given(WORLDS, SCOPES, st.sampled_from(list(IndexType)[:4]), st.integers(1, 20))
def test_no_row_outside_the_scope_from_any_search(
    world: list[tuple[str | None, str, list[str]]], scope: Scope, kind: IndexType, limit: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, (audience, front, words) in enumerate(world):
            body = " ".join(words) + f" words number {number}.\n"
            write_article(root / "a", f"{number}.md", body, title="Token gateway mail", audience=audience, front=front)
        build(root / "a", root / "i", index_type=kind)
        snapshot = Snapshot.open(root / "i")
        engine = RetrievalEngine(snapshot)
        admitted = {card.row for card in snapshot.store.cards if scope.admits(card.audience, card.product_set)}
        for other in (scope, PUBLIC):
            inside = {row for row in range(len(world)) if engine.visible(other)[row]}
            found = engine.search(_query("token ORA-12154 gateway http 503 mail", other, limit))
            assert set(found.candidates.rows.tolist()) <= inside
            assert set(found.background.rows.tolist()) <= inside
            assert found.signatures.keys() | found.similar_tickets.keys() <= inside
            of = snapshot.chunks["article"]
            mask = np.array([int(row) in inside for row in of])
            (dense,) = snapshot.vectors.search(FakeEmbedder().embed(["token"]), Selection(mask), 50)
            assert {int(of[row]) for row in dense.rows} <= inside
        assert {row for row in range(len(world)) if engine.visible(scope)[row]} == admitted
        public = {card.row for card in snapshot.store.cards if card.audience is Audience.PUBLIC}
        assert {row for row in range(len(world)) if engine.visible(PUBLIC)[row]} == public
