"""What has to be known before a ticket can be worked on, compared with what the ticket already holds.

article -> needs (its list "Evidence to collect", or what its Symptoms and Environment are about), each cited
text    -> findings (`service.findings`), each quoted
needs - findings -> Diagnostics, and a message that asks the customer for the rest

Only the lines of a list are shown as they stand in the article; what its other sections imply is named in this module's
own words, and so is everything in the message: asking a customer tells nothing of an internal article. A question of
how something is done lacks nothing.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from indexer.articles import Article, Block, Section, plain_text
from indexer.signatures import extract_signatures, signature_key
from service.answers import Citation, Question
from service.citing import cite_block
from service.findings import Detail, Finding, find_details
from service.queries import read_question
from service.triage_similar import telling

_EVIDENCE = "evidence to collect"
_PATTERNS: tuple[tuple[Detail, re.Pattern[str]], ...] = tuple(
    (detail, re.compile(rf"(?i)\b(?:{words})\b"))
    for detail, words in (
        (Detail.ERROR_TEXT, r"error (?:text|on screen|message)|exact (?:code|text|message|error)|exception"),
        (Detail.TIME, r"times?|utc|onset|start(?:ed)?|first failing|last (?:success|good|seen)|minute"),
        (Detail.REQUEST_ID, r"(?:x-)?request[ -]?ids?|correlation ids?|trace ids?"),
        (Detail.VERSION, r"versions?|release number|build number"),
        (Detail.BROWSER, r"browsers?|chrome|firefox|safari"),
        (Detail.SYSTEM, r"operating systems?|windows|linux|macos|debian|ubuntu|red hat"),
        (Detail.TENANT, r"tenants?|workspaces?|organi[sz]ation(?: id)?|account id"),
        (Detail.STEPS, r"steps to reproduce|reproduc\w+"),
        (Detail.ADDRESS, r"urls?|routes?"),
        (Detail.EXTENT, r"affected|share of|extent|how many"),
        (Detail.CHANGE, r"(?:recent |last )?changes?"),
        (Detail.LOG, r"logs?|log lines?"),
        (Detail.OBJECT_ID, r"(?:object|event|job|message|endpoint|queue|export) ids?"),
        (Detail.NETWORK_ADDRESS, r"egress address|ip address(?:es)?"),
        (Detail.HAR, r"har(?: file)?"),
    )
)
_PLAIN = frozenset({Detail.REQUEST_ID, Detail.HAR})
_THEIRS = frozenset(
    {
        Detail.ERROR_TEXT, Detail.TIME, Detail.REQUEST_ID, Detail.BROWSER, Detail.TENANT, Detail.STEPS, Detail.EXTENT,
        Detail.HAR,
    }
)  # fmt: skip
"""What of a runbook's evidence a customer may know. Its logs, versions and changes are those of our systems."""
_OPERATIONS = frozenset({"runbook", "incident"})
_IMPLIED: tuple[tuple[Detail, re.Pattern[str]], ...] = (
    (Detail.BROWSER, re.compile(r"(?i)\bbrowsers?\b")),
    (Detail.SYSTEM, re.compile(r"\b(?:Windows|Linux|macOS)\b")),
    (Detail.VERSION, re.compile(r"(?i)\b\d+(?:\.[\dx]+)*,? and (?:newer|older|earlier)\b|\b\d+\.x\b")),
)
"""What the first sentence of an Environment section bounds, so that it has to be known. The rest of it is prose."""
_SENTENCE_END = re.compile(r"(?<=[.:])\s+(?=[^a-z\s])")
_HOW = re.compile(
    r"(?i)\A\W*(?:how|what|which|where|is it possible|is there|do you|(?:can|may) (?:we|i)|are we allowed)\b"
    r"|\bhow to\b|\bhow (?:do|does|can|could|should|would) (?:i|we|you|one|it)\b|\bhow (?:big|many|much)\b"
    r"|\bis it possible to\b|\bis there (?:a|any|some) (?:way|option|setting|filter|limit|switch)\b"
    r"|\b(?:can|could|may) (?:we|i|one|it) (?:have|get|use|set|change|raise|see|make|also|upload|be)\b"
)
_TROUBLE = re.compile(
    r"(?i)\b(?:errors?|fail\w*|broke\w*|crash\w*|refus\w*|reject\w*|denied|denies|block(?:s|ed)|can(?:not|'?t| not)"
    r"|could(?:n'?t| not)|does(?:n'?t| not)|did(?:n'?t| not)|won'?t|isn'?t|wasn'?t|not|never|no longer|nothing"
    r"|stop(?:s|ped)|stuck|hangs?|lost|missing|gone|wrong|invalid|time[sd]? ?out|slow\w*|down|offline|expire[sd]?"
    r"|unable|exceptions?|fatal|complain\w*|problem|trouble|bug|restarts|since)\b"
)
_SAYS_ERROR = re.compile(
    r"(?i)\b(?<!\bno )(?:error|fail(?!over)|crash|refus|reject|invalid|exception|unauthori[sz]|forbid|block)\w*"
    r"|\b(?:time-?outs?|timed? out|denied|denies|complains|moans|says|warns|a message)\b"
    r"|\bnot (?:accepted|allowed|valid)\b"
)
_OURS = re.compile(
    r"(?i)\bsteps? \d|\bour\b|\bkubectl\b|\bgrep\b|\bdashboard\b|\bgraph\b|\bpanels?\b|\baudit\b|\bbackup\b|"
    r"\bon-call\b|\brole account\b|\brollout\b|\bdatabase\b"
)
_ASKS = {
    Detail.ERROR_TEXT: "the exact error text, copied rather than described",
    Detail.TIME: "when it happened, with the time zone",
    Detail.REQUEST_ID: "the request id of one failing attempt (the X-Request-ID response header, or the id on the "
    "error page)",
    Detail.VERSION: "the exact version numbers of the software involved",
    Detail.BROWSER: "the browser and its version",
    Detail.SYSTEM: "the operating system and its version",
    Detail.TENANT: "the name or id of your workspace",
    Detail.STEPS: "the steps that lead to it, one by one",
    Detail.ADDRESS: "the address or API route that was called, without any token",
    Detail.EXTENT: "who is affected: everybody, some or one, and since when each attempt fails or only some do",
    Detail.CHANGE: "what changed shortly before on your side, if anything",
    Detail.LOG: "the log lines around one failure, without passwords or tokens",
    Detail.OBJECT_ID: "the ids of two or three examples",
    Detail.NETWORK_ADDRESS: "the public IP address that the requests come from",
    Detail.HAR: "a HAR recording of one failing attempt, with cookies and tokens removed",
}
_ZONE = "the time zone of the times that you gave"
_BASICS = frozenset({Detail.ERROR_TEXT, Detail.TIME, Detail.VERSION, Detail.STEPS, Detail.EXTENT, Detail.CHANGE})


