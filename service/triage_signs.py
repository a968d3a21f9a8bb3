"""The phrases of a ticket that say how bad it is. Exact patterns, each sentence read by itself.

A phrase counts for nothing where its sentence denies it, asks it, supposes it or tells that it is over: a false alarm
costs more trust than a silent hint.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from service.findings import clip


class SignKind(StrEnum):
    """What a phrase says."""

    EVERYBODY = "everybody is affected"
    MANY = "many are affected"
    STOPPED = "a live system is down"
    LOST = "data is lost"
    EXPOSED = "data or credentials are exposed"
    NARROW = "one person or attempt is affected"
    NOT_LIVE = "it is not a live system"


MILD = frozenset({SignKind.NARROW, SignKind.NOT_LIVE})
"""Kinds that speak for something less bad."""


@dataclass(frozen=True, slots=True)
class SeveritySign:
    """One phrase that speaks for or against.

    Attributes:
        quote: the phrase as it stands.
        sentence: the sentence around it, cut.
        start, end: where the phrase is in the text that was read, half-open, in characters.
    """

    kind: SignKind
    quote: str
    sentence: str
    start: int
    end: int


_WHO = (
    r"(?:users?|customers?|tenants?|clients?|employees|staff|people|colleagues|agents|sites|locations|regions|stores|"
    r"branches|offices|workspaces)"
)
_ALL_WHO = rf"(?:all|every) (?:of )?(?:our |the |my )?{_WHO}"
_CODE = (
    r"(?-i:0x[0-9a-fA-F]{4,16}|(?!(?:CVE|INV|ISO|KB|NO|PO|PR|RFC|SKU)[-_0-9])[A-Z][A-Z0-9]{1,14}[-_]?\d{3,7}[A-Z]?"
    r"|(?:[A-Z0-9]+_)*ERR(?:OR)?_[A-Z0-9_]+|E(?:CONN[A-Z]+|TIMEDOUT|HOSTUNREACH|NOTFOUND|ACCES|PERM|PIPE)"
    r"|\w*[a-z](?:Error|Exception)|(?:ora|tns|aadsts)-?\d{4,})(?![\w-])"
)
"""What an error is called, such as ORA-12154. Its case counts: invoices and articles have numbers, too."""
_FAILS = (
    r"(?:can ?not|can['’]t|cant|unable|not able|could not|couldn['’]t|fail(?:s|ed|ing)?|errors?|affected|impacted|"
    r"delayed|late|blocked|locked out|kicked out|down|offline|disconnected|lost|stuck|broken|timing out|"
    r"time ?outs?|unavailable|(?:do|does|did)(?:n['’]t| not) (?:work|load|arrive|receive|get)|"
    r"not working|no (?:longer|access)|"
    r"(?:gets?|getting|sees?|seeing|receives?|receiving) (?:an? |the )?(?:\w+ )?"
    rf"(?:error|[45]\d\d|timeout|blank|{_CODE}))"
)
_THEN_FAILS = rf"(?=[^.!?\n]{{0,80}}\b{_FAILS}\b)"
_DOWN = r"(?:down|offline|unavailable|not (?:working|reachable)|unreachable|broken|at a standstill)"
_SECRETS = r"(?:keys?|credentials?|tokens?|passwords?)"
_TAKEN = r"(?:leaked|exposed|compromised|stolen)"

_PHRASES: dict[SignKind, tuple[str, ...]] = {
    SignKind.EVERYBODY: (
        rf"\b{_ALL_WHO}\b{_THEN_FAILS}",
        rf"\b{_ALL_WHO}\b(?= (?:of [\w. ]{{1,20}} )?since\b)",
        rf"\b(?<=for |ing ){_ALL_WHO}\b",
        rf"\b(?:everyone|everybody)\b(?! else){_THEN_FAILS}",
        r"\b(?:nobody|no ?one)(?: (?:here|of us|at all|(?:in|at|of) (?:our|the) (?:\d+ )?\w+))? "
        r"(?:can|is able|gets?|receives?)\b",
        rf"\b(?:whole|entire) (?:company|organi[sz]ation|team|office|site|fleet|department|country)\b{_THEN_FAILS}",
        r"\b(?:company|organi[sz]ation|fleet)[- ]wide (?:outage|failure|problem)\b",
        r"\bin (?:all|every) regions?\b",
    ),
    SignKind.MANY: (
        rf"\b(?:[1-9]\d{{2,}}|[1-9]\d?[,. ]\d{{3}}|(?:hundreds|thousands|dozens) of|(?:most|many) of our) (?:our )?"
        rf"{_WHO}\b{_THEN_FAILS}",
        r"\b(?:[5-9]\d|100) ?(?:%|percent) of (?:all |our |the )?"
        r"(?:requests|calls|logins|deliveries|messages|users|agents)\b",
    ),
    SignKind.STOPPED: (
        r"\b(?:production|prod|live)(?: (?:system|site|environment|cluster|service|api|database))?"
        rf"(?: (?:is|are|has been|went|has gone))?(?: (?:completely|totally|fully|currently|still))? {_DOWN}\b",
        r"\b(?:complete|total|full|major|ongoing|production|prod) outage\b",
        r"\b(?:your|the) (?:whole |entire )?(?:platform|service|servers?|site|api|gateway|system) (?:is|are) "
        r"(?:completely |totally |entirely )?down\b(?! for\b)",
        r"\b(?:business|production|operations?) (?:has |is |came |come )?"
        r"(?:stopped|halted|at a standstill|to a (?:stand)?still)\b",
        r"\bsev(?:erity)?[ -]?(?:1|one)\b",
    ),
    SignKind.LOST: (
        r"\b(?:permanent |irrecoverable )?data loss\b",
        r"\b(?:lost|deleted|corrupted|overwrote|overwritten) (?:all (?:of )?)?(?:our|the|their|customer) "
        r"(?:\w+ )?(?:data|records|tickets|database|backups?)\b",
    ),
    SignKind.EXPOSED: (
        r"\bdata (?:breach|leak)\b",
        r"\b(?:sees?|saw|seeing|shows?|showing) (?:the )?(?:data|records|tickets|invoices|files|names) "
        r"(?:of|from) (?:an)?other (?:customers?|tenants?|compan\w+|workspaces?)\b",
        rf"\b{_TAKEN} (?:api |access |admin )?{_SECRETS}\b",
        rf"\b{_SECRETS} (?:was|were|has been|have been|got) {_TAKEN}\b",
        rf"\b(?:committ?ed|pushed|posted|published|pasted) (?:(?:a|an|our|the|my) )?(?:\w+ )?{_SECRETS}\b"
        r"(?=[^.!?\n]{0,40}\b(?:public|publicly|github|gitlab)\b)",
    ),
    SignKind.NARROW: (
        r"\bonly (?:me|one (?:user|person|colleague|customer))\b",
        r"\b(?:just me|a single (?:user|person|host|machine)|one single person)\b",
        r"\bone (?:of our )?(?:users?|colleagues?) (?:can ?not|can['’]t|gets?|has|sees)\b",
        r"\bevery(?:one|body) else (?:is )?(?:ok|okay|fine|works?|can)\b",
    ),
    SignKind.NOT_LIVE: (
        r"\b(?:in|on|our|the|a) (?:staging|sandbox|test|dev(?:elopment)?|demo|trial|qa|uat) "
        r"(?:system|environment|instance|cluster|tenant|workspace|account|server)\b",
        r"\bnot (?:in |on |yet )?(?:in )?production\b",
        r"\b(?:no (?:rush|hurry)|not urgent|cosmetic)\b",
    ),
}
_PATTERNS = {kind: re.compile("(?i)" + "|".join(phrases)) for kind, phrases in _PHRASES.items()}
_SENTENCE = re.compile(r"[^.!?\n]*(?:\.(?=\S)[^.!?\n]*)*[.!?]*")
_DENIED = re.compile(
    r"(?i)\b(?:not|no|never|without|isn['’]t|aren['’]t|wasn['’]t|weren['’]t|hardly|nor|neither)\s+(?:\w+\s+){0,2}$"
)
_SUPPOSED = re.compile(
    r"(?i)\b(?:if|when(?:ever)?|in case|would|could|might|may|should|avoid|prevent|risk of|worried|afraid|fear|before|"
    r"until|unless|how (?:do|can|to|would|should)|what happens|planned|planning|simulat\w*|drill|example|e\.g)\b"
)
_OVER = re.compile(
    r"(?i)\b(?:(?:was|were|had been) (?:\w+ )?(?:down|offline|unavailable)|resolved|recovered|back (?:up|online)|"
    r"works? again|is over|last (?:week|month|year)(?:['’]s)?|post-?mortem|after the (?:outage|incident))\b"
)
_LISTED = re.compile(
    r"(?i)\b(?:list|get|fetch|export|import|delete|sync|show|invite|add|remove|find|count|query|load|of)(?:s|ing)?\s+$"
)
_TELLS = re.compile(r"(?i)\b(?:why|since|because)\b")


def find_signs(text: str) -> tuple[SeveritySign, ...]:
    """The phrases of `text` that say how bad it is; at most one of a kind in a sentence."""
    return tuple(_signs(text))


def _signs(text: str) -> Iterator[SeveritySign]:
    for sentence in _SENTENCE.finditer(text):
        whole = sentence.group()
        for kind, pattern in _PATTERNS.items():
            match = pattern.search(whole)
            if match and not _is_void(kind, whole, match):
                start = sentence.start() + match.start()
                yield SeveritySign(kind, match.group(), clip(whole), start, start + len(match.group()))


def _is_void(kind: SignKind, sentence: str, match: re.Match[str]) -> bool:
    """Whether the sentence denies, asks, supposes or has behind it what the phrase says."""
    before = sentence[: match.start()]
    if kind is SignKind.NOT_LIVE:
        return False
    if kind is SignKind.NARROW:
        return bool(_DENIED.search(before))
    if sentence.rstrip().endswith("?") and not _TELLS.search(sentence):
        return True
    if kind is SignKind.EVERYBODY and _LISTED.search(before):
        return True
    return bool(_DENIED.search(before) or _SUPPOSED.search(before) or _OVER.search(sentence))
