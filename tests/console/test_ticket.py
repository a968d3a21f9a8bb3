"""What the console gives for the ticket: questions, first steps, notes, copied lines."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.world import SYMPTOM, clipboard, type_symptom
from tests.http_world import SECRETS

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_what_is_missing_is_asked_for_in_a_ready_message(engineer: Any) -> None:
    type_symptom(engineer, f"Hi,\n{SYMPTOM}\nsince 09:10 UTC.\nThanks")
    asked = engineer.inner_text("#kb-ask")
    assert "The request id of one failing attempt" in asked
    assert "when it happened" not in asked.lower()
    engineer.locator("#kb-q").blur()
    engineer.keyboard.press("m")
    message = clipboard(engineer)
    assert message.startswith("Hi,")
    assert "- the request id" in message
    assert not [word for word in SECRETS if word.lower() in message.lower()]
    engineer.click(".message summary")
    engineer.fill("#kb-message", "Only this, please.")
    engineer.click("#kb-ask [data-copy-from]")
    assert clipboard(engineer, "Only this") == "Only this, please."
    assert "Quokka board" in engineer.inner_text(".needs")
    assert "09:10 UTC" in engineer.inner_text(".held")


def test_a_detail_that_is_added_is_no_longer_asked_for(engineer: Any) -> None:
    type_symptom(engineer, f"{SYMPTOM}, X-Request-ID: 7f3a9c21d4 at 09:10 UTC")
    assert "request id of one" not in engineer.inner_text(".ticket")


def test_the_first_steps_stand_beside_the_results_with_the_same_ticks(engineer: Any) -> None:
    type_symptom(engineer)
    steps = engineer.locator("#kb-steps .checklist input")
    steps.nth(0).check()
    assert "1 of 2 done" in engineer.inner_text("#kb-steps .checklist-bar")
    engineer.click("#kb-steps [data-checklist-copy]")
    assert "- [x] " in clipboard(engineer)
    engineer.click("#kb-steps .panel-source a")
    engineer.wait_for_selector(".prose .checklist")
    assert engineer.locator(".prose .checklist input").nth(0).is_checked()


def test_the_first_steps_are_ticked_and_copied(engineer: Any) -> None:
    engineer.goto("/articles/runbooks/zanzibar.md")
    boxes = engineer.locator(".checklist input")
    assert boxes.count() == 2
    boxes.nth(0).check()
    assert "1 of 2 done" in engineer.inner_text(".checklist-bar")
    engineer.click("text=Copy for the ticket")
    copied = clipboard(engineer)
    assert "- [x] Look at the quokka board:\n  ```bash\n  kubectl get pods -n quokka\n  ```" in copied
    assert "- [ ] Ask the zanzibar team." in copied
    assert "/articles/runbooks/zanzibar.md#first-15-minutes" in copied
    engineer.reload()
    assert boxes.nth(0).is_checked()


def test_the_note_for_the_ticket_cites_what_was_found(engineer: Any) -> None:
    type_symptom(engineer)
    engineer.locator("#kb-q").blur()
    engineer.keyboard.press("n")
    note = clipboard(engineer)
    assert note.startswith("**Suggested articles** (83% sure)")
    assert "/articles/api/" in note


def test_marked_lines_and_code_are_copied(open_page: Any) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/articles/KB-1001?lines=1-15")
    page.keyboard.press("c")
    reply = clipboard(page)
    assert "> Every request answers 401" in reply
    assert "[api/token-expired.md:1-15](<http://127.0.0.1" in reply
    assert "KB-7777" not in reply
    page.locator(".code").hover()
    page.click(".code > button")
    assert clipboard(page, "HTTP/1.1").startswith("HTTP/1.1 401 Unauthorized\nWWW-Authenticate")
    page.goto("/articles/KB-1001")
    page.keyboard.press("c")
    assert "\n— [API answers 401" in clipboard(page, "—")
