"""Citations of whole blocks of an article."""

from __future__ import annotations

from indexer.articles import Article, Block, Section
from indexer.source import sha256_of
from service.answers import Citation


def cite_block(article: Article, section: Section, block: Block) -> Citation:
    """Where `block` of `section` stands in the article's file."""
    span = article.source.span(block.start, block.end)
    return Citation(
        path=article.path,
        heading_path=section.heading_path,
        anchor=section.anchor,
        start_line=span.start_line,
        end_line=span.end_line,
        start_byte=span.start_byte,
        end_byte=span.end_byte,
        sha256=sha256_of(article.source.text[block.start : block.end]),
        article_version=article.version,
    )
