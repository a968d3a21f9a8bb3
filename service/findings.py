"""What a ticket's text already tells: versions, times, ids, error text and the like, each with the words that tell it.

Exact patterns only; a detail that is merely alluded to is not found, so that it is asked for rather than assumed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from indexer.signatures import SignatureKind, extract_signatures

MAX_QUOTE_CHARS = 120
_MAX_QUOTES = 3


class Detail(StrEnum):
    """A kind of detail that can be recognised in a text."""

    ERROR_TEXT = "error text"
    TIME = "time"
    REQUEST_ID = "request id"
    VERSION = "version"
    BROWSER = "browser"
    SYSTEM = "operating system"
    TENANT = "workspace"
    STEPS = "steps"
    ADDRESS = "address or route"
    EXTENT = "who is affected"
    CHANGE = "recent change"
    LOG = "log lines"
    OBJECT_ID = "object id"
    NETWORK_ADDRESS = "network address"
    HAR = "HAR file"


@dataclass(frozen=True, slots=True)
class Finding:
    """One detail that a text holds.

    Attributes:
        quote: the words that tell it, cut at MAX_QUOTE_CHARS.
        is_complete: False for a time without a zone.
    """

    detail: Detail
    quote: str
    is_complete: bool = True


_ZONE = (
    r"(?:Z\b|\s?(?:UTC|GMT|CET|CEST|BST|IST|JST|AEST|AEDT|EST|EDT|CST|CDT|MST|MDT|PST|PDT)\b|"
    r"\s?\([A-Z]{3,4}\)|\s?[+-]\d\d:?\d\d\b)"
)
_TIME = re.compile(
    rf"(?:\d{{4}}-\d\d-\d\d[T ])?(?<![\d.:])(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?![\d:])"
    rf"(?:\s?[aApP]\.?[mM]\b)?(?P<zone>{_ZONE})?"
    rf"|\b(?:1[0-2]|[1-9])\s?[aApP][mM]\b(?P<zone12>{_ZONE})?"
)
_VERSION = re.compile(
    r"""(?x)
    (?i:\b(?:version|release|build)s?)\s*(?:is\s+|[:=]\s*)?v?\d+(?:\.\d+)*(?:[-+][\w.]+)?\b
    | (?<![\w.])v\d+(?:\.\d+)+(?:[-+][\w.]+)?\b
    | (?<![\w./:-])(?<!\d{3}[ -])\d{1,3}\.\d{1,3}\.\d{1,3}(?:[-+][\w.]+)?(?![\w.])
    | (?i:\b(?:chrome|chromium|firefox|safari|edge|windows(?:\ server)?|macos|ios|android|ubuntu|debian|rhel|java|jdk
      |python|node(?:\.?js)?|php|ruby|\.net|postgres(?:ql)?|mysql|mariadb|oracle|redis|kafka|rabbitmq|kubernetes|k8s
      |openssl|curl|agent|sdk|cli|connector)[ /]v?)\d+(?:\.\d+)*(?:\.x|-[\w.]+)?\b
      (?!\s?(?:%|users?|agents?|times|minutes|hours|days))
    """
)
_REQUEST_ID = re.compile(
    r"(?i)\b(?:x-)?(?:request|correlation|trace|req)[ _-]?id[\"']?\s*(?:is\s+|[:=#]\s*)?[\"']?(?=[\w-]*\d)[\w-]{6,}"
    r"|\breq_(?=\w*\d)\w{6,}\b|\b00-[0-9a-f]{32}-[0-9a-f]{16}-\d\d\b"
)
_BROWSER = re.compile(
    r"\b(?:[Cc]hrom(?:e|ium)|[Ff]irefox|[Ss]afari|Edge|msedge|Opera|Brave|Internet Explorer|IE ?11)\b"
    r"(?:[ /]v?\d[\d.]*)?"
)
_SYSTEM = re.compile(
    r"\b(?:Windows(?: Server)?(?: \d+)?|windows (?:server|1[01]|[78])|[mM]ac ?OS(?: X)?(?: \d[\d.]*)?|[lL]inux"
    r"|[uU]buntu(?: \d[\d.]*)?|[dD]ebian(?: \d+)?|RHEL ?\d*|Red Hat|CentOS|Fedora|SLES|iOS(?: \d[\d.]*)?|"
    r"[aA]ndroid(?: \d+)?|Alpine|Amazon Linux)\b"
)
_TENANT = re.compile(
    r"(?i)\b(?:tenant|workspace|organi[sz]ation|org|account)(?:"
    r"[ _-]?(?:id|name|slug)\s*(?:[:=#]\s*|is\s+)[\"“'`]?|\s*(?:[=#]\s*|(?:is\s+|:\s*)?[\"“'`]|:\s*(?=\w*[-.\d])))"
    r"\w[\w.-]+|\b(?:ten|tenant|ws|org|acct)_(?=\w*\d)\w{4,}\b"
)
_STEPS = re.compile(
    r"(?i)\bsteps to reproduce\b|\b(?:to|how to) reproduce\b|"
    r"\b(?:when|after|as soon as|if|every time) (?:I|we|you|users?|they|he|she) "
    r"(?:clicks?|opens?|press(?:es)?|saves?|uploads?|submits?|logs? in|signs? in|runs?|calls?|selects?|sends?|"
    r"starts?)\b"
)
_NUMBERED = re.compile(r"(?m)^[ \t]*\d{1,2}[.)]\s+\S")
_ADDRESS = re.compile(r"https?://[^\s\"'<>)]+|\b(?:GET|POST|PUT|PATCH|DELETE|HEAD)\s+/\S*|(?<![\w/])/v\d+/\S+")
_EXTENT = re.compile(
    r"(?i)\b\d+ (?:out )?of (?:our |the )?\d+\b|\b\d{1,3}(?:\.\d+)? ?(?:%|percent\b)|"
    r"\b(?:\d+|all|every|each|some|several|many|most|one|a single|only one|two|three) (?:of )?(?:our |the |my )?"
    r"(?:users?|customers?|tenants?|workspaces?|agents?|hosts?|people|colleagues?|employees|clients?|servers?|machines?)\b"
    r"|\beveryone\b|\beverybody\b|\bno(?:body| one)\b|\bonly (?:me|I|him|her)\b|\bjust me\b"
)
_CHANGE = re.compile(
    r"(?i)\b(?:since|after|yesterday|last (?:night|week|month)|this morning|today)\b[^.!?\n]{0,60}?"
    r"\b(?:chang|upgrad|updat|deploy|rotat|migrat|install|renew|switch|mov|replac|releas|enabl|disabl)\w*"
    r"|\b(?:nothing|no) (?:else )?(?:was |has |were )?chang\w*|\bwe (?:have )?(?:just |recently )?"
    r"(?:changed|upgraded|updated|deployed|rotated|migrated|installed|renewed|switched|moved|replaced|enabled|"
    r"disabled)\b"
)
_OBJECT_ID = re.compile(
    r"\b(?!req_)[a-z]{2,6}_(?=[A-Za-z0-9]*\d)[A-Za-z0-9]{6,}\b|\b(?i:id)s?[:= ]+(?=[\w-]*\d)[\w-]{4,}"
)
_NETWORK = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F:]{1,4}\b")
_HAR = re.compile(r"(?i)(?<![\w-])[\w-]+\.har\b|\bhar (?:file|recording) (?:is )?(?:attached|below|enclosed)\b")
_VERBATIM = re.compile(
    r"(?i)^\s*(?:\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\[[^\]]+\]|(?:error|fatal|warn(?:ing)?|severe|critical|exception)\b\s*[:\]|]"
    r"|[\w.]*(?:Error|Exception)\b:|[\w.]+: ?(?:ERROR|FATAL):|HTTP/\d)"
)
_QUOTED = re.compile(r"[\"“`']([^\"”`\n]{12,200})[\"”`']")
_FAILURE = re.compile(
    r"(?i)\b(?:error|fail(?:ed|ure|s)?|denied|refused|cannot|could not|unable|invalid|timed? ?out|expired|rejected|"
    r"not found|too many|exceeded|wrong|forbidden|unauthori[sz]ed)\b"
)
_NAMED_CODES = ("error ", "smtp ", "sqlstate ", "0x")
_LOG_LINE = re.compile(r"(?m)^.*\b\d\d:\d\d:\d\d\b.*$")

_PLAIN: tuple[tuple[Detail, re.Pattern[str]], ...] = (
    (Detail.REQUEST_ID, _REQUEST_ID),
    (Detail.VERSION, _VERSION),
    (Detail.BROWSER, _BROWSER),
    (Detail.SYSTEM, _SYSTEM),
    (Detail.TENANT, _TENANT),
    (Detail.STEPS, _STEPS),
    (Detail.ADDRESS, _ADDRESS),
    (Detail.EXTENT, _EXTENT),
    (Detail.CHANGE, _CHANGE),
    (Detail.OBJECT_ID, _OBJECT_ID),
    (Detail.NETWORK_ADDRESS, _NETWORK),
    (Detail.HAR, _HAR),
)


def find_details(text: str) -> tuple[Finding, ...]:
    """Up to three findings of each kind of detail in `text`, in the order of `Detail`."""
    found = [*_error_texts(text), *_times(text), *_logs(text), *_numbered_steps(text)]
    # "Too many clients already" is a program's word for itself.
    told = "\n".join(line for line in text.splitlines() if not _is_copied(line))
    for detail, pattern in _PLAIN:
        source = told if detail is Detail.EXTENT else text
        found.extend(Finding(detail, clip(match.group())) for match in pattern.finditer(source))
    order = list(Detail)
    kept: list[Finding] = []
    for detail in order:
        kept.extend(list(dict.fromkeys(finding for finding in found if finding.detail is detail))[:_MAX_QUOTES])
    return tuple(kept)


def clip(text: str) -> str:
    """`text` on one line, at most MAX_QUOTE_CHARS long."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTE_CHARS else line[: MAX_QUOTE_CHARS - 1].rstrip() + "…"


