"""All connectors by name, and the check that one is configured well enough to work."""

from __future__ import annotations

from indexer.errors import SettingsError
from service.connectors.alertmanager import Alertmanager
from service.connectors.contract import SWITCH, Connector, ConnectorConfig, SecretForm
from service.connectors.email import Email
from service.connectors.generic import Generic
from service.connectors.github import GitHub
from service.connectors.gitlab import GitLab
from service.connectors.jira import Jira
from service.connectors.opsgenie import Opsgenie
from service.connectors.pagerduty import PagerDuty
from service.connectors.servicenow import ServiceNow
from service.connectors.signatures import SIGNING_PREFIX, is_key
from service.connectors.slack import Slack
from service.connectors.teams import Teams
from service.connectors.zendesk import Zendesk

CONNECTORS: dict[str, Connector] = {
    connector.name: connector
    for connector in (
        Zendesk(),
        ServiceNow(),
        Jira(),
        GitHub(),
        GitLab(),
        Slack(),
        Teams(),
        PagerDuty(),
        Opsgenie(),
        Alertmanager(),
        Email(),
        Generic(),
    )
}


def check_config(name: str, config: ConnectorConfig) -> None:
    """Finds at load what would fail at the first delivery.

    Raises:
        SettingsError: no such connector, an unknown option, something required is not set, or a secret that cannot be
            one; the message does not hold it.
    """
    connector = CONNECTORS.get(name)
    if connector is None:
        raise SettingsError(
            f"there is no connector {name}; there are {', '.join(sorted(CONNECTORS))}; under another name, the key "
            "`connector` says which of them it is"
        )
    unknown = sorted(set(config.options) - set(connector.options))
    if unknown:
        known = ", ".join(sorted(connector.options)) or "none"
        raise SettingsError(f"connector {name}: no option {unknown[0]}; it has {known} (docs/connectors.md)")
    for option, taken in connector.choices.items():
        value = config.options.get(option, "").strip().lower()
        if value and value not in taken:
            known = "yes or no" if taken == SWITCH else " or ".join(sorted(taken))
            raise SettingsError(f"connector {name}: the option {option} takes {known} (docs/connectors.md)")
    for field in connector.required:
        is_set = any(config.secrets) if field == "secrets" else _value(config, field)
        if not is_set:
            raise SettingsError(f"connector {name}: {field} is not set (docs/connectors.md)")
    for secret in config.secrets:
        if why := _why_no_secret(secret, connector.secret_form):
            raise SettingsError(f"connector {name}: {why}")
    if config.token.startswith(SIGNING_PREFIX) and not is_key(config.token):
        raise SettingsError(f"connector {name}: the token {_NO_SIGNING_SECRET}")


_NO_SIGNING_SECRET = (
    f"begins with {SIGNING_PREFIX}, but no base64 follows: copy it whole, or make one with "
    f'`echo "{SIGNING_PREFIX}$(openssl rand -base64 32)"`'
)


def _why_no_secret(secret: str, form: SecretForm) -> str:
    """Why no request could be verified with `secret`, and what to do; empty if one can."""
    signs = secret.startswith(SIGNING_PREFIX)
    match form:
        case SecretForm.TEXT:
            return ""
        case SecretForm.BASE64:
            return "" if is_key(secret) else "a secret is not base64 text: copy the security token whole"
        case SecretForm.SIGNING if not signs:
            return (
                f"a secret does not begin with {SIGNING_PREFIX}, and the requests are signed: make one with "
                f'`echo "{SIGNING_PREFIX}$(openssl rand -base64 32)"` and give it to the tool too'
            )
        case _:
            return f"a secret {_NO_SIGNING_SECRET}" if signs and not is_key(secret) else ""


def _value(config: ConnectorConfig, field: str) -> str:
    return {"base_url": config.base_url, "token": config.token}.get(field) or config.options.get(field, "")
