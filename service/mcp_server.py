"""The MCP server around `service.mcp_tools`, with the official SDK. Speaks 2026-07-28, and 2025-11-25 and older.

The SDK's low-level server is used: its high-level one sets up the root logger and logs what a failing tool raised.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from indexer.errors import KBError
from service.mcp_tools import INSTRUCTIONS, TOOLS, Desk, ToolSpec

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, Tool

logger = logging.getLogger("kb.mcp")

SERVER_NAME = "symptom-kb"

DeskOf = Callable[[Any], Desk]
"""The desk for a request: over HTTP the Starlette request, which holds the caller; on stdio None."""


class ToolRefused(Exception):
    """A desk cannot serve now; the message is for the caller."""


def make_server(desk_of: DeskOf, version: str) -> Server[dict[str, Any]]:
    """A server whose callers see what `desk_of` their request opens."""
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError
    from mcp.types import INVALID_PARAMS, ListToolsResult

    async def list_tools(
        _context: ServerRequestContext[dict[str, Any]], _given: PaginatedRequestParams | None
    ) -> ListToolsResult:
        return ListToolsResult(tools=[_describe(spec) for spec in TOOLS.values()])

    async def call_tool(context: ServerRequestContext[dict[str, Any]], given: CallToolRequestParams) -> CallToolResult:
        spec = TOOLS.get(given.name)
        if spec is None:
            raise MCPError(INVALID_PARAMS, f"no such tool; there are {', '.join(TOOLS)}")
        return await _call(spec, desk_of(context.request), given.arguments or {})

    return Server(
        SERVER_NAME,
        version=version,
        title="Symptom KB",
        description="Ranked, cited knowledge-base articles for a support symptom, or an honest none.",
        instructions=INSTRUCTIONS,
        get_tool_input_schema=lambda name: TOOLS[name].arguments.model_json_schema() if name in TOOLS else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _describe(spec: ToolSpec) -> Tool:
    from mcp.types import Tool, ToolAnnotations

    return Tool(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        input_schema=_without_titles(spec.arguments.model_json_schema()),
        output_schema=_without_titles(spec.result.model_json_schema(mode="serialization")),
        annotations=ToolAnnotations(
            title=spec.title, read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


def _without_titles(schema: Any) -> Any:
    """The JSON schema without the titles that only repeat names: an assistant may pay for each word of it."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _without_titles(part) for name, part in schema.items() if name != "title" or isinstance(part, dict)}


async def _call(spec: ToolSpec, desk: Desk, arguments: dict[str, Any]) -> CallToolResult:
    """The tool's result; whatever a caller can mend comes back as an error result, so that an assistant can read it."""
    try:
        result = await spec.run(desk, spec.arguments.model_validate(arguments))
    except ValidationError as error:
        return _refusal("; ".join(_fault(item) for item in error.errors(include_url=False, include_input=False)))
    except (KBError, ToolRefused) as error:
        return _refusal(str(error))
    except Exception as error:  # noqa: BLE001 -- logged without its message, which may quote the question
        frames = "".join(traceback.format_tb(error.__traceback__)[-12:])
        logger.error("tool %s failed with %s\n%s", spec.name, type(error).__name__, frames)  # noqa: TRY400
        return _refusal("something went wrong here; the service's log has it")
    return _success(result)


def _success(result: BaseModel) -> CallToolResult:
    from mcp.types import CallToolResult, TextContent

    text = TextContent(type="text", text=result.model_dump_json())
    return CallToolResult(content=[text], structured_content=result.model_dump(mode="json"))


def _refusal(message: str) -> CallToolResult:
    from mcp.types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=message)], is_error=True)


def _fault(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    return f"{where}: {item['msg']}" if where else str(item["msg"])
