"""Secrets and personal data that have no place in an article. Pure text scanning, made to stay quiet on examples."""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

SECRET, PERSONAL_DATA, ADDRESS = "secret", "personal-data", "address"


@dataclass(frozen=True, slots=True)
class Exposure:
    """One find. `offset` is a character position; `what` never repeats a secret, only its kind and first characters."""

    offset: int
    rule: str
    what: str


_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----\s+(?:[\w-]{1,40}: .{0,200}\s+){0,5}[A-Za-z0-9+/=]{32}"
)
_SECRETS = (
    ("an AWS access key", re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b")),
    ("a private key", _PRIVATE_KEY),
    ("a JSON web token", re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{16,}")),
    ("a GitHub token", re.compile(r"\b(?:gh[opsur]_[A-Za-z0-9]{36,}|github_pat_\w{40,})")),
    ("a GitLab token", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}")),
    ("a Slack webhook", re.compile(r"https://hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{16,}")),
    ("a Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}")),
    ("a Google API key", re.compile(r"\bAIza[\w-]{35}\b")),
    ("an npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("a SendGrid key", re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{16,}")),
)  # fmt: skip
_BEARER = re.compile(r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/-]{20,}=*)")
_ASSIGNED = re.compile(
    r"(?i)(?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|client[_-]?secret)[\w-]{0,30}"
    r"[\"']?\s*[:=]\s*(?:\"([^\"\s]{8,200})\"|'([^'\s]{8,200})')"
)
_URL_LOGIN = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{1,100}:([^\s/:@\"'<>]{6,200})@")
_PLACEHOLDER = re.compile(
    r"(?i)[<>${}*…]|\.\.\.|example|sample|change.?me|placeholder|redacted|your|dummy|xxxx|0000|1234|abcd"
)

_MAIL = re.compile(r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])")
_ROLES = frozenset(
    {
        "abuse", "admin", "administrator", "alerts", "billing", "bounce", "bounces", "contact", "daemon",
        "dmarc", "git", "hello", "help", "helpdesk", "hostmaster", "info", "legal", "mailer-daemon", "marketing",
        "news", "newsletter", "no-reply", "noreply", "notifications", "ops", "postmaster", "press", "privacy",
        "reports", "root", "sales", "security", "service", "status", "support", "system", "team", "webmaster",
    }
)  # fmt: skip
_SAFE_MAIL_DOMAIN = re.compile(
    r"(?i)(?:^|\.)(?:example(?:\.(?:com|net|org|edu))?|test|invalid|localhost|local|internal"
    r"|service|socket|timer|target|mount|slice|scope|txt|json|ya?ml|csv|log|pem|crt|key|sh|py|md|xml|sql|conf|gz|png|html)$"
)
_PHONES = (
    re.compile(r"(?<![\w.+/-])\+[1-9]\d{0,2}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{2,4}(?:[ .-]?\d{2,4}){1,4}(?![\w-])"),
    re.compile(r"(?<![\w.+/-])(?:\(\d{3}\) ?|\d{3}[ -])\d{3}-\d{4}(?![\w-])"),
)
_FICTIONAL_PHONE = re.compile(r"55501\d\d$|^\+?44(?:7700900|1632960|2079460)\d{3}$")

