"""The connectors file (`KB_CONNECTORS_FILE`): which connectors are on, with their secrets and options.

One table a connector, in YAML or TOML; docs/intake.md describes it. A secret is text or `env:NAME`. Everything is
checked when the service starts, so that a mistake is found before the first ticket is.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from indexer.errors import SettingsError
from service.connectors.contract import NAME_PATTERN, Connector, ConnectorConfig
from service.connectors.registry import CONNECTORS, check_config
from service.settings import LOOPBACK_HOSTS

ENV_PREFIX = "env:"
_DOCUMENTED_ORIGINS = {
    "github": frozenset({"https://api.github.com"}),
    "gitlab": frozenset({"https://gitlab.com"}),
    "opsgenie": frozenset({"https://api.opsgenie.com"}),
    "pagerduty": frozenset({"https://api.pagerduty.com"}),
    "slack": frozenset({"https://slack.com", "https://hooks.slack.com"}),
}
"""Where a vendor's API is without a `base_url`, and where Slack wants its answers (`response_url`)."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: ("yes" if item else "no") if isinstance(item, bool) else str(item) if isinstance(item, int) else item
        for name, item in value.items()
    }


class ConnectorTable(BaseModel):
    """One connector in the file. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connector: str | None = Field(default=None, description="The vendor, where the name is not the vendor's own.")
    secrets: Annotated[list[str], BeforeValidator(_as_list)] = Field(
        default=[], description="Signing secrets or tokens of incoming requests, newest first; text or `env:NAME`."
    )
    base_url: str = Field(default="", description="The vendor's API, such as https://example.zendesk.com.")
    token: str = Field(default="", description="Credential for writing back; text or `env:NAME`.")
    options: Annotated[dict[str, str], BeforeValidator(_as_text)] = Field(
        default={}, description="The connector's own options; docs/connectors.md lists them."
    )
    public_replies: bool = Field(default=False, description="Whether customers may be answered, from public articles.")
    concurrency: int = Field(default=4, ge=1, le=64, description="Notes being written at the same time.")
    rate_per_minute: int = Field(default=0, ge=0, description="Notes begun in a minute at most; 0 for no limit.")


@dataclass(frozen=True, slots=True)
class Configured:
    """A connector that is switched on.

    Attributes:
        name: as in the address and in the file.
        origins: where notes may be written to: what the operator configured, and the hosts that the vendor documents.
        concurrency, rate_per_minute: see ConnectorTable.
    """

    name: str
    connector: Connector
    config: ConnectorConfig
    origins: frozenset[str] = frozenset()
    concurrency: int = 4
    rate_per_minute: int = 0


def load_connectors(file: Path | None, environment: Mapping[str, str]) -> dict[str, Configured]:
    """The connectors that `file` switches on; none without a file.

    Args:
        environment: where `env:NAME` is looked up.

    Raises:
        SettingsError: the file cannot be read, is open to others and holds a secret, or says something wrong.
    """
    if file is None:
        return {}
    tables = _read(file)
    inline = False
    configured = {}
    for name, values in tables.items():
        where = f"{file}: `{name}`"
        table = _check(values, where)
        inline = inline or any(not text.startswith(ENV_PREFIX) for text in (*table.secrets, table.token) if text)
        configured[name] = _configure(str(name), table, environment, where)
    _require_private(file, holds_secrets=inline)
    return configured


def origin_of(url: str) -> str:
    """Scheme, host and port of an address in lower case, the scheme's own port left out.

    Raises:
        ValueError: it is no address.
    """
    parts = urlsplit(url)
    port = "" if parts.port in (None, {"https": 443, "http": 80}.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"connectors file {file} cannot be read: {error}") from error
    values = _parse_toml(file, text) if file.suffix == ".toml" else _parse_yaml(file, text)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"connectors file {file} must hold one table for each connector; see docs/intake.md")
    return values


def _parse_toml(file: Path, text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"connectors file {file} is not TOML: {error}") from error


def _parse_yaml(file: Path, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1})" if mark else ""
        raise SettingsError(f"connectors file {file} is not YAML{place}") from None


def _check(values: Any, where: str) -> ConnectorTable:
    if not isinstance(values or {}, dict):
        raise SettingsError(f"{where} must hold keys such as `secrets` and `token`; see docs/intake.md")
    try:
        return ConnectorTable.model_validate(values or {})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{where}: `{name}`: {first['msg']}; see docs/intake.md") from error


def _configure(name: str, table: ConnectorTable, environment: Mapping[str, str], where: str) -> Configured:
    if not re.fullmatch(NAME_PATTERN, name):
        raise SettingsError(f"{where}: a name is lower-case letters, digits and hyphens, at most 40")
    config = ConnectorConfig(
        secrets=tuple(_secret(text, environment, f"{where}: `secrets`") for text in table.secrets),
        base_url=table.base_url.rstrip("/"),
        token=_secret(table.token, environment, f"{where}: `token`") if table.token else "",
        options=table.options,
        public_replies=table.public_replies,
    )
    try:
        check_config(table.connector or name, config)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error
    addresses = {"base_url": config.base_url}
    addresses |= {option: value for option, value in config.options.items() if option.endswith("_url")}
    for option, address in addresses.items():
        if address:
            _check_address(address, f"{where}: `{option}`")
    connector = CONNECTORS[table.connector or name]
    return Configured(
        name=name,
        connector=connector,
        config=config,
        origins=frozenset(origin_of(address) for address in addresses.values() if address)
        | _DOCUMENTED_ORIGINS.get(connector.name, frozenset()),
        concurrency=table.concurrency,
        rate_per_minute=table.rate_per_minute,
    )


def _secret(text: str, environment: Mapping[str, str], where: str) -> str:
    if text.startswith(ENV_PREFIX):
        variable = text.removeprefix(ENV_PREFIX)
        text = environment.get(variable, "")
        if not text.strip():
            raise SettingsError(f"{where}: the environment variable {variable} is not set")
    if not text.strip():
        raise SettingsError(f"{where}: an empty secret signs nothing; write one, or env:NAME")
    return text.strip()


def _check_address(address: str, where: str) -> None:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"{where}: is no web address") from error
    if not host or parts.scheme not in {"http", "https"} or parts.fragment or parts.username:
        raise SettingsError(f"{where}: must be an address such as https://example.com, without user or fragment")
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        raise SettingsError(f"{where}: must begin with https://, or the credential would travel in the open")


def _require_private(file: Path, *, holds_secrets: bool) -> None:
    """Raises SettingsError if anybody but its owner can change the file, or read the secrets in it."""
    mode = file.stat().st_mode
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(f"connectors file {file} can be changed by others, and so where tokens go: `chmod go-w` it")
    if holds_secrets and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(
            f"connectors file {file} holds secrets and is open to others: run `chmod 600 {file}`, "
            "or write env:NAME instead of each secret"
        )
