"""docs/connectors.md: every option is there and nothing else, and its commands work as they are printed."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from service.connectors.contract import EventKind, Inbound
from service.connectors.registry import CONNECTORS
from tests.connectors.world import VENDORS

PAGE = (Path(__file__).parent.parent / "docs" / "connectors.md").read_text("utf-8")
HEADINGS = {
    "zendesk": "Zendesk", "servicenow": "ServiceNow", "jira": "Jira Service Management", "github": "GitHub",
    "gitlab": "GitLab", "slack": "Slack", "teams": "Microsoft Teams", "pagerduty": "PagerDuty",
    "opsgenie": "Opsgenie", "alertmanager": "Alertmanager", "email": "E-mail", "generic": "Anything else",
}  # fmt: skip
each_vendor = pytest.mark.parametrize("name", sorted(CONNECTORS))

CURL = """#!{python}
import json, sys
arguments = sys.argv[1:]
headers = [value for flag, value in zip(arguments, arguments[1:]) if flag == "-H"]
print(json.dumps({{"headers": headers, "body": arguments[arguments.index("--data-binary") + 1], "url": arguments[1]}}))
"""


def _section(name: str) -> str:
    return PAGE.split(f"\n## {HEADINGS[name]}\n")[1].split("\n## ")[0]


@each_vendor
def test_every_option_is_documented_and_every_documented_option_exists(name: str) -> None:
    table = re.search(r"\| option \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", _section(name))
    named = re.findall(r"^\| `(\w+)`", table[1], re.MULTILINE) if table else []
    assert sorted(named) == sorted(CONNECTORS[name].options)


@each_vendor
def test_the_example_configuration_is_complete(name: str) -> None:
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", _section(name), re.DOTALL)]
    (given,) = [block[name] for block in blocks if name in block]
    connector = CONNECTORS[name]
    assert set(given.get("options", {})) <= set(connector.options)
    for field in connector.required:
        assert given.get(field) or given.get("options", {}).get(field)


@each_vendor
def test_the_command_is_accepted(name: str, tmp_path: Path) -> None:
    for tool in ("bash", "openssl", "od"):
        if shutil.which(tool) is None:
            pytest.skip(f"the commands of the page need {tool}")
    stand_in = tmp_path / "curl"
    stand_in.write_text(CURL.format(python=sys.executable), "utf-8")
    stand_in.chmod(0o755)
    (script,) = re.findall(r"```bash\n(.*?)```", _section(name), re.DOTALL)
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'PATH="{tmp_path}:$PATH"\n{script}'],
        check=True,
        capture_output=True,
        timeout=60,
    )
    sent = json.loads(run.stdout)
    assert sent["url"] == f"http://127.0.0.1:8000/v1/intake/{name}"
    headers = dict(re.split(r":\s*", line, maxsplit=1) for line in sent["headers"])
    secret = re.findall(r"^SECRET='(.*)'$", script, re.MULTILINE)
    config = dataclasses.replace(VENDORS[name].config, secrets=secret)
    lowered = {header.lower(): value for header, value in headers.items()}
    inbound = Inbound(lowered, sent["body"].encode(), time.time())
    CONNECTORS[name].verify(inbound, config)
    event = CONNECTORS[name].parse(inbound, config)
    assert event.kind in {EventKind.TICKET, EventKind.ALERT, EventKind.QUESTION}
    assert event.title or event.text


def test_the_overview_names_every_connector() -> None:
    named = re.findall(r"^\| \[.*?\]\((#[\w-]+)\) \| `(\w+)`", PAGE, re.MULTILINE)
    anchors = {name: "#" + heading.lower().replace(" ", "-") for name, heading in HEADINGS.items()}
    assert {name: anchor for anchor, name in named} == anchors
    assert set(anchors) == set(CONNECTORS)


def test_the_business_rule_is_where_the_page_says() -> None:
    path = Path(__file__).parent.parent / "service" / "connectors" / "assets" / "servicenow_business_rule.js"
    assert "service/connectors/assets/servicenow_business_rule.js" in _section("servicenow")
    for fact in (
        "symptom_kb.url",
        "symptom_kb.secret",
        "current.operation() == 'insert' || current.comments.changes()",
    ):
        assert fact in path.read_text("utf-8")
        assert fact in _section("servicenow")
