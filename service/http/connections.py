"""Connections on which a request has to arrive in time, and never more of them than there are file handles for.

Left to itself uvicorn waits for ever for a request that does not end, and asyncio without file handles answers nobody
and fills the log. A proxy in front keeps slow clients away; not everybody has one.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.http.problems import KINDS, MEDIA_TYPE, problem_response

logger = logging.getLogger("kb.serve")

READ_S = 30.0
"""From the first byte of a request, or from the connection, to the request's last byte."""

_MOST = 4096
_OTHER_HANDLES = 128
"""For the index, the database, what the service asks of others, and connections that are about to be refused."""

ACCEPTED_AT_A_TIME = 16
"""In one turn of the event loop. Accepting a whole burst would use up the handles before any of it can be refused."""

_TELL_S = 60.0


def most_connections() -> int:
    """How many connections this process can hold at a time beside everything else that it has open."""
    handles, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if handles == resource.RLIM_INFINITY else max(_OTHER_HANDLES, min(_MOST, handles - _OTHER_HANDLES))


class Connection(H11Protocol):
    """uvicorn's connection with both limits.

    Attributes:
        most: connections at a time; one more is told so and closed.
    """

    most = most_connections()
    _told = float("-inf")
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            _tell_operator(self.most)
            transport.write(_refusal())
            transport.close()
        else:
            self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._drop_deadline()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:  # the whole request is here
            self._drop_deadline()
        elif self._deadline is None:
            self._set_deadline()

    def _set_deadline(self) -> None:
        self._deadline = self.loop.call_later(READ_S, self.transport.abort)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _tell_operator(most: int) -> None:
    """Once in a while: a log that fills up helps nobody."""
    now = time.monotonic()
    if now - Connection._told >= _TELL_S:
        Connection._told = now
        logger.warning("more than %d connections are open, so new ones are refused; see docs/http-api.md", most)


def _refusal() -> bytes:
    body = problem_response(KINDS["busy"], "too many connections are open; try again in a moment", "none").body
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Retry-After: 1\r\nConnection: close\r\n\r\n".encode() + bytes(body)