class Status(StrEnum):
    """How a need stands against the ticket."""

    HELD = "held"
    PARTLY = "partly"
    MISSING = "missing"
    UNCHECKED = "unchecked"
    """Nothing that can be recognised in a text; a person has to look."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that an article wants to be known.

    Attributes:
        label: the thing.
        text: the whole line of the article's list, without markup; of what a section implies, our own words for it.
        status: see `Status`.
        missing: kinds of detail that the ticket lacks.
        found: what the ticket holds of it.
        by_customer: whether the customer can be asked; the rest is for the team to look up.
        citation: where the article asks for it.
    """

    label: str
    text: str
    status: Status
    missing: tuple[Detail, ...]
    found: tuple[Finding, ...]
    by_customer: bool
    citation: Citation


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """The comparison of a ticket with what articles ask for.

    Attributes:
        items: in the articles' order.
        asks: what to ask the customer for, each a phrase; empty if the ticket holds it all.
        message: a ready reply that asks for it in the ticket's own tone; empty if there is nothing to ask.
        sources: for each of `asks`, what asks for it first; empty where no article does.
    """

    items: tuple[Diagnostic, ...] = ()
    asks: tuple[str, ...] = ()
    message: str = ""
    sources: tuple[Citation, ...] = ()

    @property
    def missing(self) -> tuple[Diagnostic, ...]:
        """The items that are not wholly held."""
        return tuple(item for item in self.items if item.status in {Status.MISSING, Status.PARTLY})


