"""The assistant that the service answers with, opened beside everything else that takes time at the start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.assistant import Assistant
    from service.settings import Settings


def open_assistant(settings: Settings) -> Assistant:
    """The assistant on the live version, with one embedder for all threads, which knows the last texts.

    Raises as Assistant, and ModelError.
    """
    from indexer.embedding import load_embedder
    from indexer.snapshot import Manifest, current_version
    from service.assistant import Assistant
    from service.batching import BatchingEmbedder
    from service.recent_vectors import RecentVectors

    made_by = Manifest.read(settings.index / current_version(settings.index)).fingerprint
    embedder = load_embedder(made_by.model, made_by.precision, threads=1)
    batching = BatchingEmbedder(embedder, len(os.sched_getaffinity(0)))
    return Assistant(settings.index, RecentVectors(batching))


def warm_up(assistant: Assistant) -> None:
    """Ask one question, so that no caller waits for what is loaded by the first."""
    from indexer.scope import PUBLIC
    from service.answers import Question

    assistant.answer(Question("warm up the model and the index", limit=1), PUBLIC)


def begin_opening(settings: Settings) -> Callable[[], Assistant]:
    """Begin to open the assistant in a thread; the result waits for it, and returns or raises as `open_assistant`.

    Loading the model and checking the index is native code, which leaves the interpreter to the imports of the web
    framework. What both import is imported here, so that no module is asked for by two threads at a time.
    """
    for shared in ("indexer.embedding", "indexer.snapshot", "service.assistant", "service.recent_vectors"):
        import_module(shared)

    opened: Future[Assistant] = Future()

    def work() -> None:
        try:
            opened.set_result(open_assistant(settings))
        except BaseException as error:  # noqa: BLE001 -- raised again where the result is asked for
            opened.set_exception(error)

    threading.Thread(target=work, name="opening").start()
    return opened.result
