"""The errors that articles name in `error_codes`, each asked alone, as somebody pastes it into a search box."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from indexer.scope import INTERNAL
from service.answers import Question

if TYPE_CHECKING:
    from eval.preparing import Progress
    from service.assistant import Assistant


@dataclass(frozen=True, slots=True)
class DeclaredAsked:
    """Figures of errors asked alone, by somebody who may see every article.

    Attributes:
        errors: how many different ones the articles name.
        first: how many of them lead first to an article that names them.
        answered: how many get a suggestion.
        elsewhere: those that lead first to an article that does not name them, as they are written.
    """

    errors: int
    first: int
    answered: int
    elsewhere: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ask_declared(assistant: Assistant, progress: Progress) -> DeclaredAsked:
    """Ask for each error that any article of the index names."""
    named: dict[str, tuple[str, set[str]]] = {}
    for card in assistant.articles(INTERNAL):
        for error in assistant.article(card.path, INTERNAL).meta.error_codes:
            named.setdefault(error.casefold(), (error, set()))[1].add(card.path)
    answered, elsewhere = 0, []
    for number, (error, paths) in enumerate(named.values(), start=1):
        answer = assistant.answer(Question(error, limit=1), INTERNAL)
        answered += answer.answered
        if not answer.suggestions or answer.suggestions[0].path not in paths:
            elsewhere.append(error)
        progress("asking for errors by name", number, len(named))
    return DeclaredAsked(len(named), len(named) - len(elsewhere), answered, tuple(elsewhere))
