"""Words as the index holds them: the one analysis that articles, questions, snippets and highlights share.

The analyser (tantivy's) splits at everything but letters and digits, lower-cases, folds accents, drops English function
words and stems.
"""

from __future__ import annotations

from functools import cache
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


def analyze(text: str) -> list[str]:
    """The terms of `text` as the index holds them, in order, repeats kept."""
    terms: list[str] = _analyzer(stemming=True).analyze(_join_contractions(text))
    return terms


def surface_words(text: str) -> list[str]:
    """The words of `text` before stemming, one for each term of `analyze` and in the same order."""
    words: list[str] = _analyzer(stemming=False).analyze(_join_contractions(text))
    return words


def _join_contractions(text: str) -> str:
    """Apostrophes dropped, so that "doesn't" is one word (and a function word) instead of two."""
    return text.replace("'", "").replace("\u2019", "")


@cache
def _analyzer(stemming: bool) -> Any:
    import tantivy

    builder = (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(r"[\p{L}\p{N}]+"))
        .filter(tantivy.Filter.remove_long(60))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.custom_stopword(_FUNCTION_WORDS.split()))
    )
    return (builder.filter(tantivy.Filter.stemmer("english")) if stemming else builder).build()
