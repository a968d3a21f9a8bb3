"""A service in a process of its own that tests kill: `python -m tests.intake_child PORT INDEX`, settings from KB_*."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from service.http.app import create_app
from service.settings import load_settings
from tests.conftest import FakeEmbedder
from tests.http_world import DecidedAssistant


def main() -> None:
    port, index = int(sys.argv[1]), Path(sys.argv[2])
    settings = load_settings(index=index, port=port)
    app = create_app(settings, lambda: DecidedAssistant(index, FakeEmbedder()))
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
