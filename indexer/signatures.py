"""Error signatures: the exact things in a log, stack trace or sentence that name one failure and no other.

A signature is compared for equality only. Letters are folded to one case, digits are never touched, so `ORA-12154`
does not match `ORA-12514` and status 401 does not match 403.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class SignatureKind(StrEnum):
    """What a signature is, from the most to the least telling. Declared ones are found by `indexer.declared`."""

    TEMPLATE = "log line"
    DECLARED = "declared error"
    CODE = "error code"
    EXCEPTION = "exception"
    IDENTIFIER = "identifier"
    STATUS = "status"


@dataclass(frozen=True, slots=True, order=True)
class Signature:
    """One normalised signature. `value` is case-folded, except that of a status, which reads `http 401`."""

    kind: SignatureKind
    value: str


def signature_key(signature: Signature) -> str:
    """A signature as one string, as the index's table has it."""
    return f"{signature.kind.value}: {signature.value}"


_STATUS = re.compile(
    r"""(?ix)
    \b(?:
        https?(?:/[\d.]+)?(?:\s+(?:status|error|response|code))*[\s:=]+
      | status(?:[\s_-]*code)?["']?[\s:=]+(?:is\s+|of\s+|was\s+)?
      | (?:returns?|returned|returning|response|respond(?:s|ed)?(?:\s+with)?|error|got|gets|getting|with|an?|code)[\s:]+
        (?:an?\s+)?(?:https?\s+)?
    )([45]\d\d)\b(?![.,:]\d)
    | \b([45]\d\d)\s+(?:
        bad\ request|unauthori[sz]ed|payment\ required|forbidden|not\ found|method\ not\ allowed|not\ acceptable
      | proxy\ authentication|request\ timeout|conflict|gone|precondition|payload\ too\ large|request\ entity
      | content\ too\ large|unsupported\ media|unprocessable|locked|too\ many|internal\ server|not\ implemented
      | bad\ gateway|service\ (?:temporarily\ )?unavailable|gateway\ time|errors?\b|status|response)
    """
)
_EXIT = re.compile(r"(?i)\b(?:exit(?:ed)?(?:\s+with)?(?:\s+(?:code|status))?|exit[_-]?code)[\s:=]+(\d{1,3})\b")
_SQLSTATE = re.compile(r"(?i)\bsqlstate[\s:=\[(]+([0-9a-z]{5})\b")
_SMTP = re.compile(r"\b([245]\d\d)[\s-]+([245]\.\d{1,3}\.\d{1,3})\b|(?<![\d.])([45]\.\d{1,2}\.\d{1,3})(?![\d.])")
_CODE = re.compile(
    r"""(?x)(?<![\w-])(?:
        [A-Z][A-Z0-9]{1,14}-?[-_][0-9]{2,6}[A-Z]?         # ORA-12154, TLS_1047
      | [A-Z]{3,12}[0-9]{3,7}                             # AADSTS700082
      | [A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+                     # ERR_CERT_AUTHORITY_INVALID
      | (?i:error(?:[\s_-]*(?:code|number|no\.|id))?|errno|msg|event[\s_-]*id)[\s:=(\[]+\#?
        (\d{3,6})(?=[\s:,;.()\[\]]|$)                     # ERROR 1045, error code: 0020, Msg 1205, Event ID 4625
      | E[A-Z]{4,15}                                      # ECONNRESET
    )(?![\w-])"""
)
_HEXADECIMAL = re.compile(
    r"(?i)(?<![\w-])(?:(?:error|code|status|h?result|exception|stop)[\s:=(]{1,3}(0x[0-9a-f]{2,16})|(0x[0-9a-f]{8}))(?![\w-])"
)
"""0x80070005. What is shorter or longer is more often an address, unless it is called a code."""

_EXCEPTION = re.compile(r"\b(?!On[A-Z])([A-Z][A-Za-z0-9]*(?:Error|Exception|Fault|Failure|Timeout|Interrupt))\b")
_CAMEL_STATE = re.compile(
    r"\b((?:[A-Z][a-z]+){1,4}(?:BackOff|Killed|Expired|Denied|Evicted)|OOMKilled|[A-Z]{2,}Killed)\b"
)
_IDENTIFIER = re.compile(r"(?<![\w./-])([a-z][a-z0-9]*(?:_[a-z0-9]+)+|[A-Z][a-z]+(?:-[A-Z][a-z]+){1,4})(?![\w/-])")
_SYSTEM_ERRORS = frozenset(errno.errorcode.values()) | {
    *("EBADENGINE", "EBADPLATFORM", "EINTEGRITY", "EJSONPARSE", "ELIFECYCLE", "ENOVERSIONS", "EPUBLISHCONFLICT"),
    *("ERESOLVE", "ETARGET", "EUSAGE", "EWOULDBLOCK"),
}
"""Error numbers of the operating system by name, and npm's. Other words in capitals that begin with E are shouted."""

