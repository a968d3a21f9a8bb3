"""Narrowing a list by facets, and what the counts count."""

from __future__ import annotations

import pytest

from indexer.articles import Article, parse_article
from service.facets import FACETS, MAX_VALUE_CHARS, MAX_VALUES, Filters, ValueCount, count_facet, read_filters

PRODUCT, VERSION, COMPONENT, TYPE, AUDIENCE, CONFIDENCE = FACETS


def article(name: str, front: str) -> Article:
    return parse_article(f"{name}.md", f"---\n{front}\n---\n\n# {name}\n\nText.\n".encode())


LIST = (
    article("one", "products: [agent, Sdk]\ncomponents: [tls]\ntype: faq\naudience: public\nversions: [2.x]"),
    article("two", "products: [agent]\ncomponents: [dns]\ntype: runbook\naudience: internal\nconfidence: validated"),
    article("three", "products: [sdk]\ntype: faq\naudience: public"),
)


def admitted(*chosen: tuple[str, str]) -> list[str]:
    return [item.title for item in LIST if Filters(chosen).admit(item)]


@pytest.mark.parametrize(
    ("chosen", "titles"),
    [
        ([], ["one", "two", "three"]),
        ([("product", "agent")], ["one", "two"]),
        ([("product", "agent"), ("product", "SDK")], ["one", "two", "three"]),
        ([("product", "agent"), ("type", "faq")], ["one"]),
        ([("component", "dns"), ("component", "tls"), ("audience", "internal")], ["two"]),
        ([("version", "2.x")], ["one"]),
        ([("confidence", "archived")], []),
    ],
)
def test_values_of_one_facet_widen_and_facets_narrow(chosen: list[tuple[str, str]], titles: list[str]) -> None:
    assert admitted(*chosen) == titles


def test_counts_leave_the_facets_own_choice_aside_and_heed_the_others() -> None:
    filters = Filters((("product", "agent"), ("type", "faq")))
    assert count_facet(PRODUCT, LIST, filters).values == (ValueCount("Sdk", 2, False), ValueCount("agent", 1, True))
    assert count_facet(TYPE, LIST, filters).values == (ValueCount("faq", 1, True), ValueCount("runbook", 1, False))
    assert count_facet(COMPONENT, LIST, filters).values == (ValueCount("tls", 1, False),)


def test_a_count_is_what_ticking_that_value_alone_shows() -> None:
    for facet in FACETS:
        for value in count_facet(facet, LIST, Filters()).values:
            assert value.count == len(admitted((facet.name, value.value)))


def test_a_chosen_value_that_nothing_has_stays_to_be_taken_back() -> None:
    counted = count_facet(VERSION, LIST, Filters((("version", "9.9"),)))
    assert counted.values == (ValueCount("2.x", 1, False), ValueCount("9.9", 0, True))
    assert counted.chosen == ("9.9",)
    assert counted.narrows


def test_a_facet_is_worth_showing_if_it_parts_the_list() -> None:
    assert count_facet(CONFIDENCE, LIST, Filters()).narrows
    assert not count_facet(CONFIDENCE, LIST[1:2], Filters()).narrows
    assert not count_facet(VERSION, LIST[1:], Filters()).narrows


def test_filters_come_from_an_address_and_know_who_may_use_them() -> None:
    pairs = [("q", "x"), ("type", "faq"), ("product", " agent "), ("product", "AGENT"), ("audience", "internal")]
    assert read_filters(pairs, is_internal=True).chosen == (
        ("product", "agent"),
        ("type", "faq"),
        ("audience", "internal"),
    )
    assert read_filters(pairs, is_internal=False).chosen == (("product", "agent"), ("type", "faq"))
    assert not read_filters([("product", "  "), ("nothing", "x")], is_internal=True)


def test_an_address_can_hold_anything() -> None:
    pairs = [("component", f"{number}-{'x' * 500}") for number in range(50)]
    chosen = read_filters(pairs, is_internal=True).values("component")
    assert len(chosen) == MAX_VALUES
    assert chosen[0].startswith("0-")
    assert max(map(len, chosen)) == MAX_VALUE_CHARS
