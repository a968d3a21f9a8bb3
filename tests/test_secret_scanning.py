from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.secret_scanning import ADDRESS, PERSONAL_DATA, SECRET, entropy_bits, find_exposures

# Put together here, so that no scanner takes this file for a leak.
_AWS = "AKIA" + "IOSFODNN7QWERTYU"
_JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
_GITHUB = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"
_SLACK = "xoxb" + "-263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"
_KEY = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEowIBAAKCAQEAx7Nn2CkqmZ3x0Jf9aF0nQ7w3m1z8\n"


@pytest.mark.parametrize(
    "text",
    [
        f"key {_AWS} here",
        f"token: {_JWT}",
        f"Authorization: Bearer {_JWT}",
        _GITHUB,
        _SLACK,
        _KEY,
        'password = "Tr0ub4dor&3zX"',
        "api_key: 'f3Kq9ZpL2mWx8RtV'",
        '"client_secret": "9fA3kLm2QpX7vTz1"',
        "Authorization: Bearer 3f9aK2mQ8xLp0ZtR7vWc5YnB",
        "postgresql://app:u7Kp2xQ9zR@db.example.com/app",
        "AIza" + "SyD3k9F2mQ8xLp0ZtR7vWc5YnBaQeWtUiOp",
        "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    ],
)
def test_secrets_are_found_and_not_repeated(text: str) -> None:
    found = find_exposures(text)
    assert [item.rule for item in found] == [SECRET]
    assert text.strip()[-12:-1] not in found[0].what


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer <access token>",
        "Authorization: Bearer eyJhbGciOi...",
        'password = "changeme"',
        'password = "correct-horse"',
        'password: "${DB_PASSWORD}"',
        'token = "your-token-goes-here-1"',
        "export HTTPS_PROXY='http://svc-sync:p%40ss%3Aw%2Fd@proxy.example.net:3128'",
        "postgresql://app:password@db.example.com/app",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "look for -----BEGIN CERTIFICATE-----",
        "the password is wrong",
        "token_endpoint: 'https://login.example.com/oauth2/token'",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_placeholders_and_talk_about_secrets_are_fine(text: str) -> None:
    assert find_exposures(text) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("write to jane.doe@contoso.com", "jane.doe@contoso.com"),
        ("<bob@mail.company.co.uk>", "bob@mail.company.co.uk"),
        ("call +49 170 9876543", "+49 170 9876543"),
        ("call (415) 867-5309 now", "(415) 867-5309"),
        ("+1-212-736-5000", "+1-212-736-5000"),
    ],
)
def test_personal_data(text: str, what: str) -> None:
    (found,) = find_exposures(text)
    assert found.rule == PERSONAL_DATA
    assert what in found.what
    assert text[found.offset :].startswith(what)


@pytest.mark.parametrize(
    "text",
    [
        "jane@example.com and j@mail.example.org",
        "postmaster@contoso.com",
        "no-reply@service.net",
        "git@github.com:org/repo.git",
        "curl -d token@token.txt",
        "getty@tty1.service is a unit",
        "npm install lodash@4.17.21",
        "image@sha256:abc",
        "user@EXAMPLE.COM",
        "call 555-0100 or +1 202 555 0123",
        "2026-03-01T10:00:00+0200",
        "1700000000 and 550 5.7.26 and 20261124",
        "5432-5433 and 192-168",
        "id 123e4567-e89b-12d3-a456-426614174000",
    ],
)
def test_no_personal_data(text: str) -> None:
    assert find_exposures(text) == []


@pytest.mark.parametrize(
    "text",
    ["from 93.184.216.34", "http://5.6.7.8/x", "client: 52.1.2.3,", "52.95.110.1:443", "2a00:1450:4001:81b::200e"],
)
def test_addresses(text: str) -> None:
    (found,) = find_exposures(text)
    assert found.rule == ADDRESS


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.7 198.51.100.3 203.0.113.250 2001:db8::1",
        "10.1.2.3 172.16.0.1 192.168.1.1 127.0.0.1 0.0.0.0 169.254.169.254",
        "1.1.1.1 and 8.8.8.8",
        "255.255.255.0 and 224.0.0.1 and 100.64.0.1",
        "version 4.18.100.12",
        "v99.1.22.33",
        "Thunderbird 2.0.0.24",
        "OpenJDK 17.0.4.1",
        "Oracle 19.3.0.0",
        "1.3.6.1.4.1.311",
        "package-12.44.55.66-1.el9",
        "999.1.1.1",
        "std::vector and 12:34:56 and aa:bb:cc:dd:ee:ff",
        "fe80::1 and ::1",
    ],
)
def test_no_addresses(text: str) -> None:
    assert find_exposures(text) == []


def test_entropy() -> None:
    assert entropy_bits("aaaa") == 0
    assert entropy_bits("abcd") == 2
    assert entropy_bits("") == 0


@given(st.text(max_size=400))
def test_any_text_is_taken(text: str) -> None:
    assert all(0 <= item.offset < len(text) for item in find_exposures(text))


def test_long_hostile_text_takes_moments() -> None:
    started = time.monotonic()
    for piece in ("a.", "1-", "+1 ", "A", "x@y.", "token=", "-----BEGIN PRIVATE KEY-----\na: b\n", "1.1."):
        find_exposures(piece * 10_000)
    assert time.monotonic() - started < 8


def test_a_password_in_an_address_is_no_mail_and_is_not_repeated() -> None:
    (found,) = find_exposures("psql postgres://app:Tr0ub4dor3zX@db.corp.net/kb")
    assert found.rule == SECRET
    assert "Tr0ub4dor3zX" not in found.what
