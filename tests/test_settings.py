"""Settings of single sign-on: whole or not at all, and none that would open internal articles to the world."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import SettingsError
from service.settings import Settings, is_safe_address, load_settings, read_single_sign_on

WHOLE = {
    "KB_OIDC_ISSUER": "https://id.example.com/",
    "KB_OIDC_CLIENT_ID": "console",
    "KB_OIDC_INTERNAL": "support, runbook authors,",
}


def settings_of(folder: Path, values: dict[str, str]) -> Settings:
    file = folder / "kb.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return load_settings(file)


def test_whole_settings_are_taken_as_they_are(tmp_path: Path) -> None:
    sso = read_single_sign_on(settings_of(tmp_path, {**WHOLE, "KB_OIDC_CLIENT_SECRET": "sesame"}))
    assert sso is not None
    assert sso.issuer == "https://id.example.com/"
    assert sso.internal == {"support", "runbook authors"}
    assert (sso.claim, sso.name, sso.audience) == ("groups", "single sign-on", None)
    assert sso.client_secret == "sesame"


def test_the_secret_is_not_shown(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, {**WHOLE, "KB_OIDC_CLIENT_SECRET": "sesame"})
    assert "sesame" not in repr(settings) + str(settings) + repr(read_single_sign_on(settings))


def test_without_an_issuer_there_is_no_single_sign_on(tmp_path: Path) -> None:
    assert read_single_sign_on(settings_of(tmp_path, {})) is None
    empty = dict.fromkeys((*WHOLE, "KB_OIDC_CLIENT_SECRET", "KB_OIDC_AUDIENCE"), "")
    assert read_single_sign_on(settings_of(tmp_path, empty)) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"KB_OIDC_ISSUER": ""}, "KB_OIDC_ISSUER is not"),
        ({"KB_OIDC_ISSUER": "", "KB_OIDC_CLIENT_ID": "", "KB_OIDC_INTERNAL": "", "KB_OIDC_NAME": "x"}, "KB_OIDC_NAME"),
        ({"KB_OIDC_CLIENT_ID": ""}, "register the console"),
        ({"KB_OIDC_INTERNAL": ""}, "must say who is an engineer"),
        ({"KB_OIDC_INTERNAL": " , "}, "must say who is an engineer"),
        ({"KB_OIDC_INTERNAL": "*,support"}, "stands alone"),
        ({"KB_OIDC_INTERNAL": "*", "KB_OIDC_ISSUER": "https://accounts.google.com"}, "Google Workspace is hd"),
        ({"KB_OIDC_CLAIM": "preferred_username"}, "people may choose"),
        ({"KB_OIDC_AUDIENCE": "console"}, "must differ from KB_OIDC_CLIENT_ID"),
        ({"KB_OIDC_ISSUER": "http://id.example.com"}, "https address"),
        ({"KB_OIDC_ISSUER": "id.example.com"}, "https address"),
        ({"KB_OIDC_ISSUER": "https://id.example.com?tenant=1"}, "without a query"),
        ({"KB_OIDC_ISSUR": "https://id.example.com"}, r"(?i)issur"),
    ],
)
def test_half_set_and_unsafe_settings_are_refused(tmp_path: Path, changes: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        settings_of(tmp_path, {**WHOLE, **changes})


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://id.example.com/x", True),
        ("http://127.0.0.1:80/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:1/x", True),
        ("http://127.0.0.1.example.com/", False),
        ("http://example.com", False),
        ("https://user@example.com", False),
        ("https://example.com/#x", False),
        ("https:///x", False),
        ("https://[", False),
        ("javascript:alert(1)", False),
    ],
)
def test_addresses_that_nobody_can_read_along(address: str, safe: bool) -> None:
    assert is_safe_address(address) is safe
