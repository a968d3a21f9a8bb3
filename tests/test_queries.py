from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.answers import Question
from service.queries import read_question, shorten_text, symptom_text


def test_a_line_that_a_log_repeats_counts_once() -> None:
    line = "2026-11-30T09:{:02}:07Z worker-{} WARN could not fetch the signing key, retrying in {} ms"
    log = "\n".join(line.format(n % 60, n, 50 * n) for n in range(200))
    views = read_question(Question(f"Orders answer 401 since noon.\n{log}\nFATAL: ORA-12154"))
    assert views.body == f"Orders answer 401 since noon.\n{line.format(0, 0, 0)[21:]}\nFATAL: ORA-12154"


def test_short_lines_that_differ_by_a_number_all_count() -> None:
    text = "It answers with error 401\nIt answers with error 403\n\n- error 401\n- error 403"
    assert symptom_text(text) == text


def test_a_log_without_a_failure_changes_nothing_of_what_was_asked() -> None:
    asked = "Orders answer 401 since noon."
    log = "\n".join(f"2026-11-30T09:{n:02}:07Z INFO [main] c.e.JobRunner - finished job_{n}" for n in range(30))
    views, alone = read_question(Question(f"{log}\n{asked}", "401")), read_question(Question(asked, "401"))
    assert views == alone


def test_a_log_alone_is_read_as_it_is() -> None:
    log = "\n".join(f"09:{n:02}:07 DEBUG JobRunner finished job_{n}" for n in range(3))
    views = read_question(Question(log))
    assert views.body == log
    assert "error code: job_2" in views.signatures


def test_lines_of_a_log_keep_their_signatures_though_their_words_repeat() -> None:
    text = "The upload of the report failed with 0x80070005\nThe upload of the report failed with 0x80070057"
    views = read_question(Question(text))
    assert views.body == text.splitlines()[0]
    assert {name[-10:] for name in views.signatures if "0x" in name} >= {"0x80070005", "0x80070057"}


def test_head_and_tail_of_a_long_log_are_kept_by_whole_lines() -> None:
    text = "It stopped at noon.\n" + "".join(f"12:{n:04} all well\n" for n in range(1000)) + "FATAL: ORA-12154"
    made = shorten_text(text, 500)
    assert made.is_cut
    assert made.text.startswith("It stopped at noon.\n12:0000 all well\n")
    assert made.text.endswith("12:0999 all well\nFATAL: ORA-12154")
    head, tail = made.text.split("\n\n\n")
    assert (len(head) + 1, len(tail), made.whole) == (made.first, made.last, len(text))
    assert all(line.endswith("all well") for line in [*head.splitlines()[1:], *tail.splitlines()[:-1]])


def test_one_long_line_is_cut_where_it_has_to_be() -> None:
    made = shorten_text("a" * 600 + "b" * 600, 102)
    assert made.text == "a" * 50 + "\n\n" + "b" * 50
    assert (made.first, made.last, made.whole) == (50, 50, 1200)


@pytest.mark.parametrize("text", ["", "short", "x" * 100])
def test_what_fits_stays_as_it_is(text: str) -> None:
    made = shorten_text(text, 100)
    assert (made.text, made.is_cut, made.first, made.last) == (text, False, len(text), 0)


@given(st.text(alphabet="ab\n\r", max_size=60), st.integers(0, 40))
def test_it_is_never_longer_and_both_ends_are_the_texts_own(text: str, most: int) -> None:
    made = shorten_text(text, most)
    assert len(made.text) <= most or not made.is_cut
    assert made.first + made.last <= len(text) == made.whole
    if most >= 2 and made.is_cut:
        assert made.text.startswith(text[: made.first])
        assert made.text.endswith(text[len(text) - made.last :])