_LOG_LINE = re.compile(
    r"(?i)\b(?:error|fatal|exception|failed|failure|denied|refused|cannot|could not|unable|invalid|timed? ?out|expired|"
    r"rejected|unreachable|not found|too many|exceeded|(?:connection|stream) (?:was )?reset|reset by|"
    r"killed|warn(?:ing)?)\b"
)
_VOLATILE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b"), "<address>"),
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+\b"), "<mail>"),
    (re.compile(r"\bhttps?://[^\s\"'<>]+"), "<url>"),
    (re.compile(r"(?<!\w)/(?:[\w.-]+/)+[\w.-]*"), "<path>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,64}\b"), "<hash>"),
    (re.compile(r"\"[^\"]{1,80}\"|'[^']{1,80}'"), "<value>"),
    (
        re.compile(
            r"(?<![\w-])(?<![\w-]\.)[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|local|internal|example)\b(?!\.\w)(?::\d+)?"
        ),
        "<host>",
    ),
)


def extract_signatures(text: str) -> frozenset[Signature]:
    """All signatures in `text`: a query, a whole ticket, or an article."""
    return frozenset(_signatures(text))


def names_failure(line: str) -> bool:
    """Whether a line of a log says that something went wrong: by its level or words, a status or an exception."""
    return any(pattern.search(line) for pattern in (_LOG_LINE, _STATUS, _EXIT, _EXCEPTION))


def log_template(line: str) -> str | None:
    """The invariant part of one log line, or None if the line names no failure or too little is left of it.

    What changes from run to run (times, ids, addresses, hosts, paths, quoted values) becomes a named mask; every other
    number stays, for it is often the error itself. Masking follows Drain (He et al., ICWS 2017), without its
    approximate clustering.
    """
    if not _LOG_LINE.search(line):
        return None
    for pattern, mask in _VOLATILE:
        line = pattern.sub(mask, line)
    template = " ".join(line.split()).strip("|>`-*. ").casefold()
    words = re.findall(r"(?<!<)\b[a-z]{2,}\b(?!>)", template)
    return template if len(words) >= 4 and len(template) <= 300 else None


def _signatures(text: str) -> Iterator[Signature]:
    for match in _STATUS.finditer(text):
        yield Signature(SignatureKind.STATUS, f"http {match.group(1) or match.group(2)}")
    for match in _EXIT.finditer(text):
        yield Signature(SignatureKind.STATUS, f"exit code {match.group(1)}")
    for match in _SQLSTATE.finditer(text):
        yield Signature(SignatureKind.CODE, f"sqlstate {match.group(1).casefold()}")
    for match in _SMTP.finditer(text):
        if enhanced := match.group(2) or match.group(3):
            yield Signature(SignatureKind.CODE, f"smtp {enhanced}")
    for match in _CODE.finditer(text):
        if number := match.group(1):
            yield Signature(SignatureKind.CODE, f"error {number}")
        elif match.group() in _SYSTEM_ERRORS or not match.group().isalpha():
            yield Signature(SignatureKind.CODE, match.group().casefold())
    for match in _HEXADECIMAL.finditer(text):
        yield Signature(SignatureKind.CODE, (match.group(1) or match.group(2)).casefold())
    for match in _EXCEPTION.finditer(text):
        if match.group(1) not in {"Error", "Exception", "Timeout", "Failure", "Fault"}:
            yield Signature(SignatureKind.EXCEPTION, match.group(1).casefold())
    for match in _CAMEL_STATE.finditer(text):
        yield Signature(SignatureKind.CODE, match.group(1).casefold())
    for match in _IDENTIFIER.finditer(text):
        # The same name in capitals is a code: one kind for both, so that they meet.
        kind = SignatureKind.CODE if "_" in match.group(1) else SignatureKind.IDENTIFIER
        yield Signature(kind, match.group(1).casefold())
    for line in text.splitlines():
        if template := log_template(line):
            yield Signature(SignatureKind.TEMPLATE, template)
