"""What somebody wrote in a mail: the right part, in its own character set, without quotations and signatures."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

from service.connectors.plain_text import html_to_text
from service.connectors.reading import clean_text, malformed

_MAX_PARTS = 200
_MAX_HEADER_CHARS = 2_000
_MAX_PART_BYTES = 2_000_000
_CHARSETS = {"unknown-8bit": "utf-8", "x-unknown": "utf-8", "default": "utf-8", "": "utf-8"}

_UNREADABLE = (MessageError, ValueError, LookupError, RecursionError, AttributeError, TypeError)
"""What the standard library's parser raises, its own mistakes with odd headers included."""

_NOT_FOR_MAIL = frozenset({"idna", "punycode"})
"""Codecs of host names, which take a time that is quadratic in the length."""

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
_SIGNATURE = re.compile(r"^--\s?$")
_MOBILE = re.compile(r"^(?:sent from my|get outlook for|von meinem .{1,40} gesendet|envoyé de mon)\b", re.IGNORECASE)


def parse_mail(body: bytes) -> Message:
    """The message in `body`.

    Raises:
        Rejected: it cannot be read at all, such as parts nested a thousand deep.
    """
    try:
        message = BytesParser(policy=compat32).parsebytes(body)
        list(_leaves(message))
    except _UNREADABLE as error:
        raise malformed("the body is not a mail message (RFC 5322)") from error
    return message


def header(message: Message, name: str) -> str:
    """A header as text: encoded words decoded, folding undone, the first of several."""
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    plain = _decode(raw[:_MAX_HEADER_CHARS].encode("utf-8", "surrogateescape"), "utf-8")
    try:
        parts = decode_header(plain)
    except (HeaderParseError, ValueError, LookupError):
        parts = [(plain, None)]
    text = "".join(
        part if isinstance(part, str) else _decode(part, charset or "raw-unicode-escape") for part, charset in parts
    )
    return clean_text(re.sub(r"\s+", " ", text))


def new_text(message: Message) -> str:
    """What the sender of this message wrote, without what it answers and without a signature.

    Where nothing is left, as in a forwarded mail, the whole text.

    Raises:
        Rejected: its parts cannot be read.
    """
    try:
        plain, markup = _bodies(message)
    except _UNREADABLE as error:
        raise malformed("the parts of the mail message cannot be read") from error
    if plain.strip():
        whole = clean_text(plain)
        return strip_quotes(whole) or whole
    return strip_quotes(html_to_text(markup, drop_quotes=True)) or html_to_text(markup)


def strip_quotes(text: str) -> str:
    """`text` up to the quotation or signature, without quoted lines."""
    kept: list[str] = []
    lines = text.split("\n")
    for position, line in enumerate(lines):
        following = lines[position + 1] if position + 1 < len(lines) else ""
        if _SIGNATURE.match(line) or _MOBILE.match(line) or _ATTRIBUTION.match(line):
            break
        if following and _ATTRIBUTION.match(f"{line} {following}") and not line.startswith(">"):
            break
        if _QUOTED_HEADER.match(line) and _NEXT_HEADER.match(following):
            break
        if not line.startswith(">"):
            kept.append(line)
    return clean_text(re.sub(r"\n{3,}", "\n\n", "\n".join(kept)))


def _bodies(message: Message) -> tuple[str, str]:
    """The plain text and the HTML of the message, each the first that is no attachment."""
    plain = markup = ""
    for part in _leaves(message):
        if part.get_content_disposition() == "attachment" or part.get_filename():
            continue
        kind = part.get_content_type()
        if kind == "text/plain" and not plain:
            plain = _part_text(part)
        elif kind == "text/html" and not markup:
            markup = _part_text(part)
    return plain, markup


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold no others, outermost first, without going into attached messages."""
    waiting = [message]
    for _ in range(_MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        if part.get_content_maintype() == "multipart":
            inner = part.get_payload()
            children = inner if isinstance(inner, list) else []
            waiting += [child for child in reversed(children) if isinstance(child, Message)]
        elif part.get_content_type() != "message/rfc822":
            yield part


def _part_text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return _decode(data[:_MAX_PART_BYTES], str(part.get_content_charset("utf-8")))


def _decode(data: bytes, charset: str) -> str:
    """`data` in `charset`; in UTF-8, else Latin-1, where that charset is unknown or not the one it is in."""
    for name in (_CHARSETS.get(charset.lower(), charset), "utf-8"):
        try:
            if codecs.lookup(name).name not in _NOT_FOR_MAIL:
                return data.decode(name)
        except (LookupError, ValueError):
            continue
    return data.decode("latin-1")
