"""MCP with a real client: over HTTP against a real server, and on stdio against a subprocess."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from indexer.errors import NotFound
from indexer.metadata import Audience
from indexer.scope import PUBLIC
from indexer.source import sha256_of
from service.answers import Question
from service.http.mcp_endpoint import _Serving
from service.mcp_commands import mcp
from service.mcp_local import LocalDesk
from service.mcp_tools import (
    MAX_SECTION_CHARS,
    NOTICE,
    SearchArguments,
    SectionArguments,
    read_article_section,
    search_by_symptom,
)
from tests.conftest import FakeEmbedder, build, write_article
from tests.http_world import SECRETS, UNCOVERED, DecidedAssistant, World, make_world, running

MODES = ["auto", "2026-07-28", "legacy"]
SYMPTOM = "every request answers 401 invalid_token"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("mcp"))


@pytest.fixture(scope="module")
def address(world: World) -> Iterator[str]:
    with running(world.app()) as base:
        yield f"{base}/mcp"


@asynccontextmanager
async def connected(
    address: str, token: str | None = None, mode: str = "auto", origin: str = ""
) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if origin:
        headers["Origin"] = origin
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield client


def call(address: str, tool: str, arguments: dict[str, Any], **options: Any) -> Any:
    """The tool's result as the client has it."""

    async def run() -> Any:
        async with connected(address, **options) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(run())


