"""Duplicates, known incidents and bursts."""

from __future__ import annotations

import numpy as np
import pytest

from indexer.embedding import Vectors
from service.triage_similar import (
    ALERTS,
    SAME_SIGNATURE_COSINE,
    SAME_WORDING_COSINE,
    BurstRule,
    RecentTicket,
    find_burst,
    find_duplicates,
    name_signatures,
    poisson_tail,
    telling,
)

NOW_S = 1_800_000_000.0
HOUR_S = 3600.0
ORA = "error code: ora-12154"
HTTP = "status: http 401"
OWN = np.array([1.0, 0.0], np.float32)


def at(cosine: float) -> Vectors:
    """A unit vector with this cosine to OWN."""
    return np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)


def ticket(name: str, cosine: float, age_s: float = 600.0, **values: object) -> RecentTicket:
    return RecentTicket(name, at(cosine), NOW_S - age_s, **values)  # type: ignore[arg-type]


def ids(signatures: set[str], *tickets: RecentTicket) -> list[str]:
    return [duplicate.ticket_id for duplicate in find_duplicates(OWN, signatures, tickets)]


def test_nearly_the_same_words_are_a_likely_duplicate() -> None:
    assert ids(set(), ticket("near", SAME_WORDING_COSINE + 0.01), ticket("far", SAME_WORDING_COSINE - 0.01)) == ["near"]


def test_the_same_exact_error_needs_less_likeness_but_some() -> None:
    has = frozenset({ORA})
    tickets = (
        ticket("same", SAME_SIGNATURE_COSINE + 0.01, signatures=has),
        ticket("chance", SAME_SIGNATURE_COSINE - 0.01, signatures=has),
        ticket("without", SAME_SIGNATURE_COSINE + 0.01),
    )
    assert ids({ORA, HTTP}, *tickets) == ["same"]
    found = find_duplicates(OWN, {ORA, HTTP}, tickets)[0]
    assert found.signatures == (ORA,)
    assert found.reason == "has the same exact error: ora-12154; is alike (0.46)"


def test_a_status_alone_names_no_failure() -> None:
    assert telling({ORA, HTTP, "identifier: set-cookie", "exit code 1"}) == {ORA}
    assert ids({HTTP}, ticket("other", 0.6, signatures=frozenset({HTTP}))) == []


@pytest.mark.parametrize(
    "signature",
    ["exception: typeerror", "exception: nullpointerexception", "error code: error 404", "error code: smtp 2.0.0"],
)
def test_what_any_program_may_say_names_no_failure(signature: str) -> None:
    assert telling({signature, "exception: chunkloaderror"}) == {"exception: chunkloaderror"}


def test_a_reason_names_codes_rather_than_whole_lines() -> None:
    line = "log line: error: could not resolve the name"
    assert name_signatures({ORA, line}) == "ora-12154"
    assert name_signatures({line}) == "error: could not resolve the name"


def test_closed_tickets_are_no_duplicates_but_declared_incidents_are_and_come_first() -> None:
    closed = ticket("closed", 0.99, is_open=False)
    incident = ticket("INC-1", 0.85, is_open=False, is_incident=True)
    assert ids(set(), closed, ticket("open", 0.95), incident) == ["INC-1", "open"]


def test_no_recent_tickets_no_duplicates_no_burst() -> None:
    assert find_duplicates(OWN, {ORA}, []) == ()
    assert find_burst(OWN, {ORA}, [], NOW_S) is None


def burst_of(*ages_s: float, **values: object) -> list[RecentTicket]:
    return [ticket(f"T{n}", 0.9, age, **values) for n, age in enumerate(ages_s)]


def test_many_tickets_of_one_symptom_in_a_short_time_are_a_possible_incident() -> None:
    found = find_burst(OWN, {ORA}, burst_of(300, 1200, 600, signatures=frozenset({ORA})), NOW_S)
    assert found is not None
    assert (found.count, found.since_s) == (4, NOW_S - 1200)
    assert found.ticket_ids == ("T1", "T2", "T0")
    assert found.signatures == (ORA,)
    assert found.reason.startswith("4 tickets with this symptom since 2027-01-15 07:40 UTC, all with ora-12154; none")


