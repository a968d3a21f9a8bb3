from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.source import SourceText, Span, sha256_of

TEXTS = st.lists(
    st.sampled_from(["\r\n", "\n", "\r", "a", "ü", "漢", "🙂", " ", "\u2028", "\x0b", "\ufeff", "# ", "e\u0301"]),
    max_size=40,
).map("".join)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", 1),
        (b"a", 1),
        (b"a\n", 1),
        (b"a\nb", 2),
        (b"a\r\nb\r\n", 2),
        (b"a\rb\r", 2),
        (b"\n\n", 2),
        ("a\u2028b\x0bc\x85d".encode(), 1),
    ],
)
def test_lines_end_where_commonmark_ends_them(data: bytes, lines: int) -> None:
    assert SourceText(data).line_count == lines


def test_line_span_leaves_out_the_last_line_ending() -> None:
    source = SourceText("ä\r\nbc\r\n\r\nd".encode())
    assert source.line_span(1, 2) == Span(1, 2, 0, 6)
    assert source.slice(source.line_span(1, 2)) == "ä\r\nbc"
    assert source.slice(source.line_span(4, 4)) == "d"


def test_offsets_of_lines_and_bytes() -> None:
    source = SourceText("🙂x\nü".encode())
    assert [source.line_of(offset) for offset in range(4)] == [1, 1, 1, 2]
    assert [source.byte_of(offset) for offset in range(5)] == [0, 4, 5, 6, 8]
    assert source.line_start(2) == 3
    assert source.line_start(3) == 4


def test_hash_is_of_the_bytes_on_disk() -> None:
    data = b"\xef\xbb\xbfa\r\n"
    assert SourceText(data).sha256 == hashlib.sha256(data).hexdigest()
    assert sha256_of("ü") == hashlib.sha256("ü".encode()).hexdigest()


@given(TEXTS, st.data())
def test_a_span_slices_to_the_text_it_was_made_of(text: str, data: st.DataObject) -> None:
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    source = SourceText(text.encode())
    span = source.span(start, end)
    assert source.slice(span) == text[start:end]
    assert source.line_start(span.start_line) <= start
    assert source.line_start(span.end_line + 1) >= end
    assert 1 <= span.start_line <= span.end_line <= source.line_count


@given(TEXTS)
def test_lines_partition_the_text(text: str) -> None:
    source = SourceText(text.encode())
    starts = [source.line_start(line) for line in range(1, source.line_count + 2)]
    assert starts[0] == 0
    assert starts[-1] == len(text)
    assert starts == sorted(starts)
    assert "".join(text[a:b] for a, b in pairwise(starts)) == text