_IPV4 = re.compile(r"(?<![\w.])(?<!-)\d{1,3}(?:\.\d{1,3}){3}(?![\w-])(?!\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-fA-F]{3}:[0-9a-fA-F:]{2,34}(?![\w:])")
_DOCUMENTATION = tuple(
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
_RESOLVERS = frozenset({"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "208.67.222.222", "208.67.220.220"})
_SHARED = ipaddress.ip_network("100.64.0.0/10")
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\bv|version\w*|release\w*|build|patch|driver|java|jdk|jre|odbc|jdbc|database|firmware|update|upgrade|oid"
    r"|[<>]=?|==|[~^])[\s:\"'`(]*$"
)
_ADDRESS_BEFORE = re.compile(
    r"(?i)(?:://|@|\b(?:ip|ipv4|addr|address|host|hostname|ping|dig|nslookup|traceroute|resolver|peer|client|from|"
    r"src|dst|source|destination|nameserver|gateway|remote)\b[\s:=\"'`(\[]*)$"
)


def find_exposures(text: str) -> list[Exposure]:
    """Everything in `text` that looks like a secret, a person's data or somebody's address, by position."""
    found = [*_secrets(text), *_mails(text), *_phones(text), *_addresses(text)]
    return sorted(found, key=lambda item: (item.offset, item.rule, item.what))


def entropy_bits(text: str) -> float:
    """Shannon entropy of the characters of `text`, in bits a character; 0 for the empty text."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _secrets(text: str) -> Iterator[Exposure]:
    known: list[tuple[int, int]] = []
    for what, pattern in _SECRETS:
        for match in pattern.finditer(text):
            if not match.group().upper().endswith("EXAMPLE"):
                known.append(match.span())
                yield Exposure(match.start(), SECRET, f"looks like {what} ({match.group()[:8]}...); use a placeholder")
    for what, pattern in (("a bearer token", _BEARER), ("a password", _ASSIGNED), ("a password in a URL", _URL_LOGIN)):
        for match in pattern.finditer(text):
            value = unquote(next(group for group in match.groups() if group))
            inside_known = any(start < match.end() and match.start() < end for start, end in known)
            if not inside_known and _is_random(value):
                yield Exposure(match.start(), SECRET, f"looks like {what}; use a placeholder such as `<token>`")


def _is_random(value: str) -> bool:
    """Whether `value` could be a working secret: no placeholder, mixed characters, and little repetition."""
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    mixed = kinds >= 2 and any(character.isdigit() for character in value)
    return mixed and not _PLACEHOLDER.search(value) and entropy_bits(value) >= min(3.0, 0.8 * math.log2(len(value)))


def _mails(text: str) -> Iterator[Exposure]:
    logins = [match.span() for match in _URL_LOGIN.finditer(text)]
    for match in _MAIL.finditer(text):
        local, domain = match.groups()
        if any(start < match.start() < end for start, end in logins):
            continue  # the end of a password, and its host
        if not _SAFE_MAIL_DOMAIN.search(domain) and local.casefold() not in _ROLES:
            yield Exposure(match.start(), PERSONAL_DATA, f"e-mail address {match.group()}; use one at example.com")


def _phones(text: str) -> Iterator[Exposure]:
    for pattern in _PHONES:
        for match in pattern.finditer(text):
            digits = re.sub(r"\D", "", match.group())
            if 9 <= len(digits) <= 15 and not _FICTIONAL_PHONE.search(digits):
                yield Exposure(match.start(), PERSONAL_DATA, f"phone number {match.group()}; use one such as 555-0100")


def _addresses(text: str) -> Iterator[Exposure]:
    for match in _IPV4.finditer(text):
        if not _is_harmless(match.group()) and not _is_version(text, match):
            yield Exposure(match.start(), ADDRESS, f"address {match.group()}; use one from 192.0.2.0/24")
    for match in _IPV6.finditer(text):
        if not _is_harmless(match.group()):
            yield Exposure(match.start(), ADDRESS, f"address {match.group()}; use one from 2001:db8::/32")


def _is_version(text: str, match: re.Match[str]) -> bool:
    """Four small numbers are as likely a version (`2.0.0.24`): they count as an address only beside an address word."""
    before = text[max(0, match.start() - 24) : match.start()]
    octets = [int(part) for part in match.group().split(".")]
    small = octets[0] < 30 and sum(octet < 10 for octet in octets) >= 2
    addressed = _ADDRESS_BEFORE.search(before) or re.match(r":\d|/\d", text[match.end() : match.end() + 2])
    return bool(_VERSION_BEFORE.search(before)) or (small and not addressed)


def _is_harmless(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    return (
        text in _RESOLVERS
        or not address.is_global
        or address.is_multicast
        or any(address.version == network.version and address in network for network in (*_DOCUMENTATION, _SHARED))
    )
