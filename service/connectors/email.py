"""Inbound e-mail: a message (RFC 5322) that a mail gateway posts as it is; the answer goes to the gateway as JSON.

A gateway is anything that can post a message: a pipe transport of an MTA with curl, or a mail provider's inbound route
that hands on the raw message. Standard Webhooks or a bearer token tells it is ours.
Automatic mail is never answered (RFC 3834): that is how two robots write to each other for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.message import Message
from email.utils import parseaddr

from service.connectors import reading, signatures
from service.connectors.calling import api_url, post_to_operator
from service.connectors.contract import (
    Connector,
    ConnectorConfig,
    Event,
    EventKind,
    Inbound,
    Note,
    Outbound,
    SecretForm,
    is_public_reply,
)
from service.connectors.mail_text import header, new_text, parse_mail
from service.connectors.marking import is_own_note, note_marker, note_message_id
from service.connectors.markup import to_html, to_plain

MAIL_TYPE = "message/rfc822"
_MESSAGE_ID = re.compile(r"<[^<>\s\x00-\x20\x7f-\U0010ffff]{1,190}>")
_ADDRESS = re.compile(r"[^@\s<>\",;:()\[\]\\\x00-\x1f\x7f-\U0010ffff]{1,64}@[A-Za-z0-9.-]{1,190}")
_REFERENCE_LIMIT = 20
_REPLY_PREFIX = re.compile(r"^(?:(?:re|aw|fwd?|wg|tr|sv)\s?(?:\[\d+\])?:\s*)+", re.IGNORECASE)
_OWN_ID = re.compile(r"symptom-kb-[0-9a-f]{16}@")
_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})


class Email(Connector):
    """Mail to a support address."""

    name = "email"
    answer_within_s = 30.0
    options: Mapping[str, str] = {
        "from_address": "address that notes are sent from",
        "team_address": "address of the support team, which gets the internal notes",
    }
    required = ("secrets", "base_url", "from_address", "team_address")
    secret_form = SecretForm.SIGNING_OR_TOKEN

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        reading.require_content_type(inbound, MAIL_TYPE)
        signatures.verify_webhook_or_bearer(inbound, config.secrets)

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        message = parse_mail(inbound.body)
        found = _MESSAGE_ID.search(header(message, "Message-ID"))
        message_id = found[0] if found else ""
        delivery = reading.delivery_id(message_id, inbound.body)
        text = new_text(message)
        if why := _why_ignored(message, text, config):
            return reading.ignored(delivery, why)
        title = _subject(message)
        if not (text or title):
            raise reading.malformed("the message has neither a subject nor text")
        references = _MESSAGE_ID.findall(f"{header(message, 'References')} {header(message, 'In-Reply-To')}")
        earlier = list(dict.fromkeys(reference for reference in references if reference != message_id))
        requester = _address(header(message, "Reply-To")) or _address(header(message, "From"))
        return Event(
            EventKind.TICKET,
            delivery,
            subject_id=earlier[0] if earlier else delivery,
            title=title,
            text=text,
            fields=reading.present(
                action="commented" if earlier else "created",
                channel="email",
                name=title,
                account=reading.opaque(_address(header(message, "From")).lower()),
            ),
            reply={
                "to": requester if config.public_replies else "",
                "message_id": message_id,
                "references": [*earlier[-_REFERENCE_LIMIT:], *([message_id] if message_id else [])],
            },
            audience=reading.reply_audience(config, is_public=True),
        )

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        is_public = note.public and is_public_reply(event, config)
        to = event.reply["to"] if is_public else config.options.get("team_address", "")
        if not to:
            return []
        marker = note_marker(event)
        sender = config.options.get("from_address", "")
        message_id = note_message_id(event)
        threading = {
            "In-Reply-To": event.reply["message_id"],
            "References": " ".join(event.reply["references"]),
        }
        mail = {
            "from": sender,
            "to": [to],
            "subject": _reply_subject(event.title, is_public),
            "text": f"{to_plain(note.markdown)}\n\n{marker}",
            "html": f"{to_html(note.markdown)}\n<p>{marker}</p>",
            "headers": {
                "Message-ID": f"<{message_id}@{sender.rpartition('@')[2]}>",
                **{name: value for name, value in threading.items() if value},
                "Auto-Submitted": "auto-replied",
            },
        }
        return [post_to_operator(api_url(config, ""), mail, message_id, config)]


def _why_ignored(message: Message, text: str, config: ConnectorConfig) -> str:
    sender = _address(header(message, "From")).lower()
    if _OWN_ID.search(header(message, "Message-ID")) or is_own_note(text):
        return "one of our own notes"
    if sender and sender == config.options.get("from_address", "").strip().lower():
        return "written by this integration"
    automatic = header(message, "Auto-Submitted").lower()
    if automatic and automatic != "no":
        return "sent by a program (Auto-Submitted)"
    if header(message, "Precedence").lower() in _BULK or message.get("List-Id") or message.get("X-Autoreply"):
        return "bulk mail or an automatic reply"
    if header(message, "Return-Path") == "<>" or message.get_content_type() == "multipart/report":
        return "a delivery report"
    return ""


def _subject(message: Message) -> str:
    """The subject without what mail programs and ticket systems put before it."""
    return _REPLY_PREFIX.sub("", header(message, "Subject"))


def _reply_subject(title: str, is_public: bool) -> str:
    line = re.sub(r"\s+", " ", title)[:200] or "your message"
    return f"Re: {line}" if is_public else f"[internal] Re: {line}"


def _address(text: str) -> str:
    """The bare address in a header, empty unless it is one that cannot carry anything else."""
    address = parseaddr(text)[1]
    return address if address in text and _ADDRESS.fullmatch(address) else ""
