"""`kb mcp`. Thin: heavy imports are inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from indexer.audience import Audience

app = typer.Typer()


@app.command()
def mcp(
    *,
    audience: Annotated[
        Audience, typer.Option("--audience", help="What the assistant sees: `internal` is everything.")
    ] = Audience.INTERNAL,
    index: Annotated[
        Path | None, typer.Option("--index", help="Directory of the index. Default: KB_INDEX, or var/index.")
    ] = None,
) -> None:
    """Serve MCP on standard input and output, for an assistant on this machine.

    An assistant starts this command itself; docs/mcp.md has its settings. It runs as you do, so it sees what
    `kb search` shows you. Over the network use `/mcp` of `kb serve`, where keys decide.
    """
    from service.settings import load_settings

    settings = load_settings(index=index)

    from service.assistant import Assistant
    from service.mcp_local import run_stdio

    run_stdio(Assistant(settings.index), audience, settings.public_url)