def compare_diagnostics(question: Question, articles: Iterable[Article]) -> Diagnostics:
    """What `articles` ask for, against what `question` holds. The first article that asks for a thing is cited.

    Nothing is asked for where the question is how something is done.
    """
    findings = find_details(f"{question.title}\n{question.text}")
    if asks_how(question, findings):
        return Diagnostics()
    says_error = bool(_SAYS_ERROR.search(f"{question.title}\n{question.text}"))
    signatures = telling(read_question(question).signatures)
    items: list[Diagnostic] = []
    asked: set[Detail] = set()
    labels: set[str] = set()
    for article in articles:
        for need in _needs(article, signatures):
            is_repeated = asked.issuperset(need.details) if need.is_implied else need.label in labels
            if not is_repeated and (says_error or not need.is_error_text or _has(findings, Detail.ERROR_TEXT)):
                items.append(_compare(need, findings))
                labels.add(need.label)
                asked.update(need.details)
    first: dict[Detail, Citation] = {}
    for item in items:
        first |= {detail: item.citation for detail in item.missing if item.by_customer and detail not in first}
    asks = _asks(first, findings)
    sources = tuple(first[detail] for detail in _ASKS if detail in first)
    return Diagnostics(tuple(items), asks, write_request(asks, question), sources)


def compare_basics(question: Question) -> Diagnostics:
    """What helps with any ticket, against what `question` holds: for when no article covers it."""
    findings = find_details(f"{question.title}\n{question.text}")
    if asks_how(question, findings):
        return Diagnostics()
    asks = _asks({detail for detail in _BASICS if not _has(findings, detail, complete=True)}, findings)
    return Diagnostics((), asks, write_request(asks, question))


def asks_how(question: Question, findings: Sequence[Finding]) -> bool:
    """Whether `question` wants to know how something is done, and reports nothing that went wrong."""
    if any(finding.detail in {Detail.ERROR_TEXT, Detail.LOG} for finding in findings):
        return False
    texts = (question.title, question.text)
    return any(_HOW.search(text) for text in texts) and not any(_TROUBLE.search(text) for text in texts)


def write_request(asks: Sequence[str], question: Question) -> str:
    """A reply that asks for `asks`, as formal as the ticket is; empty if there is nothing to ask."""
    if not asks:
        return ""
    greeting, lead, closing = _tone(question.text)
    lines = [greeting, "", lead, "", *(f"- {ask}" for ask in asks), "", closing]
    return "\n".join(lines).strip() + "\n"


