from __future__ import annotations

import pytest

from indexer.articles import parse_article
from indexer.chunking import ChunkLimits, Wording, chunk_article
from indexer.derived import derive_article
from indexer.pointers import find_pointers
from tests.conftest import FakeEmbedder

COUNT = FakeEmbedder().count_tokens


def drop_pointers(markdown: str) -> str:
    for start, end in reversed(find_pointers(markdown)):
        markdown = markdown[:start] + markdown[end:]
    return markdown


@pytest.mark.parametrize(
    ("markdown", "left"),
    [
        ("- [Too many clients](db.md)", ""),
        ("* **[Too many clients](db.md)** (KB-1010)\n- keep", "\n- keep"),
        ("12. [52.9.1 32 bit](https://archive.example.com/52(9)/).", ""),
        ("- <https://example.com/a>", ""),
        ("- [ref][other]", ""),
        ("Restart it. For more information, see [Restarts](r.md).", "Restart it. "),
        ("Restart it (see [Restarts](r.md)) now.", "Restart it  now."),
        ("Please refer to [the list](l.md) of codes.", ""),
        ("Learn how to [restart](r.md) it!", ""),
        ("If mail is missing, see [Lost mail](l.md).", "If mail is missing, "),
    ],
)
def test_what_only_points_elsewhere_is_dropped(markdown: str, left: str) -> None:
    assert drop_pointers(markdown) == left


@pytest.mark.parametrize(
    "markdown",
    [
        "- [Settings](s.md): turn the switch off",
        "1. Open [Settings](s.md) and turn it off",
        "Open the [console](c.md) and restart.",
        "You will see it. Open [Settings](s.md) then.",
        "If you see a lock, wait.",
        "There you see [the lock](l.md) and click it.",
        "You should see [the list](l.md) of jobs now.",
        "- ![a picture](p.png)",
        "Read receipts go out. Turn them off in [Settings](s.md).",
        "For details ask the team.",
    ],
)
def test_what_tells_something_itself_stays(markdown: str) -> None:
    assert drop_pointers(markdown) == markdown


RELATED = "\n\n## Related\n\n- [Kafka rejects a record: RecordTooLargeException](kafka.md) (KB-1100)\n"
SAID = "The broker stops when its disk is full. Add one to the volume, and let it write again."


def test_an_article_is_not_found_for_what_it_points_to() -> None:
    article = parse_article("a.md", f"# Disk full\n\n{SAID}{RELATED}".encode())
    derived = derive_article(article, ChunkLimits(), COUNT)
    assert len(derived.chunks) == 1
    assert not any("Kafka" in text or "record" in text for text in derived.texts)
    assert "kafka" not in derived.terms.terms
    assert derived.signatures == ()


def test_a_page_of_links_is_what_it_lists() -> None:
    article = parse_article("a.md", f"# Start here\n\nPick one.{RELATED}".encode())
    chunks = chunk_article(article, ChunkLimits(), COUNT)
    assert "RecordTooLargeException" in chunks[-1].embedding_text
    assert derive_article(article, ChunkLimits(), COUNT).signatures[-1] == "exception: recordtoolargeexception"


def test_a_piece_is_read_by_what_stands_around_it() -> None:
    text = "Open one of these - [Other](other.md), as told. For more information, see [the other](o.md). Then go on."
    article = parse_article("a.md", f"# T\n\n{text}\n".encode())
    wording, source = Wording(article), article.source.text
    entry, phrase = source.index("- [Other"), source.index("For more")
    assert wording.of(entry, entry + len("- [Other](other.md)")) == "- Other", "no item of a list"
    assert wording.of(phrase + 4, phrase + 14) == ""
    assert wording.of(phrase - 9, phrase + 14) == "as told."
    assert wording.of(phrase + 4, len(source)) == "Then go on."
