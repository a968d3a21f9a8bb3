"""HTTP to one host: patience, limits, and credentials that stay at home."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from indexer.errors import PageError, SourceError
from indexer.importing import fetching
from indexer.importing.fetching import (
    ATTEMPTS,
    Credentials,
    Fetcher,
    Forbidden,
    Unavailable,
    check_base,
    load_credentials,
    parse_retry_after,
)
from indexer.importing.pages import PageUnavailable
from tests.import_world import Answer, FakeServer, Request, serving

SECRET = "s3cr3t-token"


def answers(*given: Answer) -> Callable[[Request], Answer]:
    """One answer after the other; the last one for ever."""
    left = list(given)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def fetcher(server: FakeServer, waits: list[float] | None = None, timeout_s: float = 5.0) -> Fetcher:
    record = waits if waits is not None else []
    return Fetcher(server.address, Credentials("", SECRET).header(), timeout_s=timeout_s, sleep=record.append)


def test_waits_as_long_as_the_server_asks() -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    busy = [Answer(status=429, headers={"Retry-After": "7"}), Answer(status=503, headers={"Retry-After": moment})]
    waits: list[float] = []
    with serving(answers(*busy, Answer({"ok": 1}))) as server, fetcher(server, waits) as http:
        assert http.get_json("x")[0] == {"ok": 1}
    assert waits[0] == 7
    assert 25 < waits[1] <= 30


def test_backs_off_by_itself_and_gives_up() -> None:
    waits: list[float] = []
    with serving(answers(Answer(status=500))) as server, fetcher(server, waits) as http:
        with pytest.raises(Unavailable, match="HTTP 500"):
            http.get_json("x")
        assert len(server.requests) == ATTEMPTS
        with pytest.raises(PageUnavailable):
            http.get_json("x", of_page=True)
    first = waits[: ATTEMPTS - 1]
    assert len(first) == ATTEMPTS - 1
    assert all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(first))


def test_a_wait_beyond_reason_ends_the_run() -> None:
    with serving(answers(Answer(status=429, headers={"Retry-After": "86400"}))) as server, fetcher(server) as http:
        with pytest.raises(SourceError, match="asks to wait 86400 s"):
            http.get_json("x")
        assert len(server.requests) == 1


def test_silence_is_an_error_after_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    release = threading.Event()

    def silent(request: Request) -> Answer:
        release.wait(10)
        return Answer()

    with serving(silent) as server, fetcher(server, timeout_s=0.1) as http:
        with pytest.raises(Unavailable, match="no answer in time"):
            http.get_json("x")
        release.set()


def test_a_closed_port_is_an_error_after_all_attempts() -> None:
    with serving(answers(Answer())) as server:
        pass
    with fetcher(server) as http, pytest.raises(Unavailable, match="does not answer"):
        http.get_json("x")


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, SourceError, "KB_IMPORT_TOKEN"),
        (403, Forbidden, "forbids"),
        (404, PageError, "not there"),
        (400, SourceError, "HTTP 400"),
    ],
)
def test_refusals_say_what_to_do(status: int, kind: type[Exception], words: str) -> None:
    with serving(answers(Answer(status=status))) as server, fetcher(server) as http:
        with pytest.raises(kind, match=words) as caught:
            http.get_json("x")
        assert SECRET not in str(caught.value)


def test_an_answer_that_cannot_be_unpacked_is_asked_for_again() -> None:
    torn = Answer(b"no gzip", headers={"Content-Encoding": "gzip"})
    with serving(answers(torn, Answer({"ok": 1}))) as server, fetcher(server) as http:
        assert http.get_json("x")[0] == {"ok": 1}
    with serving(answers(torn)) as server, fetcher(server) as http, pytest.raises(Unavailable, match="DecodingError"):
        http.get_json("x")


def test_a_password_may_hold_any_letter() -> None:
    given = load_credentials(None, {"KB_IMPORT_USER": "a", "KB_IMPORT_TOKEN": "gr\u00fcn"})
    assert given.header()["Authorization"].isascii()


def test_a_sign_in_page_is_not_taken_for_an_answer() -> None:
    with (
        serving(answers(Answer(b"<html>Log in</html>"))) as server,
        fetcher(server) as http,
        pytest.raises(SourceError, match="else than JSON"),
    ):
        http.get_json("x")


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_ANSWER_BYTES", 1000)
    with (
        serving(answers(Answer(b"x" * 5000))) as server,
        fetcher(server) as http,
        pytest.raises(SourceError, match="in one answer"),
    ):
        http.get_json("x")


def test_other_hosts_are_refused_whoever_names_them() -> None:
    with serving(answers(Answer({"stolen": 1}))) as thief:
        redirect = Answer(status=302, headers={"Location": f"{thief.address}/x"})
        with serving(answers(redirect)) as server, fetcher(server) as http:
            with pytest.raises(SourceError, match="another host"):
                http.get_json("x")
            with pytest.raises(SourceError, match="another host"):
                http.get_json(f"{thief.address}/next")
        assert thief.requests == []


def test_redirects_on_the_same_host_are_followed() -> None:
    with (
        serving(
            lambda request: (
                Answer({"ok": request.query})
                if request.path == "/b"
                else Answer(status=301, headers={"Location": "/b?c=d"})
            )
        ) as server,
        fetcher(server) as http,
    ):
        assert http.get_json("a", {"e": "f"})[0] == {"ok": {"c": "d"}}


def test_a_download_may_lead_elsewhere_but_never_with_credentials() -> None:
    with serving(answers(Answer(b"bytes"))) as cdn:
        redirect = Answer(status=302, headers={"Location": f"{cdn.address}/signed"})
        with serving(answers(redirect)) as server, fetcher(server) as http:
            assert b"".join(http.stream(f"{server.address}/file")) == b"bytes"
        assert server.requests[0].headers["authorization"] == f"Bearer {SECRET}"
        assert "authorization" not in cdn.requests[0].headers


def test_a_download_may_lie_elsewhere_but_never_gets_the_credentials() -> None:
    with serving(answers(Answer(b"bytes"))) as cdn, serving(answers(Answer())) as server, fetcher(server) as http:
        assert b"".join(http.stream(f"{cdn.address}/file")) == b"bytes"
    assert "authorization" not in cdn.requests[0].headers
    assert server.requests == []


def test_a_sign_in_page_of_another_host_is_not_taken_for_a_file() -> None:
    page, kept = {"Content-Type": "text/html"}, {"Content-Disposition": "attachment"}
    given = answers(Answer(b"<p>Sign in", headers=page), Answer(b"<p>x", headers={**page, **kept}))
    with serving(given) as cdn, serving(answers(Answer())) as server, fetcher(server) as http:
        with pytest.raises(PageError, match="signing in"):
            b"".join(http.stream(f"{cdn.address}/file"))
        assert b"".join(http.stream(f"{cdn.address}/file")) == b"<p>x"


@pytest.mark.parametrize("address", ["http://192.0.2.1/x", "https://[server]/x", "https://example.com:99999/x"])
def test_a_download_that_cannot_be_had_is_the_trouble_of_its_page(address: str) -> None:
    with serving(answers(Answer())) as server, fetcher(server) as http, pytest.raises(PageError):
        b"".join(http.stream(address))


@pytest.mark.parametrize("target", ["http://192.0.2.1/x", "file:///etc/passwd", "//[", "ftp://example.com/x"])
def test_a_download_is_not_led_to_just_anything(target: str) -> None:
    with (
        serving(answers(Answer(status=302, headers={"Location": target}))) as server,
        fetcher(server) as http,
        pytest.raises(PageError),
    ):
        b"".join(http.stream(f"{server.address}/file"))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ftp://example.com", "not a web address"),
        ("example.com", "not a web address"),
        ("http://example.com", "plain HTTP"),
        ("https://user:pass@example.com", "out of the address"),
        ("https://[", "not a web address"),
        ("https://example.com:99999", "not a web address"),
    ],
)
def test_addresses_that_will_not_do(address: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        check_base(address)
    assert "pass@" not in str(caught.value)


def test_addresses_are_brought_into_one_form() -> None:
    assert check_base(" https://EXAMPLE.com/wiki/?x#y ") == "https://example.com/wiki"
    assert check_base("http://127.0.0.1:8080/") == "http://127.0.0.1:8080"


def test_credentials_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    assert load_credentials(None, {"KB_IMPORT_USER": "a@example.com", "KB_IMPORT_TOKEN": "t"}).header("/token") == {
        "Authorization": "Basic " + base64.b64encode(b"a@example.com/token:t").decode()
    }
    file = tmp_path / "credentials"
    file.write_text("# ours\n\nKB_IMPORT_TOKEN = t=2\n")
    assert load_credentials(file, {"KB_IMPORT_USER": "ignored"}).header() == {"Authorization": "Bearer t=2"}
    assert load_credentials(None, {}).header() == {}


@pytest.mark.parametrize(
    "text", ["KB_IMPORT_TOKEN=abc\u2026\n", "KB_IMPORT_USER=a\n", "TOKEN=x\n", "just words\n", "KB_IMPORT_TOKEN=a\tb\n"]
)
def test_credentials_that_will_not_do(tmp_path: Path, text: str) -> None:
    file = tmp_path / "credentials"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError):
        load_credentials(file, {})
    with pytest.raises(SourceError):
        load_credentials(tmp_path / "absent", {})


def test_credentials_are_neither_shown_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials = Credentials("me", SECRET)
    assert SECRET not in repr(credentials)
    with serving(answers(Answer({"ok": 1}))) as server, Fetcher(server.address, credentials.header()) as http:
        http.get_json("x")
    header = credentials.header()["Authorization"].removeprefix("Basic ")
    assert SECRET not in caplog.text
    assert header not in caplog.text


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5), (None, None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0)]
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds
