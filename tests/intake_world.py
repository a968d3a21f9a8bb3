"""What tests of intake share: the vendor of `eval.intake_vendor`, and deliveries of the generic connector."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from eval.intake_vendor import (
    CALLBACK_SECRET,
    SIGNING_SECRET,
    ZENDESK_SECRET,
    Answer,
    Call,
    Vendor,
    vendor,
    write_connectors,
    zendesk_delivery,
)
from service.connectors.signatures import sign_standard_webhooks

__all__ = [
    "CALLBACK_SECRET",
    "SIGNING_SECRET",
    "ZENDESK_SECRET",
    "Answer",
    "Call",
    "Vendor",
    "generic_delivery",
    "vendor",
    "wait_for",
    "write_connectors",
    "zendesk_delivery",
]


def generic_delivery(
    subject: str, title: str, text: str = "", *, delivery: str = "", kind: str = "ticket.created", **data: Any
) -> dict[str, Any]:
    """Keyword arguments of an HTTP client's `post` that deliver a ticket, signed now."""
    content = {"type": kind, "data": {"id": subject, "title": title, "text": text, **data}}
    body = json.dumps(content).encode()
    message_id, now = delivery or f"msg_{subject}", int(time.time())
    return {
        "content": body,
        "headers": {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign_standard_webhooks(SIGNING_SECRET, message_id, now, body),
        },
    }


def wait_for(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Return when `condition` holds; fail if it never does."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)
