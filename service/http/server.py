"""uvicorn around the app: up at once, logs without query text, a graceful stop."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from indexer.errors import KBError, SettingsError
from indexer.metadata import Audience
from indexer.snapshot import current_version
from service.http.app import create_app
from service.http.connections import ACCEPTED_AT_A_TIME, Connection
from service.http.demo import Demo, address_of
from service.http.routes_service import software_version
from service.http.routes_sign_in import CALLBACK_PATH
from service.http.security import Sessions
from service.keys import KeyFile
from service.serving_process import settle_process
from service.settings import Settings, read_single_sign_on
from service.tracing import start_tracing

if TYPE_CHECKING:
    from service.assistant import Assistant

_DRAIN_S = 10
_BACKLOG = 2048
"""Connections that wait in the kernel to be accepted."""


def run_server(
    settings: Settings, *, demo: bool = False, open_assistant: Callable[[], Assistant] | None = None
) -> None:
    """Serve until interrupted or terminated; requests under way get ten seconds to end.

    Args:
        open_assistant: as of `create_app`.

    Raises:
        IndexNotFound, IndexCorrupt, IndexMismatch: there is nothing that could be served.
        SettingsError: the address is taken or not ours, or `demo` would hand out a key beyond this machine.
    """
    if demo and not settings.is_loopback:
        raise SettingsError("--demo works on a loopback host only; make a key with `kb keys add` instead")
    current_version(settings.index)
    KeyFile(settings.keys_path).all()
    set_up_logs()
    failures: list[KBError] = []

    def give_up(error: KBError) -> None:
        failures.append(error)
        server.should_exit = True

    sessions = Sessions(settings.session_hours * 3600)
    tracing = start_tracing(os.environ, settings.index.name, settings.trace_documents, software_version())
    app = create_app(
        settings, open_assistant, sessions=sessions, on_failure=give_up, on_ready=settle_process, tracing=tracing
    )
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        timeout_keep_alive=15,
        backlog=ACCEPTED_AT_A_TIME,
        http=Connection,  # on h11: httptools is twice as quick, and takes headers of any size into memory
        ws="none",
    )
    server = _Server(config)
    listener = _listen(settings)
    port = listener.getsockname()[1]
    with contextlib.ExitStack() as stack:
        stack.callback(listener.close)
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        help_center = Demo(settings.host, port) if demo else None
        if help_center:
            app.state.services.gatekeeper.keys.lend(help_center.key)
            stack.enter_context(help_center.serving())
        _greet(settings, port, sessions if demo else None, help_center)
        server.run(sockets=[listener])
    if failures:
        raise failures[0]


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it, an answer waits 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; choose another with --port"
        ) from error
    listener.set_inheritable(True)
    return listener


class _Server(uvicorn.Server):
    """uvicorn's server, whose `backlog` is how many connections asyncio accepts in one go, too."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)


def _greet(settings: Settings, port: int, demo: Sessions | None, help_center: Demo | None) -> None:
    address = address_of(settings.host, port)
    print(f"Console  {address}/")
    print(f"API      {address}/v1/openapi.json")
    sso = read_single_sign_on(settings)
    if sso:
        base = (settings.public_url or address).rstrip("/")
        print(f"Sign in  {base}/sign-in, with {sso.name} or a key")
        print(f"         redirect URI to register there: {base}{CALLBACK_PATH}")
    if demo:
        print(f"Sign in  {address}/sign-in#token={demo.issue_ticket('demo engineer')}")
        print("         opens internal articles in one browser, once; this key ends with the process")
        if help_center:
            print(f"Demo     {help_center.address}/")
            print("         a customer's help centre with the widget; its key ends with the process, too")
    elif settings.anonymous_audience is Audience.INTERNAL:
        print("Everybody on this machine sees internal articles, without a key.")
    elif not sso and not KeyFile(settings.keys_path).all():
        print("There are no keys, so public articles only: `kb keys add NAME --audience internal`, or --demo.")
    sys.stdout.flush()


def set_up_logs() -> None:
    """Events on standard error, in UTC: a JSON line a request, a plain line for anything else.

    Only our own and uvicorn's loggers; the root logger is left alone.
    """
    plain = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    plain.converter = time.gmtime
    for name, level, formatter in (
        ("kb", logging.INFO, plain),
        ("kb.access", logging.INFO, logging.Formatter("%(message)s")),
        ("uvicorn", logging.WARNING, plain),
    ):
        handler = logging.StreamHandler()
        handler.setFormatter(formatter)
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    for name in ("httpx", "httpcore"):  # they log addresses, and those of some vendors are credentials
        logging.getLogger(name).setLevel(logging.WARNING)
