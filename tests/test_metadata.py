from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from indexer.metadata import ArticleType, Audience, FrontMatter, LooseFrontMatter

COMPLETE = {
    "id": "KB-1042",
    "title": "A title of at least twenty characters",
    "summary": "What it solves.",
    "type": "known-error",
    "confidence": "validated",
    "governance": "open",
    "products": ["email"],
    "components": ["gateway"],
    "tags": ["tls", "mail"],
    "owner": "email-support",
    "last_verified": date(2026, 9, 5),
}


def test_the_full_schema_accepts_a_complete_article_and_defaults_to_internal() -> None:
    front = FrontMatter.model_validate(COMPLETE)
    assert front.type is ArticleType.KNOWN_ERROR
    assert front.audience is Audience.INTERNAL


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "KB-1"),
        ("id", "1042"),
        ("title", "Too short"),
        ("title", "x" * 111),
        ("summary", ""),
        ("summary", "x" * 301),
        ("type", "howto"),
        ("audience", "everyone"),
        ("confidence", "sure"),
        ("governance", "closed"),
        ("products", []),
        ("components", []),
        ("tags", ["one"]),
        ("tags", list("abcdefghi")),
        ("versions", [2.1]),
        ("error_codes", [401]),
        ("owner", "Jane Doe"),
        ("last_verified", "yesterday"),
        ("unknown", 1),
    ],
)
def test_the_full_schema_refuses(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        FrontMatter.model_validate({**COMPLETE, field: value})


@pytest.mark.parametrize("field", sorted(COMPLETE))
def test_every_field_of_the_complete_article_is_required(field: str) -> None:
    with pytest.raises(ValidationError):
        FrontMatter.model_validate({key: value for key, value in COMPLETE.items() if key != field})


def test_the_loose_schema_takes_what_it_knows_and_guesses_no_audience() -> None:
    loose = LooseFrontMatter.model_validate({"products": "email", "error_codes": [401, "x"], "tags": None, "foo": 1})
    assert loose.products == ("email",)
    assert loose.error_codes == ("401", "x")
    assert loose.tags == ()
    assert loose.audience is None
    with pytest.raises(ValidationError):
        LooseFrontMatter.model_validate({"audience": "Public"})
