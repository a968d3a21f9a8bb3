"""A pasted log or stack trace, told apart from what a person wrote around it.

A log says mostly what went well, and a stack trace mostly where the program was: read like prose, either drowns the
sentence that says what is wrong. Only the lines that name a failure say as much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from indexer.signatures import names_failure

_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|\s?[+-]\d\d:?\d\d)?"
_TIME = re.compile(
    rf"""(?x)\s*(?:[\w.-]{{1,60}}\s+\|\s+)?[\[(<"]?(?:       # a container's name before it, as docker compose has it
        \d{{4}}[-/.]\d\d[-/.]\d\d[T\s,]\s?{_CLOCK}           # 2026-11-30T09:12:07.123Z, 2026/11/30 09:12:07
      | \d\d[-/.]\d\d[-/.]\d{{2,4}},?[T\s]{_CLOCK}           # 30.11.2026 09:12:07
      | [A-Z][a-z]{{2}}\s{{1,2}}\d{{1,2}}\s(?:\d{{4}}\s)?{_CLOCK}  # Nov 30 09:12:07
      | \d{{1,2}}[/-][A-Z][a-z]{{2}}[/-]\d{{4}}[:\s]{_CLOCK} # 30/Nov/2026:09:12:07 +0000
      | [IWEF]\d{{4}}\s{_CLOCK}                              # I1130 09:12:07.123456, as Kubernetes has it
      | {_CLOCK}
    )[\])>"]?[\s:,-]*"""
)
"""A line that begins with a time to the second. People who write down what happened when leave the seconds out."""

_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE)"
_ORDINARY = re.compile(
    rf"""(?x)\s*(?:
        {_LEVEL}(?:\s{{2}}|\s?\[|:[\w.]+:|\s\d+\s---) | \[{_LEVEL}\]  # a level at which nothing is wrong
      | (?:time|ts|timestamp|level)=\S                       # logfmt
      | \{{.*"(?:level|severity|timestamp|@timestamp|ts|time)"\s*:  # one JSON object a line
      | <\s(?:HTTP/\d|[\w-]{{1,60}}:\s)                      # what a server answers curl -v
      | \S+\s\S+\s\S+\s\[\d{{1,2}}/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:  # a web server's access log
    )"""
)
"""What only a program writes."""

_ORDINARY_AFTER_TIME = re.compile(
    rf"(?:\S+\s+){{0,3}}?[\[(<]?(?:[\w-]{{1,40}}[./])?(?:{_LEVEL}|{_LEVEL.lower()}|LOG)[\])>:]*\s"
)
"""A level at which nothing is wrong, among the first words."""

_REFUSED = re.compile(r'"\s[45]\d\d\s')
"""The status of a request that failed, in an access log."""

_FRAME = re.compile(
    r"""(?x)\s*(?:
        at\s(?:async\s|new\s)?(?=[^\s(]*[.$/])[A-Za-z_$<][^\s(]*\s?\(.*\)\s*(?:in\s\S.*)?$  # Java, .NET, JavaScript
      | at\s(?:async\s|new\s)?[^\s(]+(?:\s\[as\s\w+\])?\s\([^()\s]*:\d+:\d+\)$  # JavaScript
      | at\s\S+:\d+:\d+$
      | File\s"[^"]*",\sline\s\d+                            # Python
      | Traceback\s\(most\srecent\scall\slast\):
      | During\shandling\sof\sthe\sabove\sexception
      | \.\.\.\s\d+\s(?:more|common\sframes\somitted)        # Java
      | (?:from\s)?\S+\.rb:\d+:in\s                          # Ruby
      | \#\d{1,3}\s+(?:0x[0-9a-fA-F]+|/|\{main\}|[\w:]+\s?\()  # PHP, C
      | goroutine\s\d+\s\[ | /\S+\.go:\d+(?:\s\+0x[0-9a-f]+)?$ | [\w./*()-]{1,200}?\((?:0x[0-9a-f]|\.\.\.\))  # Go
    )"""
)
_SOURCE_FOLLOWS = re.compile(r'\s*File\s"')
"""Python puts the line of the program below the place that it names."""


_EXCERPT_LINES = 8


def without_ordinary_lines(lines: Iterable[str]) -> list[str]:
    """What people wrote and, without their times, the lines of a log that name a failure, in order.

    Lines that begin with a time and tell neither a level nor a failure stay while they are few: an excerpt was chosen
    by somebody, a whole log was not.
    """
    kept: list[tuple[str, bool]] = []
    source_follows = False
    for line in lines:
        is_source, source_follows = source_follows and line[:1].isspace(), False
        if is_source:
            continue
        if _FRAME.match(line):
            source_follows = _SOURCE_FOLLOWS.match(line) is not None
            continue
        time = _TIME.match(line)
        message = line[time.end() :] if time else line
        ordinary = _ORDINARY_AFTER_TIME if time else _ORDINARY
        is_failure = names_failure(message) or _REFUSED.search(line) is not None
        if is_failure or not ordinary.match(message):
            kept.append((message, time is not None and not is_failure))
    is_excerpt = sum(is_untold for _, is_untold in kept) <= _EXCERPT_LINES
    return [line for line, is_untold in kept if is_excerpt or not is_untold]
