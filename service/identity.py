"""Whom a credential stands for, whichever kind of credential it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexer.metadata import Audience


@dataclass(frozen=True, slots=True)
class Identity:
    """The holder of a key, of a one-time link, or of an account at the sign-in provider.

    Attributes:
        id: short and fit for logs: a key's public id, or a digest of an account. At most 40 characters.
        name: shown to the holder in the console, and written nowhere.
        audience: the most that they may see.
        key_file: whether `id` is a key of the key file, with which a session ends.
        id_token: the provider's, of a sign-in there; it is shown to the provider alone, to sign out there too.
    """

    id: str
    name: str
    audience: Audience
    key_file: bool = False
    id_token: str = field(default="", repr=False)

    @property
    def is_internal(self) -> bool:
        return self.audience is Audience.INTERNAL
