"""From an HTTP request to durable jobs: verify, parse, deduplicate, store. No web framework, and no answer yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from indexer.metadata import Audience
from service.connectors.contract import (
    Event,
    EventKind,
    Inbound,
    Rejected,
    RejectedReason,
    UnknownConnector,
    is_public_reply,
)
from service.intake.audit import Action, AuditTrail
from service.intake.config import Configured
from service.intake.jobs import PUBLIC_SUFFIX, NewJob
from service.intake.queue import Queue
from service.intake.recent import RecentTickets

_MAX_DELIVERY_ID = 300 - len(PUBLIC_SUFFIX)


class Status(StrEnum):
    """What became of a delivery that was taken."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    HANDSHAKE = "handshake"
    QUESTION = "question"
    """To be answered in the HTTP response itself."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery that was taken.

    Attributes:
        job_ids: what was queued, or had been queued before.
        immediate: JSON body of an answer with status 200; None for the ordinary 202.
        event: for QUESTION, what to answer.
    """

    status: Status
    job_ids: tuple[int, ...] = ()
    immediate: Mapping[str, Any] | None = None
    event: Event | None = None


class Receiver:
    """Takes deliveries of the configured connectors. Thread-safe."""

    def __init__(
        self,
        connectors: Mapping[str, Configured],
        queue: Queue,
        audit: AuditTrail,
        recent: RecentTickets,
        count: Callable[[str, str], None] = lambda connector, outcome: None,
    ) -> None:
        """
        Args:
            count: called with the connector's name and a Status or `rejected:` and why.
        """
        self._connectors = connectors
        self._queue = queue
        self._audit = audit
        self._recent = recent
        self._count = count

    def find(self, name: str) -> Configured:
        """The connector with this name. Raises UnknownConnector."""
        configured = self._connectors.get(name)
        if configured is None:
            raise UnknownConnector
        return configured

    def receive(self, name: str, inbound: Inbound, request_id: str = "") -> Receipt:
        """Take one delivery; what is `ACCEPTED` is on disk.

        Raises:
            UnknownConnector: no connector of that name is configured.
            Rejected: it is not authentic, not fresh, not readable, not wanted; the audit trail says so too.
            StateUnavailable: it could not be stored; the vendor has to send it again.
        """
        configured = self.find(name)
        try:
            receipt = self._receive(configured, inbound, request_id)
        except Rejected as rejection:
            self.reject(name, rejection, request_id)
            raise
        self._count(name, receipt.status)
        return receipt

    def reject(self, name: str, rejection: Rejected, request_id: str = "") -> None:
        """Count and write down that a delivery to a configured connector was not taken."""
        self._count(name, f"rejected:{rejection.reason}")
        self._audit.reject(name, rejection.reason, request_id, rejection.detail)

    def _receive(self, configured: Configured, inbound: Inbound, request_id: str) -> Receipt:
        connector, config = configured.connector, configured.config
        connector.verify(inbound, config)
        event = connector.parse(inbound, config)
        match event.kind:
            case EventKind.HANDSHAKE:
                return Receipt(Status.HANDSHAKE, immediate=event.immediate or {})
            case EventKind.IGNORED:
                why = str(event.fields.get("ignored", ""))
                self._recent.update_status(configured.name, event)
                self._audit.write(configured.name, Action.IGNORED, request_id, why, event.subject_id)
                return Receipt(Status.IGNORED, immediate=event.immediate)
        if not event.delivery_id or len(event.delivery_id) > _MAX_DELIVERY_ID:
            raise Rejected(RejectedReason.MALFORMED, "the delivery id is missing or too long")
        in_response = connector.answers_in_response and event.kind is EventKind.QUESTION
        jobs = (
            [NewJob(event, is_public_reply(event, config), True)] if in_response else plan(event, configured, inbound)
        )
        added = self._queue.add(configured.name, jobs, inbound.received_s, request_id)
        if added.replayed or (in_response and added.duplicate):
            raise Rejected(RejectedReason.REPLAYED, "this delivery was taken before; a new one needs a new id")
        if in_response:
            return Receipt(Status.QUESTION, added.job_ids, event=event)
        status = Status.DUPLICATE if added.duplicate else Status.ACCEPTED
        return Receipt(status, added.job_ids, event.immediate)


def plan(event: Event, configured: Configured, inbound: Inbound) -> list[NewJob]:
    """The jobs that `event` makes: a note, and where the operator turned public replies on, the reply.

    Where the vendor keeps notes apart from replies, the same delivery read with public replies off is an internal
    event, and the team gets its internal note besides. Otherwise the place itself is public and has room for one.
    """
    connector, config = configured.connector, configured.config
    if not is_public_reply(event, config):
        return [NewJob(event)]
    internal = connector.parse(inbound, dataclasses.replace(config, public_replies=False))
    if internal.audience is not Audience.INTERNAL or internal.kind is not event.kind:
        return [NewJob(event, is_public=True)]
    reply = dataclasses.replace(event, delivery_id=event.delivery_id + PUBLIC_SUFFIX, replay_key="")
    return [NewJob(internal), NewJob(reply, is_public=True)]
