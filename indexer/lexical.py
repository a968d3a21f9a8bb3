"""Passage-level BM25 by tantivy: one document a chunk.

The analyser splits at everything but letters and digits, lower-cases, folds accents, drops English function words and
stems; it serves the article-level index (`indexer.words`), snippets and highlights too. Identifiers survive whole in a
field of their own (`ORA-12154`, `ERR_CERT_AUTHORITY_INVALID`), besides in parts.
User text never reaches a query parser: terms are built one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from indexer.scope import Scope
from indexer.signatures import SignatureKind, extract_signatures

_ANALYZER = "kb_english"
_EXACT = "kb_exact"
_MAX_QUERY_TERMS = 200
"""Distinct terms of one query; the rarest are kept. A whole pasted log still answers in milliseconds."""


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


@dataclass(frozen=True, slots=True)
class LexicalDocument:
    """What is indexed of a chunk. `row` is its number in the chunk table."""

    row: int
    title: str
    headings: str
    body: str
    audience: str
    products: tuple[str, ...]


FIELD_BOOSTS = {"title": 2.0, "headings": 1.5, "body": 1.0, "identifiers": 2.0}
"""BM25F-like weights. Round numbers: quality is flat around them (docs/retrieval.md)."""


class LexicalIndex:
    """One tantivy index, opened for reading. Searching is thread-safe."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        self._tantivy = tantivy
        self._index = tantivy.Index.open(str(folder))
        _register(self._index)
        self._schema = self._index.schema
        self._searcher = self._index.searcher()

    def search(self, text: str, scope: Scope, limit: int) -> list[tuple[int, float]]:
        """Rows and BM25 scores of the best `limit` documents inside `scope`, best first."""
        query = self._query(text, scope)
        if query is None or limit <= 0:
            return []
        found = self._searcher.search(query, limit, count=False).hits
        rows = self._searcher.fast_field_values("row", [address for _, address in found])
        return [(int(row), float(score)) for row, (score, _) in zip(rows, found, strict=True)]

    def document_frequency(self, term: str, field: str = "body") -> int:
        """Number of documents that hold the analysed `term`."""
        return int(self._searcher.doc_freq(field, term))

    @property
    def document_count(self) -> int:
        return int(self._searcher.num_docs)

    def _query(self, text: str, scope: Scope) -> Any | None:
        query, occur = self._tantivy.Query, self._tantivy.Occur
        terms = self._rarest(list(dict.fromkeys(analyze(text))))
        clauses = [
            (occur.Should, query.boost_query(query.term_query(self._schema, field, term), FIELD_BOOSTS[field]))
            for term in terms
            for field in ("title", "headings", "body")
        ]
        clauses += [
            (
                occur.Should,
                query.boost_query(query.term_query(self._schema, "identifiers", value), FIELD_BOOSTS["identifiers"]),
            )
            for value in identifiers(text)
        ]
        if not clauses:
            return None
        wanted = query.boolean_query(clauses)
        filters = [query.term_set_query(self._schema, "audience", sorted(scope.audiences))]
        if scope.products:
            filters.append(query.term_set_query(self._schema, "products", [*sorted(scope.products), ""]))
        return query.boolean_query(
            [(occur.Must, wanted), *((occur.Must, query.const_score_query(item, 0.0)) for item in filters)]
        )

    def _rarest(self, terms: list[str]) -> list[str]:
        if len(terms) <= _MAX_QUERY_TERMS:
            return terms
        return sorted(terms, key=lambda term: self.document_frequency(term) or self.document_count)[:_MAX_QUERY_TERMS]


@dataclass(frozen=True, slots=True)
class LexicalTerms:
    """A document after analysis: the terms of each field with a space between two, as `LexicalWriter` takes them."""

    title: str
    headings: str
    body: str
    identifiers: str
    audience: str
    products: tuple[str, ...]


def analyze_document(item: LexicalDocument) -> LexicalTerms:
    """The terms of `item`, which depend on nothing else."""
    return LexicalTerms(
        " ".join(analyze(item.title)),
        " ".join(analyze(item.headings)),
        " ".join(analyze(item.body)),
        " ".join(identifiers(f"{item.title}\n{item.headings}\n{item.body}")),
        item.audience,
        item.products,
    )


class LexicalWriter:
    """Writes a tantivy index of analysed documents into `folder`, which must not exist yet."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        folder.mkdir(parents=True)
        index = tantivy.Index(_build_schema(tantivy), path=str(folder))
        # Only here: the documents are analysed already, and are split where their terms end.
        terms = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
        index.register_tokenizer(_ANALYZER, terms)
        index.register_tokenizer(_EXACT, _exact_analyzer(tantivy))
        self._document = tantivy.Document
        self._writer = index.writer(heap_size=64_000_000, num_threads=1)

    def add(self, row: int, item: LexicalTerms) -> None:
        """Add the document whose row in the chunk table is `row`."""
        self._writer.add_document(
            self._document(
                row=row,
                title=[item.title],
                headings=[item.headings],
                body=[item.body],
                identifiers=[item.identifiers],
                audience=[item.audience],
                products=[*item.products] or [""],
            )
        )

    def close(self) -> None:
        """Bring everything to disk."""
        self._writer.commit()
        self._writer.wait_merging_threads()


def build_lexical(folder: Path, documents: Iterable[LexicalDocument]) -> int:
    """Write a tantivy index of `documents` into the empty `folder`. Returns how many there were."""
    writer = LexicalWriter(folder)
    count = 0
    for item in documents:
        writer.add(item.row, analyze_document(item))
        count += 1
    writer.close()
    return count


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


def identifiers(text: str) -> list[str]:
    """Identifiers and codes of `text`, each one whole term, in a stable order."""
    return sorted(
        signature.value.replace(" ", ":")
        for signature in extract_signatures(text)
        if signature.kind is not SignatureKind.TEMPLATE
    )


def product_terms(products: Sequence[str]) -> tuple[str, ...]:
    """Products as filter terms; an article about none of them is found under every product."""
    return tuple(product.casefold() for product in products)


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


def _register(index: Any) -> None:
    import tantivy

    index.register_tokenizer(_ANALYZER, _analyzer(stemming=True))
    index.register_tokenizer(_EXACT, _exact_analyzer(tantivy))


def _exact_analyzer(tantivy: Any) -> Any:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).filter(tantivy.Filter.lowercase()).build()


def _build_schema(tantivy: Any) -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("row", stored=False, indexed=False, fast=True)
    for field in ("title", "headings", "body"):
        builder.add_text_field(field, stored=False, tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_text_field("identifiers", stored=False, tokenizer_name=_EXACT, index_option="freq")
    builder.add_text_field("audience", stored=False, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("products", stored=False, tokenizer_name="raw", index_option="basic")
    return builder.build()
