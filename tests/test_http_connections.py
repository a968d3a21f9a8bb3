"""Slow, silent and too many connections, over real sockets."""

from __future__ import annotations

import logging
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import uvicorn

from service.http import connections, server
from service.http.connections import Connection, most_connections
from tests.http_world import World, make_world, running

POST = b"POST /v1/search HTTP/1.1\r\nHost: kb\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n"
GET = b"GET /v1/health HTTP/1.1\r\nHost: kb\r\n\r\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("connections"))


@pytest.fixture
def address(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A service that gives a request half a second to arrive."""
    monkeypatch.setattr(connections, "READ_S", 0.5)
    with running(world.app()) as base:
        url = httpx.URL(base)
        yield url.host, url.port or 0


def hung_up(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_what_arrives_in_time_is_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        for piece in (GET[:10], GET[10:], GET):
            client.sendall(piece)
        assert client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("sent", [b"", GET[:10], POST + b'{"text"'], ids=["silent", "half a head", "half a body"])
def test_what_does_not_arrive_in_time_is_given_up(
    address: tuple[str, int], sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "kb.access"), socket.create_connection(address, timeout=5) as client:
        client.sendall(sent)
        assert hung_up(client)
    told = [record.getMessage() for record in caplog.records if '"POST"' in record.getMessage()]
    assert all('"status": 499' in line for line in told)


def test_a_kept_connection_that_begins_another_request_has_to_end_it(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(GET)
        told = b""
        while not told.endswith(b"}"):
            told += client.recv(4096)
        client.sendall(GET[:10])
        assert hung_up(client)


def test_a_body_that_breaks_off_is_not_answered_as_if_it_were_whole(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "kb.access"), running(world.app()) as base:
        url = httpx.URL(base)
        with socket.create_connection((url.host, url.port or 0), timeout=5) as client:
            client.sendall(b"POST /results HTTP/1.1\r\nHost: kb\r\nContent-Length: 40\r\n\r\n401 inv")
    (line,) = [record.getMessage() for record in caplog.records if '"POST"' in record.getMessage()]
    assert '"status": 499' in line


def test_beyond_the_most_connections_one_more_is_refused_and_the_others_go_on(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "READ_S", 60)
    monkeypatch.setattr(Connection, "most", 3)
    monkeypatch.setattr(Connection, "_told", float("-inf"))
    with caplog.at_level(logging.WARNING, "kb.serve"), ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(3)]
        for _ in range(3):
            with socket.create_connection(address, timeout=5) as late:
                told = b"".join(iter(lambda: late.recv(4096), b""))
            assert told.startswith(b"HTTP/1.1 503")
            assert b"Retry-After: 1\r\n" in told
            assert b"urn:symptom-kb:problem:busy" in told
        held[0].sendall(GET)
        assert held[0].recv(12) == b"HTTP/1.1 200"
    assert [record.getMessage() for record in caplog.records if "connections are open" in record.getMessage()] == [
        "more than 3 connections are open, so new ones are refused; see docs/http-api.md"
    ]


@pytest.mark.parametrize(("handles", "most"), [(1024, 896), (256, 128), (65_536, 4096), (resource.RLIM_INFINITY, 4096)])
def test_there_are_file_handles_left_for_everything_else(
    monkeypatch: pytest.MonkeyPatch, handles: int, most: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (handles, handles))
    assert most_connections() == most


def test_the_command_serves_on_such_connections(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(server, "set_up_logs", lambda: None)
    monkeypatch.setattr(uvicorn.Server, "run", lambda serving, sockets: seen.append(serving.config.http))
    server.run_server(world.settings.model_copy(update={"port": 0}))
    assert seen == [Connection]


SERVE = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, (320, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from service.http.server import run_server
from service.settings import Settings
from tests.conftest import FakeEmbedder
from tests.http_world import DecidedAssistant
index = Path(sys.argv[1])
run_server(Settings(index=index, port=0), open_assistant=lambda: DecidedAssistant(index, FakeEmbedder()))
"""


def test_a_burst_of_connections_uses_up_no_file_handles(world: World) -> None:
    command = [sys.executable, "-c", SERVE, str(world.index)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert served.stderr is not None
        try:
            url = httpx.URL(served.stdout.readline().split()[-1])
            with ExitStack() as stack:
                for _ in range(900):
                    stack.enter_context(socket.create_connection((url.host, url.port or 0), timeout=20))
                assert httpx.get(url.join("/v1/health"), timeout=20).status_code == 503
            ends = time.monotonic() + 20
            while httpx.get(url.join("/v1/health"), timeout=20).status_code != 200:
                assert time.monotonic() < ends, "it did not recover"
                time.sleep(0.1)
        finally:
            served.terminate()
        told = served.stderr.read()
    assert "Too many open files" not in told
    assert told.count("more than 192 connections are open") == 1
