"""What a connector is: three pure functions between a vendor's HTTP and the one note that intake makes.

request -> verify -> parse -> Event -> (queue, assistant) -> Note -> render -> Outbound calls

A connector never does I/O. `service.intake` receives, queues, answers and delivers; it knows no vendor by name.

What intake does with an `Event`:
- `immediate` is not None, whatever the kind: the HTTP answer is 200 with that body; else 202 with intake's own.
- the connector `answers_in_response` and the kind is QUESTION: the HTTP answer is 200 with `render_immediate(...)`.
- the scope of the search is `event.audience`, and `note.public = is_public_reply(event, config)`.
- the kind is IGNORED: `fields["status"]`, where there is one, is the ticket's status now.
- `replay_key` was seen under another `delivery_id`: the delivery is a replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from indexer.errors import KBError, NotFound
from indexer.metadata import Audience

NAME_PATTERN = r"[a-z][a-z0-9-]{0,39}"
"""What a connector may be called, in the connectors file and in its address."""


ON = frozenset({"yes", "true", "on", "1"})
SWITCH = ON | {"no", "false", "off", "0"}
"""What an option that is switched on or off takes, in lower case."""


class UnknownConnector(NotFound):
    """No connector of that name is configured."""

    def __init__(self) -> None:
        super().__init__("no such connector is configured here")


@dataclass(frozen=True, slots=True)
class Inbound:
    """One HTTP request as it arrived.

    Attributes:
        headers: names in lower case.
        body: the raw bytes, which signatures are made over.
        received_s: Unix time in seconds.
        query: parameters of the address.
    """

    headers: Mapping[str, str]
    body: bytes
    received_s: float
    query: Mapping[str, str] = field(default_factory=dict)


class RejectedReason(StrEnum):
    """Why a delivery is not taken; each is a problem type and an audit entry of its own."""

    BAD_SIGNATURE = "bad-signature"
    STALE_TIMESTAMP = "stale-timestamp"
    REPLAYED = "replayed"
    TOO_LARGE = "body-too-large"
    WRONG_CONTENT_TYPE = "unsupported-media-type"
    MALFORMED = "malformed"
    UNKNOWN_EVENT = "unknown-event"


class Rejected(KBError):
    """A delivery that is not taken. The message never quotes the body."""

    def __init__(self, reason: RejectedReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class EventKind(StrEnum):
    """What an event wants."""

    TICKET = "ticket"
    """A new or updated ticket: answer with an internal note."""
    ALERT = "alert"
    """A firing alert: answer with a runbook and its first 15 minutes."""
    QUESTION = "question"
    """Somebody asked in a chat: answer in the same place."""
    HANDSHAKE = "handshake"
    """The vendor checks the address: answer `immediate` and do nothing else."""
    IGNORED = "ignored"
    """Authentic and of no interest, such as our own note coming back: acknowledge, and write nothing."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a delivery says, in one vocabulary for all vendors.

    Attributes:
        delivery_id: the idempotency key, unique among the connector's deliveries.
        subject_id: the ticket's, alert's or conversation's id at the vendor; the note goes there.
        title, text: what to search for; plain text.
        fields: what else the vendor said that triage may use. Names that mean the same everywhere: `action` (created,
            commented, updated, triggered ...), `product`, `component`, `category`, `priority`, `severity`, `status`,
            `channel` (strings); `name` (what people call it, where that is not the id); `account` (who asked, from
            `reading.opaque`); `tags` (list of strings); `labels` (string to string); `runbook_url`; `private` (whether
            the words came from an internal comment); `ignored` (why the kind is IGNORED).
        url: where a person sees it; empty if unknown.
        reply: what `render` needs to find the way back (a response address, thread, account), vendor-specific.
        audience: who reads the answer, and so which articles may be in it: internal unless the place is public, or
            nobody has vouched for it (docs/connectors.md), or `public_replies` is on and the words were public.
        immediate: JSON body of the HTTP answer, which is then 200: for a handshake, or where the vendor wants an
            acknowledgement in a form of its own.
        replay_key: digest of what the signature covers, where the vendor leaves the delivery id outside it; empty
            where the id itself is signed, or nothing is.
    """

    kind: EventKind
    delivery_id: str
    subject_id: str = ""
    title: str = ""
    text: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    reply: Mapping[str, Any] = field(default_factory=dict)
    audience: Audience = Audience.INTERNAL
    immediate: Mapping[str, Any] | None = None
    replay_key: str = ""


@dataclass(frozen=True, slots=True)
class NoteLink:
    """An article named in a note, with the address where its cited lines can be read."""

    title: str
    url: str
    citation: str


@dataclass(frozen=True, slots=True)
class Note:
    """What intake has to say about an event.

    Attributes:
        markdown: the whole note in CommonMark; a vendor that wants another markup converts it in `render`.
        summary: one line, for notifications.
        links: the suggested articles, best first.
        answered: False where no article covers the event; the note says so.
        public: whether it is a public reply (`is_public_reply`); False means an internal note.
        tags: suggested tags.
        claims: what it comes down to, such as its first article's path. A note about a ticket that claims nothing but
            what earlier ones did is not written; one that claims nothing always is.
    """

    markdown: str
    summary: str
    links: Sequence[NoteLink] = ()
    answered: bool = True
    public: bool = False
    tags: Sequence[str] = ()
    claims: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outbound:
    """One HTTP call to the vendor; `service.connectors.calling.encode_request` makes its bytes and headers.

    Attributes:
        method: of HTTP.
        url: whole address.
        json: body.
        headers: besides content type; credentials included, so never logged.
        idempotency_marker: text that is found in what an earlier, interrupted delivery of the same note left at the
            vendor; with it `lookup_url` (GET, same headers) tells whether the note is there already. Empty where the
            vendor deduplicates by itself or keeps nothing that could be read back.
        success_field: a boolean of the JSON answer that must be true for the call to have worked, for a vendor that
            says 200 to everything (Slack's `ok`); with `"error"` beside it. Empty: the status decides.
        signing_secret: `whsec_` secret with which the body is signed at the moment of sending; never logged.
        message_id: the `webhook-id` of a signed call, the receiver's idempotency key.
    """

    method: str
    url: str
    json: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    lookup_url: str = ""
    idempotency_marker: str = ""
    success_field: str = ""
    signing_secret: str = ""
    message_id: str = ""


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """An operator's settings for one connector, from the settings file; secrets never leave this object.

    Attributes:
        secrets: signing secrets, newest first; several while rotating.
        base_url: the vendor's API, such as `https://example.zendesk.com`.
        token: credential for writing back: the bare token, `user:password` for a Basic credential, or the whole
            value of the `Authorization` header (anything with a space in it).
        options: connector-specific (project keys, channel, field names), documented in docs/connectors.md.
        public_replies: whether a public reply may be written, from public articles only.
    """

    secrets: Sequence[str] = ()
    base_url: str = ""
    token: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    public_replies: bool = False


class SecretForm(StrEnum):
    """What a connector's `secrets` may be; checked when they are loaded (`service.connectors.registry`)."""

    TEXT = "text"
    """Whatever the vendor gave out."""
    SIGNING = "signing"
    """`whsec_` and base64: requests are signed as Standard Webhooks."""
    SIGNING_OR_TOKEN = "signing-or-token"  # noqa: S105 -- the name of a form
    """A signing secret, or any other text, which is then a token that travels with the request."""
    BASE64 = "base64"
    """The key itself, in base64."""


class Connector(Protocol):
    """One vendor. All methods are pure. A vendor's class inherits what stands here with a value."""

    name: str
    """As in the route `/v1/intake/{name}` and the settings."""
    answer_within_s: float
    """How soon the vendor wants its HTTP answer."""
    answers_in_response: bool = False
    """Whether the HTTP answer itself carries the reply (`render_immediate`), within `answer_within_s`."""
    options: Mapping[str, str]
    """Names of the `options` it knows, with their meaning."""
    choices: Mapping[str, frozenset[str]] = {}
    """What those of the `options` take, in lower case, that take nothing else."""
    required: Sequence[str]
    """What must be configured: `secrets`, `base_url`, `token` or the name of an option."""
    secret_form: SecretForm = SecretForm.TEXT
    """What the secrets may be."""

    def verify(self, inbound: Inbound, config: ConnectorConfig) -> None:
        """Raises Rejected unless the request is authentic, fresh and of the right content type."""
        ...

    def parse(self, inbound: Inbound, config: ConnectorConfig) -> Event:
        """The event of a verified request. Raises Rejected if it is malformed or of an unknown kind."""
        ...

    def render(self, note: Note, event: Event, config: ConnectorConfig) -> Sequence[Outbound]:
        """The calls that put `note` where it belongs, in order; none where the HTTP answer itself was the reply, or
        where a note must not be written (an internal note has no place to go, a public one is not allowed)."""
        ...

    def render_immediate(self, note: Note, event: Event, config: ConnectorConfig) -> Mapping[str, Any]:
        """JSON body of the HTTP answer that carries `note`; empty unless `answers_in_response`."""
        return {}


def is_public_reply(event: Event, config: ConnectorConfig) -> bool:
    """Whether the note about `event` may be readable by the public: turned on, and the event allows it."""
    return config.public_replies and event.audience is Audience.PUBLIC
