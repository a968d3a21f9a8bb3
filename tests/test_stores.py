"""The stores, made when first used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from eval.cli import app as kb
from indexer.errors import IndexNotFound, SettingsError
from service.feedback import Feedback
from service.settings import Settings
from service.stores import Stores


def test_nothing_is_made_before_it_is_used_and_one_database_serves_all(tmp_path: Path) -> None:
    stores = Stores(Settings(index=tmp_path / "index"))
    stores.close()
    assert list(tmp_path.iterdir()) == []
    assert stores.database is stores.database
    assert stores.ledger is stores.ledger
    with stores.ledger._database.begin() as connection:
        assert connection.execute(text("select count(*) from feedback")).scalar() == 0
    assert stores.feedback._database is stores.database
    stores.close()


def test_a_database_that_the_operator_named_is_checked_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="KB_DATABASE_URL"):
        Stores(Settings(index=tmp_path / "index", database_url="no url at all"))


def said(article: str, helpful: bool, comment: str = "") -> Feedback:
    return Feedback("version", article, helpful, comment, "public", None)


def test_what_readers_said_is_reported_by_article_and_worst_first(tmp_path: Path) -> None:
    index = tmp_path / "index"
    (index / "version").mkdir(parents=True)
    (index / "CURRENT").write_text("version")
    run = CliRunner()
    nothing = run.invoke(kb, ["feedback", "--index", str(index)])
    assert (nothing.exit_code, nothing.output) == (0, "No reader said anything about an article in 30 days.\n")
    assert not list(tmp_path.glob("*.sqlite"))
    store = Stores(Settings(index=index)).feedback
    for number in range(5):
        store.add(said("a.md", False, f"number {number}\n\x1b[31mred"))
    store.add(said("b.md", True, "  "))
    store.add(said("b.md", False))
    told = run.invoke(kb, ["feedback", "--index", str(index)]).output
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert told.splitlines() == [
        " helped  not  article",
        "      0    5  a.md",
        *(f"              {today} did not help: number {number} \ufffd[31mred" for number in (4, 3, 2)),
        "      1    1  b.md",
    ]
    (first, second) = json.loads(run.invoke(kb, ["feedback", "--index", str(index), "--json"]).output)
    assert (first["article"], first["helpful"], first["unhelpful"]) == ("a.md", 0, 5)
    assert first["comments"][0]["text"] == "number 4\n\x1b[31mred"
    assert second["comments"] == []
    assert store.report(30, datetime.now(UTC) + timedelta(days=31)) == []


def test_a_mistyped_index_is_no_quiet_month(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFound):
        CliRunner().invoke(kb, ["feedback", "--index", str(tmp_path / "typo")], catch_exceptions=False)
