"""Words as the index holds them: the one analysis that articles, questions, snippets and highlights share.

The analyser (tantivy's) splits at everything but letters, digits and the marks upon them, lower-cases, folds accents,
drops English function words and stems. Scripts that write no spaces between words (Chinese, Japanese, Thai, Lao, Khmer,
Burmese) are taken in pairs of neighbouring characters, as Lucene's CJK analyser does.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise
from typing import Any

_FUNCTION_WORDS = """
a about above after again against all am an and any are arent as at be because been before being below between both but
by can cant could couldnt did didnt do does doesnt doing dont down during each few for from further had hadnt has hasnt
have havent having he her here hers hi him his how i id if im in into is isnt it its itself ive just me more most my
myself no nor not now of off on once only or other our ours out over own same she should so some such than that the
their theirs them then there theres these they theyre this those through to too under until up very was wasnt we were
what when where which while who whom why will with wont would you youre your yours
hello thanks thank please
"""
"""Without "get", "got", "can" and the like it would weigh grammar; with more it would drop symptoms ("not" is grammar,
"cannot", "unable", "fails" are symptoms and stay)."""


_SPACELESS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ece\u1000-\u1049\u1050-\u109f\u1780-\u17d3\u3005-\u3007\u3041-\u3096\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0970-\u0dff"
)
"""Combining marks, which `\\w` does not know, within the blocks of their scripts."""
_LETTER = rf"[^\W_{_SPACELESS}]"
_RUN = re.compile(rf"[{_SPACELESS}]+")

WORD = re.compile(rf"([{_SPACELESS}]|{_LETTER}(?:{_LETTER}|[{_MARKS}])*(?:['’](?:{_LETTER}|[{_MARKS}])+)*)")
"""A word in a text; of a script without spaces, a single character."""


def split_words(text: str) -> tuple[list[str], list[str]]:
    """`text` in pieces, where what stands between words and the words take turns; and what to analyse for each word:
    itself, or of a script without spaces the character with the next one.
    """
    pieces = WORD.split(text)
    words = pieces[1::2]
    if not text.isascii() and _RUN.search(text):
        nexts = zip(pieces[2::2], [*words[1:], ""], strict=False)
        words = [
            word + after if not gap and _RUN.match(word) and _RUN.match(after) else word
            for word, (gap, after) in zip(words, nexts, strict=True)
        ]
    return pieces, words


def analyze(text: str) -> list[str]:
    """The terms of `text` as the index holds them, in order, repeats kept."""
    terms: list[str] = _analyzer(stemming=True).analyze(_prepare(text))
    return terms


def surface_words(text: str) -> list[str]:
    """The words of `text` before stemming, one for each term of `analyze` and in the same order."""
    words: list[str] = _analyzer(stemming=False).analyze(_prepare(text))
    return words


def _prepare(text: str) -> str:
    """`text` with letters and marks in their composed form, without apostrophes, so that "doesn't" is one word (and a
    function word) instead of two, and with runs without spaces as their pairs of characters.
    """
    text = text.replace("'", "").replace("\u2019", "")
    return text if text.isascii() else _RUN.sub(_pairs, unicodedata.normalize("NFC", text))


def _pairs(run: re.Match[str]) -> str:
    return f" {' '.join(a + b for a, b in pairwise(run[0])) or run[0]} "


@cache
def _analyzer(stemming: bool) -> Any:
    import tantivy

    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*"))
        .filter(tantivy.Filter.remove_long(60))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.custom_stopword(_FUNCTION_WORDS.split()))
    )
    return (builder.filter(tantivy.Filter.stemmer("english")) if stemming else builder).build()
