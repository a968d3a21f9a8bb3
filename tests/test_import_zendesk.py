"""Zendesk Guide against a server that answers as its API reference says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.articles import read_article
from indexer.errors import SourceError
from indexer.importing.fetching import Credentials, Fetcher
from indexer.importing.zendesk import ZendeskGuide, audience_of_article
from indexer.metadata import Audience
from tests.import_world import Answer, FakeServer, Request, file_of, serving, sync

Row = dict[str, Any]


def article(number: int, **changes: Any) -> Row:
    """An article as the API gives it; see "JSON format" in the reference of Articles."""
    return {
        "id": number,
        "url": f"https://acme.zendesk.com/api/v2/help_center/en-us/articles/{number}.json",
        "html_url": f"https://acme.zendesk.com/hc/en-us/articles/{number}-Title",
        "author_id": 9,
        "comments_disabled": False,
        "draft": False,
        "promoted": False,
        "position": 0,
        "vote_sum": 3,
        "vote_count": 5,
        "section_id": 20,
        "created_at": "2024-04-17T17:18:10Z",
        "updated_at": "2024-05-17T17:18:10Z",
        "edited_at": "2024-05-01T09:00:00Z",
        "name": f"Article {number}",
        "title": f"Article {number}",
        "source_locale": "en-us",
        "locale": "en-us",
        "outdated": False,
        "outdated_locales": [],
        "user_segment_id": None,
        "permission_group_id": 7,
        "content_tag_ids": [],
        "label_names": [],
        "body": f"<p>Text of {number}.</p>",
        **changes,
    }


class Zendesk:
    """A help center of `articles`, two a page. The first call of a listing may be told to wait."""

    def __init__(self, *articles: Row) -> None:
        self.articles = list(articles)
        self.busy = 0
        self.status = 200
        self.attachments: dict[int, list[Row]] = {}
        self.address = ""

    def __call__(self, request: Request) -> Answer:
        if self.status != 200:
            return Answer({"error": "no"}, self.status)
        if self.busy:
            self.busy -= 1
            return Answer(b"", 429, {"Retry-After": "3"})
        what = request.path.removesuffix(".json").rsplit("/", 1)[-1]
        if what == "sections":
            return self._page("sections", [{"id": 20, "name": "Errors", "category_id": 30}], request)
        if what == "categories":
            return self._page("categories", [{"id": 30, "name": "API"}], request)
        if what == "attachments":
            number = int(request.path.split("/")[-2])
            return self._page("article_attachments", self.attachments.get(number, []), request)
        if what == "articles":
            return self._page("articles", self.articles, request)
        if request.path.startswith("/files/"):
            return Answer(b"PNG")
        return Answer({"error": "RecordNotFound"}, 404)

    def _page(self, key: str, items: list[Row], request: Request) -> Answer:
        assert request.query["page[size]"] == "100"
        start = int(request.query.get("page[after]", "0"))
        more = start + 2 < len(items)
        following = f"{self.address}{request.path}?page[size]=100&page[after]={start + 2}"
        return Answer(
            {
                key: items[start : start + 2],
                "meta": {"has_more": more, "after_cursor": str(start + 2), "before_cursor": "x"},
                "links": {"next": following if more else None, "prev": None},
            }
        )


def guide(server: FakeServer, waits: list[float] | None = None, locale: str = "en-us") -> ZendeskGuide:
    sleep = (waits if waits is not None else []).append
    credentials = Credentials("agent@example.com", "token").header("/token")
    return ZendeskGuide(server.address, Credentials(), locale, Fetcher(server.address, credentials, sleep=sleep))


def test_articles_of_all_pages_with_their_visibility(tmp_path: Path) -> None:
    zendesk = Zendesk(
        article(
            1,
            label_names=["product:Platform API", "Error 401"],
            body="<p>See <a href='/hc/en-us/articles/2-X#h_1'>2</a>.</p>",
        ),
        article(2, user_segment_id=77, body="<h2 id='h_1'>How</h2><p>So.</p>"),
        article(3, draft=True, title="Not ready"),
        article(4, outdated=True),
        article(5),
    )
    waits: list[float] = []
    with serving(zendesk) as server:
        zendesk.address, zendesk.busy = server.address, 1
        report = sync(guide(server, waits), tmp_path)
        assert waits == [3]
        assert {request.headers["authorization"][:6] for request in server.requests} == {"Basic "}
    assert (len(report.added), report.public, report.internal) == (5, 3, 2)
    one = read_article(tmp_path, file_of(tmp_path, "1"))
    assert one.article_id == "zendesk-1"
    assert (one.audience, one.meta.confidence) == (Audience.PUBLIC, "validated")
    assert (one.meta.products, one.meta.tags) == (("platform-api",), ("error-401",))
    assert "[2](article-2-2.md#how)" in one.source.text
    for line in ("section: Errors", "category: API", "locale: en-us", "updated: '2024-05-01'", "source: https://acme"):
        assert line in one.source.text
    assert one.meta.last_verified is None
    two, three, four = (read_article(tmp_path, file_of(tmp_path, str(n))) for n in (2, 3, 4))
    assert two.audience is Audience.INTERNAL
    assert (three.audience, three.meta.confidence) == (Audience.INTERNAL, "work-in-progress")
    assert (four.audience, four.meta.confidence) == (Audience.PUBLIC, "not-validated")
    assert "outdated: true" in four.source.text


def test_votes_change_nothing_and_a_segment_changes_the_audience(tmp_path: Path) -> None:
    zendesk = Zendesk(article(1), article(2), article(3))
    with serving(zendesk) as server:
        zendesk.address = server.address
        sync(guide(server), tmp_path)
        zendesk.articles[0] = article(1, vote_sum=99, updated_at="2025-01-01T00:00:00Z")
        zendesk.articles[1] = article(2, user_segment_id=5)
        before = len([path for path in server.paths() if path.endswith("attachments.json")])
        report = sync(guide(server), tmp_path)
        asked = len([path for path in server.paths() if path.endswith("attachments.json")]) - before
        assert (report.unchanged, report.tightened, asked) == (2, ["article-2-2.md"], 1)
        zendesk.articles.pop()
        assert sync(guide(server), tmp_path).removed == ["article-3-3.md"]


@pytest.mark.parametrize(
    ("changes", "audience"),
    [
        ({}, Audience.PUBLIC),
        ({"user_segment_id": 0}, Audience.INTERNAL),
        ({"user_segment_ids": [4]}, Audience.INTERNAL),
        ({"user_segment_ids": []}, Audience.PUBLIC),
        ({"draft": True}, Audience.INTERNAL),
        ({"draft": None}, Audience.INTERNAL),
    ],
)
def test_audience(changes: Row, audience: Audience) -> None:
    assert audience_of_article(article(1, **changes)) is audience


@pytest.mark.parametrize("missing", ["user_segment_id", "draft"])
def test_an_audience_that_is_not_told_is_internal(missing: str) -> None:
    row = article(1)
    del row[missing]
    assert audience_of_article(row) is Audience.INTERNAL


def test_an_address_that_is_none_is_no_page() -> None:
    with serving(Zendesk(article(1, html_url="https://[server]/x"))) as server:
        source = guide(server)
        (ref,) = source.list_pages()
        assert source.find_link("/hc/en-us/articles/1", ref.id) is None


def test_attachments_are_listed_and_downloaded(tmp_path: Path) -> None:
    zendesk = Zendesk(article(1))
    with serving(zendesk) as server:
        zendesk.address = server.address
        zendesk.attachments[1] = [
            {"id": 5, "file_name": "a.png", "size": 3, "content_url": f"{server.address}/files/5", "inline": False},
            {"id": 6, "file_name": "without-an-address.png", "size": 3, "content_url": None, "inline": False},
        ]
        sync(guide(server), tmp_path)
        assert "- name: a.png\n  size_bytes: 3" in file_of(tmp_path, "1").read_text()
        report = sync(guide(server), tmp_path, attachments=True)
        assert (report.attachments, report.failed) == (1, [])
        assert (tmp_path / "article-1-1.files/a.png").read_bytes() == b"PNG"
        assert sync(guide(server), tmp_path, attachments=True).unchanged == 1


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refused the credentials"), (403, "forbids"), (404, "locale"), (500, "HTTP 500")]
)
def test_a_help_center_that_cannot_be_read_changes_nothing(tmp_path: Path, status: int, words: str) -> None:
    zendesk = Zendesk(article(1))
    with serving(zendesk) as server:
        zendesk.address = server.address
        sync(guide(server), tmp_path)
        before = {file: file.read_bytes() for file in tmp_path.iterdir()}
        zendesk.status = status
        with pytest.raises(SourceError, match=words):
            sync(guide(server), tmp_path)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_page_of_a_list_that_repeats_ends_the_run(tmp_path: Path) -> None:
    def looping(request: Request) -> Answer:
        return Answer({"sections": [], "meta": {"has_more": True}, "links": {"next": "/api/v2/help_center/x.json"}})

    with serving(looping) as server, pytest.raises(SourceError, match="again and again"):
        sync(guide(server), tmp_path)


def test_an_answer_of_something_else_is_an_error(tmp_path: Path) -> None:
    with serving(lambda request: Answer([1, 2])) as server, pytest.raises(SourceError, match="is it a Zendesk"):
        sync(guide(server), tmp_path)


def test_locales_are_checked() -> None:
    with pytest.raises(SourceError, match="not a locale"):
        ZendeskGuide("https://acme.zendesk.com", Credentials(), "../x")
