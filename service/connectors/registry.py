"""All connectors by name, and the check that one is configured well enough to work."""

from __future__ import annotations

from indexer.errors import SettingsError
from service.connectors.alertmanager import Alertmanager
from service.connectors.contract import Connector, ConnectorConfig
from service.connectors.email import Email
from service.connectors.generic import Generic
from service.connectors.github import GitHub
from service.connectors.gitlab import GitLab
from service.connectors.jira import Jira
from service.connectors.opsgenie import Opsgenie
from service.connectors.pagerduty import PagerDuty
from service.connectors.servicenow import ServiceNow
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
        SettingsError: no such connector, an unknown option, or something required is not set.
    """
    connector = CONNECTORS.get(name)
    if connector is None:
        raise SettingsError(f"there is no connector {name}; there are {', '.join(sorted(CONNECTORS))}")
    unknown = sorted(set(config.options) - set(connector.options))
    if unknown:
        known = ", ".join(sorted(connector.options)) or "none"
        raise SettingsError(f"connector {name}: no option {unknown[0]}; it has {known} (docs/connectors.md)")
    for field in connector.required:
        is_set = any(config.secrets) if field == "secrets" else _value(config, field)
        if not is_set:
            raise SettingsError(f"connector {name}: {field} is not set (docs/connectors.md)")


def _value(config: ConnectorConfig, field: str) -> str:
    return {"base_url": config.base_url, "token": config.token}.get(field) or config.options.get(field, "")
