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
from service.mail import strip_quotes

_MAX_PARTS = 200
_MAX_HEADER_CHARS = 2_000
_MAX_PART_BYTES = 2_000_000
_CHARSETS = {"unknown-8bit": "utf-8", "x-unknown": "utf-8", "default": "utf-8", "": "utf-8"}

_UNREADABLE = (MessageError, ValueError, LookupError, RecursionError, AttributeError, TypeError)
"""What the standard library's parser raises, its own mistakes with odd headers included."""

_NOT_FOR_MAIL = frozenset({"idna", "punycode"})
"""Codecs of host names, which take a time that is quadratic in the length."""


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
