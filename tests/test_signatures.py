from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.signatures import Signature, SignatureKind, extract_signatures, log_template, signature_key

CODE, STATUS, EXCEPTION = SignatureKind.CODE, SignatureKind.STATUS, SignatureKind.EXCEPTION


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("ORA-12154: TNS:could not resolve the connect identifier", CODE, "ora-12154"),
        ("failed with 0x80070005 (access denied)", CODE, "0x80070005"),
        ("the installer stops with error 0x7B", CODE, "0x7b"),
        ("HRESULT=0x80004005)", CODE, "0x80004005"),
        ("net::ERR_CERT_AUTHORITY_INVALID", CODE, "err_cert_authority_invalid"),
        ("the browser shows sec_error_unknown_issuer", CODE, "sec_error_unknown_issuer"),
        ("SEC_ERROR_UNKNOWN_ISSUER", CODE, "sec_error_unknown_issuer"),
        ('{"error": "invalid_grant"}', CODE, "invalid_grant"),
        ("connect ECONNRESET 192.0.2.1:443", CODE, "econnreset"),
        ("npm ERR! code ERESOLVE", CODE, "eresolve"),
        ("read EPIPE", CODE, "epipe"),
        ("AADSTS700082: The refresh token has expired", CODE, "aadsts700082"),
        ("ERROR 1045 (28000): Access denied", CODE, "error 1045"),
        ("Msg 1205, Level 13, State 51", CODE, "error 1205"),
        ("connect failed (error code: 10061)", CODE, "error 10061"),
        ("errno=113 No route to host", CODE, "error 113"),
        ("Event ID 4625 in the security log", CODE, "error 4625"),
        ("SQLSTATE[40001]: Serialization failure", CODE, "sqlstate 40001"),
        ("SQLSTATE 08006", CODE, "sqlstate 08006"),
        ("HTTP/1.1 401 Unauthorized", STATUS, "http 401"),
        ("status code: 503", STATUS, "http 503"),
        ('"status": 429', STATUS, "http 429"),
        ("the API returns 403", STATUS, "http 403"),
        ("we get a 502 Bad Gateway", STATUS, "http 502"),
        ("exit code 137", STATUS, "exit code 137"),
        ("exited with code 1", STATUS, "exit code 1"),
        ("550 5.7.26 unauthenticated mail", CODE, "smtp 5.7.26"),
        ("deferred: 4.7.1 try again", CODE, "smtp 4.7.1"),
        ("Outer$InnerException: x", EXCEPTION, "innerexception"),
        ("java.net.SocketTimeoutException: Read timed out", EXCEPTION, "sockettimeoutexception"),
        ("Back-off: CrashLoopBackOff", CODE, "crashloopbackoff"),
        ("Reason: OOMKilled", CODE, "oomkilled"),
        ("the header Retry-After", SignatureKind.IDENTIFIER, "retry-after"),
    ],
)
def test_extraction(text: str, kind: SignatureKind, value: str) -> None:
    assert Signature(kind, value) in extract_signatures(text)


@pytest.mark.parametrize(
    "text",
    [
        "We have 401 customers in the plan",
        "See page 503 of the manual",
        "ERROR: it broke",
        "An Error happened",
        "costs with 400.50 dollars",
        "EVENT and EXPORT and EMAIL",
        "EVERYTHING IS DOWN, EXPLAIN YOURSELF! [EXTERNAL] ESPECIALLY NOW",
        "plain words only",
        "/src/main.go:17 +0x4a2b3c",
        "goroutine 7: handler(0xc000010a80, 0x5)",
        "at SqlConnection.OnError(x)",
    ],
)
def test_ordinary_text_has_none(text: str) -> None:
    found = {item for item in extract_signatures(text) if item.kind is not SignatureKind.TEMPLATE}
    assert found == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ORA-12154", "ORA-12514"),
        ("HTTP 401", "HTTP 403"),
        ("0x80070005", "0x80070006"),
        ("exit code 137", "exit code 139"),
        ("550 5.7.26", "550 5.7.1"),
        ("ERROR 1045", "ERROR 1054"),
        ("Error: connection to node 7 was refused by peer", "Error: connection to node 8 was refused by peer"),
    ],
)
def test_digits_are_never_approximate(one: str, other: str) -> None:
    first, second = extract_signatures(one), extract_signatures(other)
    assert first
    assert second
    assert first.isdisjoint(second)


@given(st.integers(10000, 99999), st.integers(10000, 99999))
def test_two_numbers_meet_only_if_they_are_equal(one: int, other: int) -> None:
    first, second = extract_signatures(f"ORA-{one}"), extract_signatures(f"ora-{other} ORA-{other}")
    assert (not first.isdisjoint(second)) is (one == other)


@pytest.mark.parametrize(
    ("line", "template"),
    [
        (
            "2026-03-01T10:00:00Z ERROR connection to 192.0.2.7:5432 refused after 3 tries",
            "<time> error connection to <address> refused after 3 tries",
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "192.0.2.7", user "bob", database "x" not found',
            "fatal: no pg_hba.conf entry for host <value>, user <value>, database <value> not found",
        ),
        (
            "cannot open the file /var/lib/x/a.db for 123e4567-e89b-12d3-a456-426614174000 now",
            "cannot open the file <path> for <uuid> now",
        ),
        ("the request to https://api.example.com/v1 timed out again", "the request to <url> timed out again"),
        ("everything is working as it should today", None),
        ("how do I reset my password on the phone", None),
        ("read tcp: connection reset by peer here", "read tcp: connection reset by peer here"),
        ("failed badly", None),
    ],
)
def test_log_templates(line: str, template: str | None) -> None:
    assert log_template(line) == template


def test_lines_that_differ_in_what_changes_share_a_template() -> None:
    one = "2026-03-01 10:00:00 error: session 4f0c1d2e3a4b5c6d for bob@example.com expired, cannot continue"
    other = "2025-12-31 23:59:59 error: session a1b2c3d4e5f60718 for amy@example.org expired, cannot continue"
    assert log_template(one) is not None
    assert log_template(one) == log_template(other)


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    for signature in extract_signatures(text):
        assert signature_key(signature) == f"{signature.kind.value}: {signature.value}"
        assert signature.value
