"""Settings of the service: environment variables `KB_*`, or one settings file. Documented in docs/settings.md.

Only the command line and the app factory read them; everything below is handed values.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from indexer.errors import SettingsError
from indexer.metadata import Audience

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_ORIGIN = re.compile(r"(?i:https?)://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
EVERYBODY = "*"
_OPEN_TO_ALL = frozenset({"https://accounts.google.com"})
"""Issuers at which anybody in the world has an account, or can make one."""

_CHOSEN_BY_THEIR_BEARERS = frozenset({"name", "nickname", "preferred_username"})
"""Claims that prove nothing (OpenID Connect Core, 5.7)."""


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """The OpenID Connect provider, and whom it makes an engineer.

    Attributes:
        issuer: exactly as the provider writes it, a slash at the end included.
        client_secret: None for a public client, which PKCE protects alone.
        name: what people call it.
        claim: name of the claim that `internal` is looked for in.
        internal: values that open internal articles; `*` among them for everybody who has a token.
        audience: of access tokens for the API; None where they are not taken.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    name: str
    claim: str
    internal: frozenset[str]
    audience: str | None


class Settings(BaseSettings):
    """What an operator may choose. Unknown names in a settings file or in code are refused, so a typo is found."""

    model_config = SettingsConfigDict(env_prefix="KB_", env_ignore_empty=True, extra="forbid", frozen=True)

    index: Path = Field(default=Path("var/index"), description="Directory of the published index.")
    host: str = Field(default="127.0.0.1", description="Address that `kb serve` listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that `kb serve` listens on; 0 for any free one.")
    anonymous_audience: Audience = Field(
        default=Audience.PUBLIC,
        description="What callers without a credential see. `internal` only on a loopback host.",
    )
    keys_file: Path | None = Field(default=None, description="API keys. Default: the index's name + `.keys.json`.")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL. Default: SQLite at the index's name + `.state.sqlite`."
    )
    answer_workers: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)) + 1,
        ge=1,
        le=256,
        description="Questions answered at the same time. Default: one more than there are cores.",
    )
    answer_processes: int = Field(
        default=0, ge=0, le=256, description="Processes that answer; 0 answers in the serving process."
    )
    answer_queue: int = Field(default=32, ge=0, le=100_000, description="Questions that may wait; one more gets 503.")
    answer_cache: int = Field(
        default=512, ge=0, le=1_000_000, description="Answers kept for the same question in the same scope; 0 for none."
    )
    rate_limit_per_minute: int = Field(
        default=240, ge=1, description="Requests a minute for each address that has no secret key."
    )
    secret_rate_limit_per_minute: int = Field(default=2400, ge=1, description="Requests a minute for each secret key.")
    max_body_bytes: int = Field(default=262_144, ge=1024, description="Largest request body; a larger one gets 413.")
    reload_interval_s: float = Field(
        default=1.0, gt=0, description="How often the service looks for a new index version."
    )
    durable_days: int = Field(
        default=7, ge=1, le=365, description="A deflection is durable if no ticket follows within so many days."
    )
    ledger_keep_days: int = Field(
        default=400, ge=1, le=36_500, description="How long events of the deflection ledger, and feedback, are kept."
    )
    trace_documents: bool = Field(
        default=False, description="Whether traces also tell which articles were found, as ids and scores."
    )
    session_hours: float = Field(default=12.0, gt=0, description="How long a sign-in to the console lasts.")

    oidc_issuer: str | None = Field(default=None, description="OpenID Connect provider that engineers sign in with.")
    oidc_client_id: str | None = Field(default=None, description="The console's client id at the provider.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Its secret; none for a public client.")
    oidc_name: str = Field(default="single sign-on", min_length=1, max_length=60, description="Label of the button.")
    oidc_claim: str = Field(default="groups", min_length=1, description="Claim that tells who is an engineer.")
    oidc_internal: str | None = Field(
        default=None, description="Values of that claim, by commas, that open internal articles; `*` for everybody."
    )
    oidc_audience: str | None = Field(
        default=None, description="The API's identifier at the provider; access tokens for it are taken."
    )
    mcp_anonymous: bool = Field(
        default=True, description="Whether `/mcp` answers without a credential; if not, it asks for one."
    )

    connectors_file: Path | None = Field(
        default=None, description="Connectors of ticket, chat and alerting tools; see docs/intake.md."
    )
    public_url: str | None = Field(
        default=None, description="Where people reach the console; links in notes begin with it."
    )
    intake_worker: bool = Field(default=True, description="Whether `kb serve` writes notes itself.")
    intake_threads: int = Field(default=2, ge=1, le=64, description="Notes made at the same time.")
    intake_max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Largest delivery of a connector.")
    intake_rate_limit_per_minute: int = Field(
        default=6000, ge=1, description="Deliveries a minute for each address that sends them."
    )
    intake_max_attempts: int = Field(default=20, ge=1, le=1000, description="Tries before a note is a dead letter.")
    intake_lease_s: float = Field(
        default=60.0, ge=1, le=3600, description="How long a worker that died keeps its notes from others."
    )
    intake_keep_days: int = Field(
        default=30, ge=1, le=3650, description="How long finished notes are remembered, dead letters and audit kept."
    )
    intake_recent_days: int = Field(
        default=14, ge=0, le=365, description="How far back duplicates are looked for; 0 keeps no vectors of tickets."
    )

    @field_validator("index", "keys_file", "connectors_file")
    @classmethod
    def _plain_path(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value else value

    @field_validator(
        "oidc_issuer", "oidc_client_id", "oidc_client_secret", "oidc_internal", "oidc_audience", mode="before"
    )
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        """Files of settings often hold the name with nothing behind it."""
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("public_url")
    @classmethod
    def _plain_origin(cls, value: str | None) -> str | None:
        """Links are made by putting a path behind it, and all paths begin at the root."""
        if value is None:
            return None
        origin = value.removesuffix("/")
        if not _ORIGIN.fullmatch(origin):
            raise ValueError("must be http:// or https:// and a host, such as https://kb.example.com, and nothing more")
        _ = urlsplit(origin).port  # a ValueError where there is no such port
        return origin

    @property
    def keys_path(self) -> Path:
        """The key file in use."""
        return self.keys_file or beside(self.index, ".keys.json")

    @property
    def state_url(self) -> str:
        """The database URL in use."""
        return self.database_url or f"sqlite:///{self.state_file}"

    @property
    def state_file(self) -> Path:
        """Where the database is unless the operator names another."""
        return beside(self.index, ".state.sqlite")

    @property
    def public_address(self) -> str:
        """Where people reach the console, without a slash at the end."""
        host = "localhost" if self.host in {"0.0.0.0", "::"} else f"[{self.host}]" if ":" in self.host else self.host  # noqa: S104
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def links_stay_here(self) -> bool:
        """Whether links that begin with `public_address` lead nowhere on any other machine."""
        return urlsplit(self.public_address).hostname in LOOPBACK_HOSTS

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK_HOSTS


def beside(index: Path, suffix: str) -> Path:
    """The sibling of the index directory that is named after it."""
    whole = index.absolute()
    return whole.with_name(whole.name + suffix)


def load_settings(file: Path | None = None, **overrides: Any) -> Settings:
    """Settings from, strongest first: `overrides` that are not None, the environment, `file` (`KB_NAME=value` lines).

    Raises:
        SettingsError: a value is invalid, a name is unknown, internal articles would be open to a network, or single
            sign-on is half set up.
    """
    if file is not None and not file.is_file():
        raise SettingsError(f"settings file {file} does not exist")
    try:
        given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
        file_given: dict[str, Any] = {"_env_file": file} if file else {}
        settings = Settings(**given, **file_given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"setting `{name}`: {first['msg'].removeprefix('Value error, ')}; see docs/settings.md"
        ) from error
    if settings.anonymous_audience is Audience.INTERNAL and not settings.is_loopback:
        raise SettingsError(
            f"anonymous callers may see internal articles only on a loopback host, not on {settings.host}; "
            "make a key with `kb keys add` instead"
        )
    read_single_sign_on(settings)
    return settings


def read_single_sign_on(settings: Settings) -> SingleSignOn | None:
    """The provider to sign in with, or None where there is none.

    Raises:
        SettingsError: a part is missing or unsafe.
    """
    issuer, client_id = settings.oidc_issuer, settings.oidc_client_id
    if issuer is None:
        given = [
            name for name in Settings.model_fields if name.startswith("oidc_") and name in settings.model_fields_set
        ]
        stray = [f"KB_{name.upper()}" for name in given if getattr(settings, name) is not None]
        if stray:
            raise SettingsError(f"{stray[0]} is set and KB_OIDC_ISSUER is not: set the provider's address, or neither")
        return None
    if not is_safe_address(issuer) or urlsplit(issuer).query:
        raise SettingsError(
            "KB_OIDC_ISSUER must be an https address without a query, as the provider writes its issuer"
        )
    if client_id is None:
        raise SettingsError("KB_OIDC_ISSUER is set and KB_OIDC_CLIENT_ID is not: register the console at the provider")
    internal = frozenset(value.strip() for value in (settings.oidc_internal or "").split(",") if value.strip())
    if not internal:
        raise SettingsError(
            "KB_OIDC_INTERNAL must say who is an engineer: values of the claim "
            f"`{settings.oidc_claim}`, by commas, or * for everybody whom the provider lets sign in"
        )
    if EVERYBODY in internal and (len(internal) > 1 or issuer.rstrip("/") in _OPEN_TO_ALL):
        raise SettingsError(
            "KB_OIDC_INTERNAL: * stands alone, and not for a provider where anybody can have an account: "
            "set KB_OIDC_CLAIM, which for Google Workspace is hd, and its values here"
        )
    if settings.oidc_claim in _CHOSEN_BY_THEIR_BEARERS:
        raise SettingsError(
            f"KB_OIDC_CLAIM: people may choose their own {settings.oidc_claim}; name a claim that the provider's "
            "administrators set, such as groups or roles"
        )
    if settings.oidc_audience == client_id:
        raise SettingsError(
            "KB_OIDC_AUDIENCE must differ from KB_OIDC_CLIENT_ID, or ID tokens would pass for access tokens: register "
            "the API on its own at the provider"
        )
    secret = settings.oidc_client_secret
    return SingleSignOn(
        issuer=issuer,
        client_id=client_id,
        client_secret=secret.get_secret_value() if secret else None,
        name=settings.oidc_name,
        claim=settings.oidc_claim,
        internal=internal,
        audience=settings.oidc_audience,
    )


def discovery_address(issuer: str) -> str:
    """Where a provider describes itself (OpenID Connect Discovery 1.0, 4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def is_safe_address(address: str) -> bool:
    """Whether what is sent there cannot be read on the way: https, or http on this machine."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    is_plain = bool(parts.hostname) and parts.username is None and not parts.fragment
    return is_plain and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS))
