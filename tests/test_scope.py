from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.metadata import Audience
from indexer.scope import INTERNAL, PUBLIC, Scope

PRODUCTS = st.frozensets(st.sampled_from(["email", "sdk", "agent"]))


def test_a_scope_needs_an_audience() -> None:
    with pytest.raises(ValueError, match="at least one audience"):
        Scope(frozenset())


@given(PRODUCTS, PRODUCTS)
def test_public_never_admits_internal(wanted: frozenset[str], products: frozenset[str]) -> None:
    assert not Scope(PUBLIC.audiences, wanted).admits(Audience.INTERNAL, products)


@pytest.mark.parametrize(
    ("scope", "audience", "products", "admitted"),
    [
        (PUBLIC, Audience.PUBLIC, frozenset({"sdk"}), True),
        (INTERNAL, Audience.INTERNAL, frozenset(), True),
        (Scope(PUBLIC.audiences, frozenset({"sdk"})), Audience.PUBLIC, frozenset({"sdk", "email"}), True),
        (Scope(PUBLIC.audiences, frozenset({"sdk"})), Audience.PUBLIC, frozenset({"email"}), False),
        (Scope(PUBLIC.audiences, frozenset({"sdk"})), Audience.PUBLIC, frozenset(), True),
    ],
)
def test_admits(scope: Scope, audience: Audience, products: frozenset[str], admitted: bool) -> None:
    assert scope.admits(audience, products) is admitted