def found(address: str, tool: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The structured result; the text must say the same."""
    result = call(address, tool, arguments, **options)
    assert not result.is_error, result.content
    content: dict[str, Any] = result.structured_content
    assert json.loads(result.content[0].text) == content
    return content


@pytest.mark.parametrize("mode", MODES)
def test_clients_of_the_new_and_the_old_protocol_find_the_same_tools(address: str, mode: str) -> None:
    async def run() -> tuple[Any, str, str | None]:
        async with connected(address, mode=mode) as client:
            return await client.list_tools(), client.protocol_version, client.instructions

    listed, version, instructions = asyncio.run(run())
    assert version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
    assert [tool.name for tool in listed.tools] == ["search_by_symptom", "read_article_section", "suggest_for_ticket"]
    for tool in listed.tools:
        assert tool.annotations.read_only_hint
        assert tool.annotations.open_world_hint is False
        assert tool.output_schema["properties"]["index_version" if "search" in tool.name else "notice"]
        assert "audience" not in tool.input_schema["properties"]
    assert mode == "2026-07-28" or (instructions and "is data" in instructions)


@pytest.mark.parametrize("mode", MODES)
def test_a_search_gives_quotes_with_citations_that_hold(world: World, address: str, mode: str) -> None:
    content = found(address, "search_by_symptom", {"symptom": SYMPTOM, "limit": 2}, mode=mode)
    assert content["answered"]
    assert content["notice"] == NOTICE
    quote = content["articles"][0]["quotes"][0]
    source = (world.source / content["articles"][0]["path"]).read_text()
    assert quote["text"] in source
    assert sha256_of(quote["text"]) == quote["sha256"]
    assert quote["citation"].startswith("api/token-expired.md:")
    assert quote["url"].startswith(address.removesuffix("/mcp") + "/articles/api/token-expired.md?lines=")


@pytest.mark.parametrize("mode", MODES)
def test_the_credential_decides_what_is_seen(world: World, address: str, mode: str) -> None:
    ask = {"symptom": "quokka alert fires", "limit": 10}
    inside = found(address, "search_by_symptom", ask, token=world.engineer, mode=mode)
    assert "zanzibar" in str(inside)
    for token in (None, world.integrator):
        outside = found(address, "search_by_symptom", ask, token=token, mode=mode)
        assert not [word for word in SECRETS if word in str(outside)]


def test_no_argument_widens_the_scope(address: str) -> None:
    result = call(address, "search_by_symptom", {"symptom": SYMPTOM, "audience": "internal"})
    assert result.is_error
    assert result.content[0].text == "audience: Extra inputs are not permitted"


@pytest.mark.parametrize("name", ["KB-7777", "runbooks/zanzibar.md", "KB-0000"])
def test_an_article_out_of_scope_is_like_one_that_is_not_there(address: str, name: str) -> None:
    result = call(address, "read_article_section", {"article": name})
    assert result.is_error
    assert result.content[0].text == f"no article {name!r}; give a `path` or an `article_id` that a search found"


def test_a_section_is_read_with_its_citation_and_the_outline(world: World, address: str) -> None:
    content = found(
        address, "read_article_section", {"article": "KB-7777", "section": "first-15-minutes"}, token=world.engineer
    )
    assert content["text"].startswith("## First 15 minutes\n")
    assert content["is_verbatim"]
    lines = (world.source / "runbooks/zanzibar.md").read_text().splitlines()
    assert "\n".join(lines[content["start_line"] - 1 : content["end_line"]]).rstrip() == content["text"]
    assert sha256_of(content["text"]) == content["sha256"]
    assert content["citation"] == f"runbooks/zanzibar.md:{content['start_line']}-{content['end_line']}"
    assert [entry["anchor"] for entry in content["outline"]][1:] == ["trigger", "first-15-minutes", "escalation"]


def test_a_heading_finds_its_section_and_a_title_section_holds_all_below(world: World, address: str) -> None:
    by_heading = found(address, "read_article_section", {"article": "KB-1003", "section": "Resolution"})
    assert by_heading["text"] == "## Resolution\n\nPublish an SPF record."
    anchor = by_heading["outline"][0]["anchor"]
    whole = found(address, "read_article_section", {"article": "KB-1003", "section": anchor})
    assert by_heading["text"] in whole["text"]
    lead = found(address, "read_article_section", {"article": "KB-1003"})
    assert lead["heading"] == "Mail bounces because authentication is missing"


def test_a_long_section_is_read_in_parts_that_make_the_whole(tmp_path: Path) -> None:
    source, index = tmp_path / "articles", tmp_path / "index"
    lines = [f"{number}. Step {number} of many, with some words more." for number in range(1, 2000)]
    write_article(
        source, "long.md", "## Steps\n\n" + "\n".join(lines) + "\n", title="A long article", article_id="KB-1"
    )
    build(source, index)
    desk = LocalDesk(DecidedAssistant(index, FakeEmbedder()), Audience.PUBLIC)
    read: list[str] = []
    at: int | None = 0
    while at is not None:
        given = SectionArguments(article="KB-1", section="steps", from_line=at)
        part = asyncio.run(read_article_section(desk, given))
        assert len(part.text) <= MAX_SECTION_CHARS
        assert part.is_verbatim
        assert sha256_of(part.text) == part.sha256
        assert part.citation == f"long.md:{part.start_line}-{part.end_line}"
        read += part.text.split("\n")
        at = part.continues_at
    assert read == ["## Steps", "", *lines]
    for outside in (1, 9_999):
        with pytest.raises(NotFound, match="no such line in this section, which is lines"):
            asyncio.run(read_article_section(desk, given.model_copy(update={"from_line": outside})))


def test_a_line_too_long_for_one_result_is_given_all_the_same(tmp_path: Path) -> None:
    source, index = tmp_path / "articles", tmp_path / "index"
    line = "word " * MAX_SECTION_CHARS
    write_article(source, "long.md", f"## Steps\n\n{line}end\n\nAfter.\n", title="A long line", article_id="KB-1")
    build(source, index)
    desk = LocalDesk(DecidedAssistant(index, FakeEmbedder()), Audience.PUBLIC)
    head = asyncio.run(read_article_section(desk, SectionArguments(article="KB-1", section="steps")))
    assert head.text == "## Steps"
    given = SectionArguments(article="KB-1", section="steps", from_line=head.continues_at or 0)
    assert asyncio.run(read_article_section(desk, given)).text == f"{line}end"


def test_an_unknown_section_names_those_that_there_are(address: str) -> None:
    result = call(address, "read_article_section", {"article": "KB-1003", "section": "nowhere"})
    assert result.is_error
    assert "symptoms, resolution" in result.content[0].text


def test_links_to_internal_articles_are_cut_for_public_readers(world: World, address: str) -> None:
    given = {"article": "KB-1001", "section": "resolution"}
    outside = found(address, "read_article_section", given)
    assert not [word for word in SECRETS if word in str(outside)]
    assert not outside["is_verbatim"]
    assert "set the clock" in outside["text"]
    inside = found(address, "read_article_section", given, token=world.engineer)
    assert "zanzibar" in inside["text"]


def test_a_ticket_gets_a_note_and_triage_inside_only(world: World, address: str) -> None:
    ticket = {"subject": "401", "body": f"All users: {SYMPTOM}, an error"}
    inside = found(address, "suggest_for_ticket", ticket, token=world.engineer)
    assert inside["triage"]["severity"]["severity"] == "high"
    assert "token-expired.md" in inside["internal_note"]
    outside = found(address, "suggest_for_ticket", ticket)
    assert outside["answered"]
    assert outside["triage"] is None
    assert not [word for word in SECRETS if word in str(outside)]


def test_a_question_that_would_tell_the_articles_apart_is_passed_on(address: str, world: World) -> None:
    asked = DecidedAssistant(world.index, FakeEmbedder()).answer(Question(SYMPTOM), PUBLIC)
    content = found(address, "search_by_symptom", {"symptom": SYMPTOM})
    assert "clarification" in content
    assert content["clarification"] == asked.clarification


def test_a_tool_is_described_without_words_that_say_nothing(address: str) -> None:
    async def run() -> Any:
        async with connected(address) as client:
            return (await client.list_tools()).tools

    for tool in asyncio.run(run()):
        for schema in (tool.input_schema, tool.output_schema):
            assert not re.search(r'"title": "', json.dumps(schema))
        assert "title" in tool.output_schema["properties"] or tool.name != "read_article_section"


def test_a_page_with_a_publishable_key_may_ask(address: str, world: World) -> None:
    asked = "authorization,content-type,mcp-protocol-version,mcp-method,mcp-name"
    headers = {
        "Origin": world.page_origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": asked,
    }
    answer = httpx.options(address, headers=headers)
    assert answer.status_code == 204
    allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
    assert set(asked.split(",")) <= set(allowed)
    body = modern("server/discover")
    told = post(
        address,
        body,
        MCP_Protocol_Version="2026-07-28",
        Mcp_Method="server/discover",
        Origin=world.page_origin,
        Authorization=f"Bearer {world.page_key}",
    )
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == world.page_origin
    assert httpx.options(address, headers={**headers, "Origin": "https://evil.example.com"}).status_code == 403


def test_no_article_is_an_honest_answer(world: World, address: str) -> None:
    outside = found(address, "search_by_symptom", {"symptom": f"{UNCOVERED} 401"})
    assert (outside["answered"], outside["nearest"], outside["articles"]) == (False, False, [])
    inside = found(address, "search_by_symptom", {"symptom": f"{UNCOVERED} 401"}, token=world.engineer)
    assert (inside["answered"], inside["nearest"]) == (False, True)


def test_bad_arguments_are_told_without_repeating_them(address: str) -> None:
    result = call(address, "search_by_symptom", {"symptom": "zebra", "limit": 99})
    assert result.is_error
    assert result.content[0].text == "limit: Input should be less than or equal to 10"
    empty = call(address, "search_by_symptom", {"symptom": "  "})
    assert "the query is empty" in empty.content[0].text


def test_an_unknown_tool_is_a_protocol_error(address: str) -> None:
    async def run() -> str:
        async with connected(address) as client:
            try:
                await client.call_tool("delete_everything", {})
            except MCPError as error:
                return str(error)
            return ""

    assert asyncio.run(run()).startswith("no such tool; there are search_by_symptom")


def post(address: str, body: object, **headers: str) -> httpx.Response:
    given = {"Accept": "application/json, text/event-stream", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return httpx.post(address, json=body, headers=given)


def modern(method: str, version: str = "2026-07-28") -> dict[str, object]:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}


def test_each_post_stands_for_itself_and_names_version_and_method(address: str) -> None:
    body = modern("server/discover")
    good = post(address, body, MCP_Protocol_Version="2026-07-28", Mcp_Method="server/discover")
    assert good.status_code == 200
    assert "2026-07-28" in good.json()["result"]["supportedVersions"]
    assert "mcp-session-id" not in good.headers
    assert good.headers["ratelimit-policy"].startswith('"minute"')
    other = post(address, body, MCP_Protocol_Version="2026-07-28", Mcp_Method="tools/list")
    assert other.status_code == 400
    missing = post(address, body, MCP_Protocol_Version="2026-07-28")
    assert missing.status_code == 400
    later = modern("server/discover", "2031-01-01")
    unknown = post(address, later, MCP_Protocol_Version="2031-01-01", Mcp_Method="server/discover")
    assert unknown.status_code == 400
    assert unknown.json()["error"]["code"] == -32022


@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25"])
def test_a_foreign_origin_is_refused(world: World, address: str, version: str) -> None:
    for origin, status in (
        ("https://evil.example.net", 403),
        (address.removesuffix("/mcp"), 200),
        (world.page_origin, 200),
    ):
        method = "server/discover" if version == "2026-07-28" else "tools/list"
        body = modern(method) if version == "2026-07-28" else {"jsonrpc": "2.0", "id": 1, "method": method}
        response = post(address, body, MCP_Protocol_Version=version, Mcp_Method=method, Origin=origin)
        assert response.status_code == status, (origin, response.text)
        if status == 403:
            assert response.json()["type"] == "urn:symptom-kb:problem:forbidden"


def test_a_wrong_key_is_refused_before_the_protocol(address: str) -> None:
    response = post(address, modern("tools/list"), Authorization="Bearer kbs_wrong")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_there_is_no_stream_to_open_and_no_session_to_end(address: str, method: str) -> None:
    response = httpx.request(method, address, headers={"Accept": "text/event-stream"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"] == "application/problem+json"


def test_requests_are_counted_as_everywhere(world: World) -> None:
    with running(world.app(rate_limit_per_minute=1)) as base:
        first = post(f"{base}/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        second = post(f"{base}/mcp", {"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    assert (first.status_code, second.status_code) == (200, 429)
    assert int(second.headers["retry-after"]) > 0


def test_a_defect_is_told_without_what_was_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    word = "".join(reversed("arbez"))

    def broken(*_arguments: object, **_more: object) -> None:
        raise RuntimeError(word)

    with running(world.app()) as base, caplog.at_level(logging.DEBUG):
        monkeypatch.setattr("service.mcp_tools._article", broken)
        result = call(f"{base}/mcp", "search_by_symptom", {"symptom": f"{SYMPTOM} {word}"})
    assert result.is_error
    assert result.content[0].text == "something went wrong here; the service's log has it"
    assert "search_by_symptom failed with RuntimeError" in caplog.text
    assert word not in "".join(record.getMessage() for record in caplog.records if record.name.startswith("kb"))


def test_questions_are_in_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("kb").setLevel(logging.INFO)
    with running(world.app()) as base, caplog.at_level(logging.INFO):
        found(f"{base}/mcp", "search_by_symptom", {"symptom": f"{SYMPTOM} zebra"})
    lines = [record.getMessage() for record in caplog.records if record.name == "kb.access"]
    assert any('"route": "/mcp"' in line for line in lines)
    assert not [record for record in caplog.records if "zebra" in record.getMessage() and "client" not in record.name]


STDIO = """
import sys
from pathlib import Path
from tests.conftest import FakeEmbedder
from tests.http_world import DecidedAssistant
import service.assistant
service.assistant.Assistant = lambda index: DecidedAssistant(index, FakeEmbedder())
from eval.cli import main
sys.argv = ["kb", "mcp", *sys.argv[1:]]
main()
"""


def call_stdio(world: World, *flags: str, mode: str = "auto") -> tuple[str, dict[str, Any]]:
    """What `kb mcp` answers, as a subprocess."""
    root = str(Path(__file__).parents[1])
    command = StdioServerParameters(
        command=sys.executable,
        args=["-c", STDIO, "--index", str(world.index), *flags],
        env={"PYTHONPATH": root},
        cwd=root,
    )

    async def run() -> tuple[str, dict[str, Any]]:
        async with Client(command, mode=mode, read_timeout_seconds=60) as client:
            result = await client.call_tool("search_by_symptom", {"symptom": "quokka alert fires", "limit": 10})
            return client.protocol_version, dict(result.structured_content)

    return asyncio.run(run())


@pytest.mark.parametrize(("mode", "version"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
def test_on_stdio_everything_is_seen_as_by_kb_search(world: World, mode: str, version: str) -> None:
    spoken, content = call_stdio(world, mode=mode)
    assert spoken == version
    assert "zanzibar" in str(content)
    assert content["articles"][0]["quotes"][0]["url"] == ""


def test_on_stdio_citations_lead_to_the_console_where_there_is_one(world: World) -> None:
    desk = LocalDesk(DecidedAssistant(world.index, FakeEmbedder()), Audience.PUBLIC, "https://kb.example.com")
    result = asyncio.run(search_by_symptom(desk, SearchArguments(symptom=SYMPTOM)))
    assert result.articles[0].quotes[0].url.startswith("https://kb.example.com/articles/api/token-expired.md?lines=")


def test_on_stdio_the_command_takes_the_address_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setenv("KB_PUBLIC_URL", "https://kb.example.com/")
    monkeypatch.setattr("service.assistant.Assistant", lambda index: None)
    monkeypatch.setattr("service.mcp_local.run_stdio", lambda *given: seen.append(given))
    mcp(audience=Audience.PUBLIC, index=None)
    assert seen == [(None, Audience.PUBLIC, "https://kb.example.com")]


def test_on_stdio_a_section_is_of_the_version_that_is_published(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    desk = LocalDesk(DecidedAssistant(world.index, FakeEmbedder()), Audience.PUBLIC)
    write_article(world.source, "api/second.md", "## Cause\n\nNew.\n", title="A second article", article_id="KB-2")
    build(world.source, world.index)
    given = SectionArguments(article="KB-2", section="cause")
    assert asyncio.run(read_article_section(desk, given)).text == "## Cause\n\nNew."


def test_on_stdio_the_audience_can_be_narrowed(world: World) -> None:
    _, content = call_stdio(world, "--audience", "public")
    assert not [word for word in SECRETS if word in str(content)]


def test_on_stdio_a_version_that_does_not_open_is_logged_once_and_the_old_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path)
    assistant = DecidedAssistant(world.index, FakeEmbedder())
    desk = LocalDesk(assistant, Audience.PUBLIC)
    good = assistant.index_version
    write_article(world.source, "api/second.md", title="A second article about nothing")
    broken = build(world.source, world.index).version
    for file in (world.index / broken).glob("*.bin"):
        file.unlink()
        file.write_bytes(b"flipped")
    for _ in range(2):
        answer = asyncio.run(desk.ask(Question(SYMPTOM), []))
        assert (answer.index_version, answer.answered) == (good, True)
    assert caplog.text.count("is not served") == 1
    write_article(world.source, "api/third.md", title="A third article about nothing")
    fixed = build(world.source, world.index).version
    assert asyncio.run(desk.ask(Question(SYMPTOM), [])).index_version == fixed


def test_quotes_of_a_served_assistant_lead_to_the_public_address(world: World) -> None:
    with running(world.app(public_url="https://kb.example.com")) as base:
        content = found(f"{base}/mcp", "search_by_symptom", {"symptom": SYMPTOM})
    assert content["articles"][0]["quotes"][0]["url"].startswith("https://kb.example.com/articles/api/")


def test_the_sdk_is_loaded_once_and_again_only_after_it_failed() -> None:
    made: list[str] = []

    class Manager:
        @asynccontextmanager
        async def run(self) -> AsyncIterator[None]:
            made.append("entered")
            yield
            made.append("left")

    def make() -> Any:
        made.append("made")
        if len(made) == 1:
            raise ImportError("the SDK is broken")
        return Manager()

    async def scenario() -> None:
        serving = _Serving(make)
        with pytest.raises(ImportError):
            await serving.manager()
        first, second = await asyncio.gather(serving.manager(), serving.manager())
        assert first is second
        await serving.end()
        await _Serving(make).end()

    asyncio.run(scenario())
    assert made == ["made", "made", "entered", "left"]