def _times(text: str) -> Iterator[Finding]:
    matches = [(match, bool(match["zone"] or match["zone12"])) for match in _TIME.finditer(text)]
    for match, has_zone in sorted(matches, key=lambda item: not item[1]):
        yield Finding(Detail.TIME, clip(match.group()), has_zone)


def _error_texts(text: str) -> Iterator[Finding]:
    """Lines that are copied rather than told: log lines, codes and exceptions, quoted messages."""
    for line in text.splitlines():
        kinds = {signature.kind for signature in extract_signatures(line)}
        named = bool(kinds & {SignatureKind.EXCEPTION, SignatureKind.STATUS}) or _has_code(line)
        if named or _is_copied(line):
            yield Finding(Detail.ERROR_TEXT, clip(line))
        else:
            for match in _QUOTED.finditer(line):
                if _FAILURE.search(match.group(1)):
                    yield Finding(Detail.ERROR_TEXT, clip(match.group(1)))


def _is_copied(line: str) -> bool:
    """Whether the line is a program's message of a failure."""
    return bool(_VERBATIM.match(line)) and bool(_FAILURE.search(line))


def _has_code(line: str) -> bool:
    """Whether the line holds an error code as programs write them; `client_id` in a sentence is none."""
    return any(
        signature.kind is SignatureKind.CODE
        and (signature.value.upper() in line or signature.value.startswith(_NAMED_CODES) or _FAILURE.search(line))
        for signature in extract_signatures(line)
    )


def _logs(text: str) -> Iterator[Finding]:
    lines = _LOG_LINE.findall(text)
    if len(lines) >= 2:
        yield Finding(Detail.LOG, clip(lines[0]))


def _numbered_steps(text: str) -> Iterator[Finding]:
    matches = list(_NUMBERED.finditer(text))
    if len(matches) >= 2:
        line = text[matches[0].start() :].lstrip().split("\n", 1)[0]
        yield Finding(Detail.STEPS, clip(line))