def _asks(wanted: Container[Detail], findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(
        _ZONE if detail is Detail.TIME and _has(findings, Detail.TIME) else text
        for detail, text in _ASKS.items()
        if detail in wanted
    )


@dataclass(frozen=True, slots=True)
class _Need:
    label: str
    text: str
    details: tuple[Detail, ...]
    ours: bool
    citation: Citation
    is_implied: bool = False

    @property
    def is_error_text(self) -> bool:
        return self.is_implied and self.details == (Detail.ERROR_TEXT,)


def _needs(article: Article, signatures: frozenset[str]) -> Iterator[_Need]:
    """What the article asks for: its list where it has one, otherwise what its sections imply.

    Args:
        signatures: telling ones of the ticket. Where it shows the article's own error, nothing bounds it further.
    """
    lists = [section for section in article.sections if section.heading_path[-1].casefold() == _EVIDENCE]
    for section in lists:
        yield from (_listed_need(article, section, block) for block in section.blocks)
    if lists:
        return
    shows_its_error = False
    for section in article.sections:
        match section.heading_path[-1].casefold():
            case "symptoms":
                fences = [block for block in section.blocks if block.kind == "fence"]
                block = next((block for block in fences if _shows_error(article, block)), None)
                if block:
                    yield _implied_need(article, section, block, Detail.ERROR_TEXT)
                shows_its_error = any(signatures & _signatures(article, block) for block in fences)
            case "environment" if not shows_its_error:
                yield from _bounded_needs(article, section)


def _listed_need(article: Article, section: Section, block: Block) -> _Need:
    text = plain_text(" ".join(article.source.text[block.start : block.end].split()).removeprefix("- "))
    label, _, rest = text.partition(":")
    # What follows the label explains it; only what is unmistakable there is a need of its own.
    details = _details(label)
    details += tuple(detail for detail in _details(rest) if detail in _PLAIN and detail not in details)
    is_ours = article.meta.type in _OPERATIONS and not _THEIRS.issuperset(details)
    return _Need(label.strip(), text, details, is_ours or bool(_OURS.search(text)), cite_block(article, section, block))


def _details(text: str) -> tuple[Detail, ...]:
    return tuple(detail for detail, pattern in _PATTERNS if pattern.search(text))


def _bounded_needs(article: Article, section: Section) -> Iterator[_Need]:
    """What the first sentence of an Environment bounds: a version, the browser, the system."""
    block = section.blocks[0] if section.blocks else None
    if block is None or block.kind != "paragraph":
        return
    text = plain_text(" ".join(article.source.text[block.start : block.end].split()))
    sentence = _SENTENCE_END.split(text, maxsplit=1)[0]
    for detail, pattern in _IMPLIED:
        if pattern.search(sentence):
            yield _implied_need(article, section, block, detail)


def _implied_need(article: Article, section: Section, block: Block, detail: Detail) -> _Need:
    cited = cite_block(article, section, block)
    return _Need(detail.value.capitalize(), _ASKS[detail], (detail,), False, cited, is_implied=True)


def _shows_error(article: Article, block: Block) -> bool:
    text = article.source.text[block.start : block.end]
    return any(finding.detail is Detail.ERROR_TEXT for finding in find_details(text))


def _signatures(article: Article, block: Block) -> frozenset[str]:
    text = article.source.text[block.start : block.end]
    return frozenset(signature_key(signature) for signature in extract_signatures(text))


def _compare(need: _Need, findings: Sequence[Finding]) -> Diagnostic:
    found = tuple(finding for finding in findings if finding.detail in need.details)
    missing = tuple(detail for detail in need.details if not _has(findings, detail, complete=True))
    if not need.details:
        status = Status.UNCHECKED
    elif not missing:
        status = Status.HELD
    else:
        status = Status.PARTLY if found else Status.MISSING
    return Diagnostic(
        need.label, need.text, status, missing, found, bool(need.details) and not need.ours, need.citation
    )


def _has(findings: Sequence[Finding], detail: Detail, *, complete: bool = False) -> bool:
    return any(finding.detail is detail and (finding.is_complete or not complete) for finding in findings)


def _tone(text: str) -> tuple[str, str, str]:
    """Greeting, lead and closing as formal as the ticket's own."""
    opening = text.lstrip()[:60].casefold()
    ending = text.rstrip()[-120:].casefold()
    if re.match(r"dear\b|good (?:morning|afternoon|evening)|to whom", opening) or "regards" in ending:
        return "Hello,", "To find the cause, could you please send us:", "Thank you, and kind regards"
    if re.match(r"hi\b|hey\b|hello\b", opening) or re.search(r"\b(?:thanks|thx|cheers)\b", ending):
        return "Hi,", "Thanks for writing. To get to the cause, could you send us:", "Thanks!"
    return "", "To find the cause we need:", "Thank you."
