"""The stores, made when first used."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from indexer.errors import SettingsError
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
