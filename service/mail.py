"""Mail as support receives it: what its writer wrote, told apart from what programs and habits put around that.

Every pattern reads a line in time that grows with its length: senders of mail are strangers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ATTRIBUTION = re.compile(
    r"""^\s*(?:
        on\s.{4,200}\swrote:                       # On Tue, 14 Nov 2023 at 10:00, the requester wrote:
      | (?:am|le|el|il|op|em)\s.{4,200}(?:schrieb|a\sécrit|escribió|ha\sscritto|schreef|escreveu)\b.{0,80}:
      | -{2,}\s*(?:original\smessage|forwarded\smessage|ursprüngliche\snachricht|message\sd['’]origine)\s*-{2,}
      | _{20,}                                     # the rule that Outlook draws above the quoted headers
    )\s*$""",
    re.IGNORECASE | re.VERBOSE,
)
_QUOTED_HEADER = re.compile(r"^\s*\*?(?:from|von|de|da|van)\s?:\*?\s+\S.*$", re.IGNORECASE)
_NEXT_HEADER = re.compile(
    r"^\s*\*?(?:sent|date|gesendet|datum|envoyé|enviado|fecha|inviato|data|verzonden)\s?:", re.IGNORECASE
)
_HEADER = re.compile(r"^\s*\*?(?:from|sent|to|cc|date|subject)\s?:\*?\s", re.IGNORECASE)
_SIGNATURE = re.compile(r"^--\s*$")
_MOBILE = re.compile(r"^\s*(?:sent from my|get outlook for|von meinem .{1,40} gesendet|envoyé de mon)\b", re.IGNORECASE)
_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|dear|good (?:morning|afternoon|evening)|greetings)\b[^.!?\n]{0,40}[,.!:]*\s*$", re.IGNORECASE
)
_CLOSING = re.compile(
    r"^\s*(?:(?:thanks|thank you|thx|many thanks|kind regards|best regards|regards|cheers|sincerely)\b[^\n]{0,40}"
    r"|(?:best|best wishes|br)[\s,.!]*)$",
    re.IGNORECASE,
)
_FORM = re.compile(
    r"""(?ix)[\s>#*_-]{0,10}(?:
        (?:describe\s(?:the|your)\s(?:issue|problem|bug|request)|(?:issue\s|problem\s|bug\s)?description|summary
          |steps(?:\sto\sreproduce)?|(?:expected|actual|current|observed)\s(?:behaviou?r|results?|outcome)
          |environment|additional\s(?:context|information|details|comments)|screenshots?)[\s*_:]{0,10}$
      | (?:severity|priority|urgency|(?:account|customer|contract|ticket|case|reference)\s?(?:id|number|no\.?)
          |(?:preferred\s)?contact(?:\smethod)?|(?:full\s|your\s)?name|company|organi[sz]ation|department
          |time\s?zone)[*_]{0,3}\s?:.{0,60}$
      | (?!\S{0,60}(?:error|exception))[^\s:][^:]{0,60}:[\s*_]{0,10}
          (?:none|n/?a|not\sapplicable|_?no\sresponse_?)[\s.*_]{0,5}$
    )"""
)
"""What a form asks for, without an answer, and answers that tell who asks, not what is wrong."""

_NOTICE = re.compile(
    r"""(?ix)
      \bconfidential\b | \bprivileged\b | \bintended\s(?:solely|only|recipient) | \baddressees?\b
    | \b(?:un-?authori[sz]ed|distribution|dissemination|disclosure|copying)\b.{0,40}\b(?:prohibited|forbidden|unlawful)
    | \b(?:received|sent\sto\syou)\b.{0,40}\bin\serror\b | \bnotify\s(?:the\ssender|us\simmediately)
    | \bthis\s(?:e-?mail|message|communication)\s(?:and|is|may|contains|was\ssent|originated|came)\b
    | \b(?:originated|came|comes|sent)\sfrom\s(?:outside|an?\sexternal) | \bexternal\s(?:e-?mail|sender)\b
    | \bdo\snot\sclick\b | \bopen\s(?:any\s)?attachments\b | \brecogni[sz]e\sthe\ssender\b
    | \bconsider\sthe\senvironment\b | \bbefore\sprinting\b | \bfree\s(?:of|from)\sviruses\b
    | \bviews\s(?:or|and)\sopinions\b | \bdo(?:es)?\snot\snecessarily\s(?:represent|reflect)\b
    """
)
"""What a company's mail server says around every mail. One such phrase may be the writer's own, two are not."""

_CONTACT = re.compile(
    r"(?i)^\W{0,3}(?:(?:tel|telephone|phone|mobile|mob|cell|fax|direct|office|[tmpf])(?:\s?[.:]\s{0,3}|\s(?=[+(]))"
    r"(?=[+(\d](?:[\s()./+-]{0,3}\d){6})"
    r"|(?:(?:e-?mail|mail|web|[ew])\s?[.:]\s?)?(?:[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{2,64}|(?:https?://)?www\.[\w.-]{3,64}/?)"
    r"\s*(?:[|,;\u00b7/].*)?$)"
)
_MOST_ADDRESS_WORDS = 12
_FEWEST_WRITTEN = 20
"""Words above an older mail from which on they stand for themselves; what forwards one says less."""


def strip_quotes(text: str) -> str:
    """`text` up to the mail that it answers or the signature, without quoted lines."""
    lines = text.split("\n")
    end = min(older_mail(lines), signature(lines))
    kept = "\n".join(line for line in lines[:end] if not line.startswith(">"))
    return re.sub(r"\n{3,}", "\n\n", kept).strip()


def older_mail(lines: Sequence[str]) -> int:
    """Where the mail begins that `lines` answer or forward; their number if they hold none."""
    for position, line in enumerate(lines):
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if _ATTRIBUTION.match(line) or (_QUOTED_HEADER.match(line) and _NEXT_HEADER.match(following)):
            return position
        if following and not line.startswith(">") and _ATTRIBUTION.match(f"{line} {following}"):
            return position
    return len(lines)


def signature(lines: Sequence[str]) -> int:
    """Where the signature begins: `-- `, or what a telephone adds; the number of `lines` if there is none."""
    marks = (at for at, line in enumerate(lines) if _SIGNATURE.match(line) or _MOBILE.match(line))
    return next(marks, len(lines))


def written_lines(lines: Sequence[str]) -> list[str]:
    """What was written for this question: no greeting, closing, quotation or signature, no address below it, and no
    notice of a mail server. An older mail stays where hardly anything stands above it, as in one that is forwarded.
    """
    older = older_mail(lines)
    if sum(len(line.split()) for line in lines[:older]) >= _FEWEST_WRITTEN:
        lines = lines[:older]
    kept = [
        line.rstrip()
        for at, line in enumerate(lines[: signature(lines)])
        if not (_is_formal(line) or (at >= older and _HEADER.match(line)))
    ]
    return _without_address(without_notices(kept))


def without_notices(lines: Sequence[str]) -> list[str]:
    """`lines` without what mail servers add: disclaimers, warnings of mail from outside."""
    return [line for paragraph in _paragraphs(lines) for line in _without_notice(paragraph)]


def _is_formal(line: str) -> bool:
    patterns = (_GREETING, _CLOSING, _ATTRIBUTION, _FORM)
    return line.lstrip().startswith(">") or any(pattern.match(line) for pattern in patterns)


def _paragraphs(lines: Sequence[str]) -> list[list[str]]:
    """Runs of lines, each with the empty lines that follow it."""
    found: list[list[str]] = [[]]
    for line in lines:
        if line and found[-1] and not found[-1][-1]:
            found.append([])
        found[-1].append(line)
    return found


def _without_notice(paragraph: list[str]) -> list[str]:
    """The paragraph without the lines from the first to the last that a mail server added."""
    phrases = [[match.group().lower() for match in _NOTICE.finditer(line)] for line in paragraph]
    places = [at for at, found in enumerate(phrases) if found]
    if len({phrase for found in phrases for phrase in found}) < 2:
        return paragraph
    return paragraph[: places[0]] + paragraph[places[-1] + 1 :]


def _without_address(lines: list[str]) -> list[str]:
    """Without the last paragraph's names and addresses, where it holds any way to reach its writer."""
    *before, last = _paragraphs(lines)
    contacts = [line for line in last if _CONTACT.match(line)]
    if before and contacts:
        last = [line for line in last if line not in contacts and len(line.split()) > _MOST_ADDRESS_WORDS]
    return [line for block in [*before, last] for line in block]
