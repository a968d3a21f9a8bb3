"""Each line stands for a format that people paste; none of it is from a real system."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.logs import without_ordinary_lines

ORDINARY = """\
2026-11-30T09:12:07.123Z INFO  [http-8080-3] c.e.web.RequestLogger - GET /health in 3 ms
2026-11-30 09:12:07,123 DEBUG main: opened a session
[2026-11-30 09:12:07] app.INFO: session opened
2026/11/30 09:12:07 [notice] 7#7: start worker process 12
2026-11-30 09:12:07.123 UTC [7] LOG:  checkpoint complete: wrote 12 buffers
web-1  | 2026-11-30T09:12:07Z info listening on 8080
[INFO] Scanning for projects...
INFO:root:opened a session
DEBUG  opened a session
{"level":"info","ts":1764493927,"msg":"opened a session"}
time="2026-11-30T09:12:07Z" level=info msg="opened a session"
10.0.3.7 - - [30/Nov/2026:09:12:07 +0000] "GET /cart HTTP/1.1" 200 512
< HTTP/1.1 200 OK
< Content-Type: application/json
\tat com.example.web.Filter.doFilter(Filter.java:57)
   at App.Orders.Load(String id) in C:\\src\\Orders.cs:line 12
    at Layer.handle [as handle_request] (/srv/node_modules/router/layer.js:95:5)
    at process (node:internal/process:95:5)
    at file:///srv/app.mjs:3:14
\t... 23 more
Traceback (most recent call last):
During handling of the above exception, another exception occurred:
\tfrom /usr/lib/metal.rb:12:in `dispatch'
#3 /srv/www/Pipeline.php(12): Pipeline->handle()
#4  0x00007f3a in main () at main.c:7
goroutine 7 [running]:
\t/srv/app/server.go:57 +0x1d
main.(*Server).handle(0xc0001, 0x7)
"""
TOLD = """\
2026-11-30T09:12:07Z INFO retrying: connection refused
09:12:07 WARN the queue is nearly full
{"level":"info","msg":"charge answered","status":402}
10.0.3.7 - - [30/Nov/2026:09:12:07 +0000] "GET /cart HTTP/1.1" 502 512
2026-11-30T09:12:07Z DEBUG com.example.CartException
Caused by: java.io.IOException: broken pipe
ValueError: too few rows
"""
WRITTEN = """\
I notice that the page is blank
More info: it began on Monday
INFO: we run 2.3 on premises
At 09:12 the exports stopped
- 2026-11-30 09:12 UTC: customers call
at the moment (since Monday) nobody can sign in
at app.example.com (EU) the page is blank, everywhere else it is fine
File a ticket, they said
#12 is the same problem
{"name": "export", "rows": 0}
GET /v1/orders
"""


@pytest.mark.parametrize("line", ORDINARY.splitlines())
def test_ordinary_lines_of_a_log_and_places_of_a_trace_are_left_out(line: str) -> None:
    assert without_ordinary_lines(["It hangs.", line, "Since noon."]) == ["It hangs.", "Since noon."]


@pytest.mark.parametrize("line", [*TOLD.splitlines(), *WRITTEN.splitlines()])
def test_failures_and_what_people_write_stay(line: str) -> None:
    [kept] = without_ordinary_lines([line])
    assert line.endswith(kept)
    assert len(kept) > len(line) / 3


def test_python_puts_a_line_of_the_program_below_each_place() -> None:
    trace = [
        "Traceback (most recent call last):",
        '  File "/srv/app/views.py", line 12, in dispatch',
        "    return handler(request)",
        '  File "/srv/app/orders.py", line 7, in load',
        "ValueError: too few rows",
    ]
    assert without_ordinary_lines([*trace, "    Indented by somebody."]) == [trace[-1], "    Indented by somebody."]


def test_a_failure_comes_without_its_time() -> None:
    assert without_ordinary_lines(["[2026-11-30 09:12:07.123] ERROR: disk full"]) == ["ERROR: disk full"]
    assert without_ordinary_lines(["Nov 30 09:12:07 node-3 sshd[7]: denied"]) == ["node-3 sshd[7]: denied"]


def test_an_excerpt_that_tells_neither_level_nor_failure_stays_and_a_whole_log_does_not() -> None:
    lines = [f"10:02:{second} deferred 451 4.7.1 come back later, {second}" for second in range(10, 40)]
    assert without_ordinary_lines(lines[:8]) == [line[9:] for line in lines[:8]]
    assert without_ordinary_lines(["Mail is late.", *lines, "10:03:00 rejected"]) == ["Mail is late.", "rejected"]


@given(st.lists(st.text(max_size=60).filter(lambda line: len(line.splitlines()) < 2), max_size=12))
def test_nothing_is_added_and_the_order_stays(lines: list[str]) -> None:
    rest = iter(lines)
    assert all(any(line.endswith(kept) for line in rest) for kept in without_ordinary_lines(lines))