def test_fewer_are_not() -> None:
    assert find_burst(OWN, set(), burst_of(300, 600), NOW_S) is None


def test_closed_tickets_count_and_other_symptoms_do_not() -> None:
    near = burst_of(300, 600, 900, is_open=False)
    assert find_burst(OWN, set(), near, NOW_S) is not None
    assert find_burst(OWN, set(), [*near[:2], ticket("other", 0.2, 900)], NOW_S) is None


def test_many_tickets_of_one_account_count_once() -> None:
    assert find_burst(OWN, set(), burst_of(1, 2, 3, 4, 5, 6, account="acme"), NOW_S) is None


def test_tickets_of_this_tickets_own_account_add_nothing() -> None:
    others = [*burst_of(1, 2, account="acme"), ticket("B", 0.9, account="b"), ticket("C", 0.9, account="c")]
    assert find_burst(OWN, set(), others, NOW_S, account="acme") is None
    found = find_burst(OWN, set(), others, NOW_S, account="d")
    assert found is not None
    assert found.count == 4
    assert found.reason.startswith("5 tickets of 4 accounts with this symptom since "), "as many as are named"


def test_an_alert_that_arrives_through_several_tools_is_one_and_no_duplicate_of_itself() -> None:
    twins = burst_of(1, 2, 3, 4, 5, account=ALERTS)
    assert find_burst(OWN, set(), twins, NOW_S, account=ALERTS) is None
    assert find_duplicates(OWN, set(), twins, ALERTS) == ()


def test_an_alert_counts_once_beside_tickets_and_is_named_once() -> None:
    twins = burst_of(300, 200, 100, account=ALERTS)
    people = [ticket(name, 0.85, 50, account=name) for name in "AB"]
    found = find_burst(OWN, set(), [*twins, *people], NOW_S, account="C")
    assert found is not None
    assert (found.count, found.ticket_ids) == (4, ("T0", "A", "B"))
    assert [duplicate.ticket_id for duplicate in find_duplicates(OWN, set(), [*twins, *people], "C")] == [
        "T0",
        "A",
        "B",
    ]
    found = find_burst(OWN, set(), [*twins, *people, ticket("D", 0.85, 50)], NOW_S, account=ALERTS)
    assert found is not None
    assert found.count == 4
    assert set(found.ticket_ids) == {"A", "B", "D"}
    assert find_burst(OWN, set(), [*twins, *people], NOW_S, account=ALERTS) is None


def test_accounts_that_report_day_after_day_are_usual_each_time() -> None:
    steady = [
        ticket(f"{name}{number}", 0.9, number * 2 * HOUR_S + 60, account=name)
        for name in "ABCD"
        for number in range(13 * 12)
    ]
    assert find_burst(OWN, set(), steady, NOW_S) is None
    found = find_burst(OWN, set(), [*steady, *burst_of(*[60.0 * n for n in range(1, 9)])], NOW_S)
    assert found is not None
    assert found.expected == pytest.approx(4.0, abs=0.1)


def test_what_is_usual_is_no_incident() -> None:
    steady = burst_of(*[HOUR_S * hour / 2 + 60 for hour in range(96)])
    assert find_burst(OWN, set(), steady, NOW_S) is None
    sudden = [*steady, *[ticket(f"S{n}", 0.9, 60.0 * n + 1) for n in range(16)]]
    found = find_burst(OWN, set(), sudden, NOW_S)
    assert found is not None
    assert found.expected == pytest.approx(4.0, abs=0.2)


def test_tickets_after_now_and_before_the_window_do_not_count() -> None:
    rule = BurstRule(window_s=HOUR_S)
    assert find_burst(OWN, set(), burst_of(-10, 300, 600, HOUR_S + 1), NOW_S, rule) is None


@pytest.mark.parametrize(("count", "expected", "tail"), [(0, 1.0, 1.0), (1, 0.5, 0.39347), (4, 0.5, 0.001752)])
def test_poisson_tail(count: int, expected: float, tail: float) -> None:
    assert poisson_tail(count, expected) == pytest.approx(tail, abs=1e-5)
