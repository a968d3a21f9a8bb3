"""`/v1/search` and `/v1/tickets/suggest`: questions in, the assistant's answer out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from service.answers import MAX_RESULTS, Answer, Question, Snippet
from service.http.caching import answer_tag, is_current
from service.http.links import citation_url, lead_out, links_within, own_address, whole_links_within
from service.http.models import (
    ANSWER_EXAMPLE,
    AnswerBody,
    Product,
    SearchRequest,
    Text,
    TicketAnswerBody,
    TicketRequest,
)
from service.http.problems import problem_responses
from service.http.security import Caller
from service.http.services import CallerDep, Services, ServicesDep
from service.notes import write_note
from service.rendering import links_are_open
from service.triage import Triage, triage

router = APIRouter(prefix="/v1", tags=["answers"])

MAX_URL_CHARS, MAX_URL_TITLE_CHARS = 2_000, 500
"""What stays below the 64 KiB that the server reads as an address, whatever the script: POST takes longer texts."""

_PROBLEMS = ("malformed", "forbidden", "body-too-large", "invalid", "busy", "not-ready")


def _answered(example: dict[str, Any], *more: str) -> dict[int | str, dict[str, Any]]:
    return {**problem_responses(*_PROBLEMS, *more), 200: {"content": {"application/json": {"example": example}}}}


async def ask(services: Services, caller: Caller, question: Question, products: list[str]) -> AnswerBody:
    """The answer that `caller` may see. Raises ProblemError `busy` or `not-ready`, InputError."""
    assistant = services.library.assistant
    scope = caller.scope(products)
    answer = await services.pool.answer(assistant, question, scope)
    services.metrics.answers.labels("answered" if answer.answered else "abstained").inc()
    link_for = links_within(assistant, caller.scope())

    def shows(snippet: Snippet) -> bool:
        return caller.is_internal or links_are_open(snippet.text, snippet.citation.path, link_for)

    return AnswerBody.of(answer, shows, is_internal=caller.is_internal)


@router.get(
    "/search",
    operation_id="search",
    responses={**_answered(ANSWER_EXAMPLE), 304: {"description": "Unchanged since the `ETag` in If-None-Match"}},
    response_model=AnswerBody,
    summary="Search by a short symptom",
)
async def search(
    *,
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    q: Annotated[Text, Query(max_length=MAX_URL_CHARS, description="A symptom.", examples=["401 invalid_token"])],
    title: Annotated[Text, Query(max_length=MAX_URL_TITLE_CHARS, description="The subject.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 5,
    products: Annotated[list[Product] | None, Query(max_length=20)] = None,
) -> AnswerBody | Response:
    """Ranked articles with cited snippets. For long texts, and to keep them out of proxies' logs, use POST."""
    question, scope = Question(q, title, limit), caller.scope(products or [])
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}  # and Origin, as all here
    version = services.library.assistant.index_version
    tag = answer_tag(version, scope, question)
    if is_current(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers={**headers, "ETag": tag})
    answer = await ask(services, caller, question, products or [])
    if answer.index_version != version:  # a new one was published meanwhile
        tag = answer_tag(answer.index_version, scope, question)
    response.headers.update({**headers, "ETag": tag})
    return answer


@router.post(
    "/search",
    operation_id="searchText",
    responses=_answered(ANSWER_EXAMPLE, "unsupported-media-type"),
    summary="Search by a log or a whole text",
)
async def search_text(
    body: SearchRequest,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
) -> AnswerBody:
    """Ranked articles with cited snippets."""
    response.headers["Cache-Control"] = "no-store"
    return await ask(services, caller, body.question(), body.products)


@router.post(
    "/tickets/suggest",
    operation_id="suggestForTicket",
    responses=_answered(
        {**ANSWER_EXAMPLE, "internal_note": "**Suggested articles** (83% sure)\n…", "triage": None},
        "unsupported-media-type",
    ),
    summary="Suggest articles for a ticket",
)
async def suggest_for_ticket(
    body: TicketRequest,
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
) -> TicketAnswerBody:
    """The same answer, a Markdown note for the ticket's internal side, and for the team triage."""
    response.headers["Cache-Control"] = "no-store"
    question = body.question()
    answer = await ask(services, caller, question, body.products)
    base = own_address(services.settings, request)
    link_for = whole_links_within(services.library.assistant, caller.scope(), base)
    noted = replace(answer, suggestions=tuple(lead_out(one, link_for) for one in answer.suggestions))
    note = write_note(noted, lambda citation: base + citation_url(citation))
    return TicketAnswerBody.with_note(answer, note, await triage_for(services, caller, question, body.products, answer))


async def triage_for(
    services: Services, caller: Caller, question: Question, products: list[str], answer: Answer
) -> Triage | None:
    """Triage of a question that was answered, for the team; None for everybody else.

    Raises:
        ProblemError: `busy` where an answering process has died.
    """
    if not caller.is_internal:
        return None
    assistant, scope = services.library.assistant, caller.scope(products)
    work = partial(triage, question=question, scope=scope, answer=answer)
    return await services.pool.ask(assistant, work, is_continued=True)
