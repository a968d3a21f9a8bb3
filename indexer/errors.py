"""Every error a user can cause, in one tree. The command line turns them into exit status 2, the API into problem+json.

KBError
├── ArticleError        one file cannot be read as an article
│   └── NoText          it has nothing but headings
├── IndexNotFound       no published index at the given place
├── IndexCorrupt        the files differ from what was published
├── IndexMismatch       built with something else than what is configured now
├── IndexBusy           somebody else is publishing
├── IndexUnwritable     the index cannot be written: rights, or a full disk
├── ModelError          embedding weights missing or altered
├── DatasetError        an evaluation data set or history cannot be read
├── SettingsError       the configuration contradicts itself
├── SourceError         a foreign knowledge base cannot be read at all
├── PageError           one page of a foreign knowledge base cannot be taken over
├── InputError          a query or ticket that cannot be answered as it is
└── NotFound            no such article in the caller's scope
"""

from __future__ import annotations


class KBError(Exception):
    """Base of all errors that a user can mend. The message says what is wrong and what to do."""


class ArticleError(KBError):
    """One file cannot be read as an article.

    Attributes:
        path: the file, relative to the folder that is indexed.
        line: 1-based line of the trouble.
        reason: what is wrong, without the path.
    """

    def __init__(self, path: str, line: int, reason: str) -> None:
        super().__init__(f"{path}:{line}: {reason}")
        self.path = path
        self.line = line
        self.reason = reason


class NoText(ArticleError):
    """A file without text: empty, or of headings alone."""


class IndexNotFound(KBError):
    """No published index at the given place."""


class IndexCorrupt(KBError):
    """The index's files differ from what was published."""


class IndexMismatch(KBError):
    """The index was built with another model, precision or format than the one configured."""


class IndexBusy(KBError):
    """Another process is publishing into the same index directory."""


class IndexUnwritable(KBError):
    """The system does not let this process write the index: its rights, a full disk, a damaged file system."""


class ModelError(KBError):
    """Embedding weights are missing or not the ones that were pinned."""


class DatasetError(KBError):
    """An evaluation data set or a ticket history cannot be read."""


class SettingsError(KBError):
    """The configuration contradicts itself."""


class SourceError(KBError):
    """A foreign knowledge base cannot be read: address, credentials, export file or settings."""


class PageError(KBError):
    """One page of a foreign knowledge base cannot be taken over. The message is the reason, without the page's name."""


class InputError(KBError):
    """A query or ticket that cannot be answered as it is."""


class NotFound(KBError):
    """No such article in the caller's scope. The same error for absent and for out of scope, so it tells nothing."""
