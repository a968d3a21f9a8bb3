"""Exact positions in one Markdown file: lines, characters and bytes of the bytes as they lie on disk."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from dataclasses import dataclass, field

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a source file.

    Lines are 1-based and inclusive; bytes are 0-based and half-open, counted in the file as stored (UTF-8).
    """

    start_line: int
    end_line: int
    start_byte: int
    end_byte: int


@dataclass(frozen=True)
class SourceText:
    """The text of one file with its line table.

    Lines end where CommonMark ends them (LF, CR or CRLF), never at the other separators that `str.splitlines` knows,
    so line numbers agree with markdown-it-py's token maps and with every editor.
    """

    data: bytes
    text: str = field(init=False)
    _char_starts: list[int] = field(init=False, repr=False)
    _byte_starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        text = self.data.decode("utf-8")
        char_starts = [0]
        byte_starts = [0]
        for match in _LINE_END.finditer(text):
            start = char_starts[-1]
            char_starts.append(match.end())
            byte_starts.append(byte_starts[-1] + len(text[start : match.end()].encode()))
        if char_starts[-1] == len(text) and len(char_starts) > 1:
            char_starts.pop()
            byte_starts.pop()
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "_char_starts", char_starts)
        object.__setattr__(self, "_byte_starts", byte_starts)

    @property
    def line_count(self) -> int:
        return len(self._char_starts)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def line_start(self, line: int) -> int:
        """Character offset of the 1-based `line`; one past the last line gives the end of the text."""
        return self._char_starts[line - 1] if line <= self.line_count else len(self.text)

    def line_of(self, offset: int) -> int:
        """1-based line that holds the character at `offset`."""
        return bisect_right(self._char_starts, offset)

    def byte_of(self, offset: int) -> int:
        """Byte offset of the character at `offset`."""
        index = bisect_right(self._char_starts, offset) - 1
        return self._byte_starts[index] + len(self.text[self._char_starts[index] : offset].encode())

    def offset_of_byte(self, byte: int) -> int:
        """Character offset of the character that begins at `byte`."""
        index = bisect_right(self._byte_starts, byte) - 1
        return self._char_starts[index] + len(self.data[self._byte_starts[index] : byte].decode("utf-8"))

    def span(self, start: int, end: int) -> Span:
        """The span of the non-empty half-open character range `start:end`."""
        return Span(self.line_of(start), self.line_of(max(start, end - 1)), self.byte_of(start), self.byte_of(end))

    def line_span(self, first: int, last: int) -> Span:
        """The span of whole lines `first..last`, without the last line's ending."""
        start = self.line_start(first)
        end = self.line_start(last + 1)
        return Span(first, last, self.byte_of(start), self.byte_of(start + len(self.text[start:end].rstrip("\r\n"))))

    def slice(self, span: Span) -> str:
        """The text of `span`."""
        return self.data[span.start_byte : span.end_byte].decode("utf-8")


def sha256_of(text: str) -> str:
    """Hex SHA-256 of the UTF-8 form of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()
