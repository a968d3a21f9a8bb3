"""Exact errors that articles name in `error_codes`, found in a question word for word.

What looks like an error anywhere is a signature (`indexer.signatures`); here are the rest, such as `curl 60`,
`manifest unknown` and `sorry, too many clients already`. Letters are folded to one case, digits are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from indexer.signatures import Signature, SignatureKind, extract_signatures

_WORD = re.compile(r"[^\W_]+(?:_[^\W_]+)*")
BARE_NUMBER = re.compile(r"[-#]?([0-9]{1,6})")
"""A text that is nothing but a number."""

_FEWEST_NUMBERS = 4
"""`550 5.7.26` is an answer of a mail server, 5.7.26 alone could be a version."""
_WHOLE = (SignatureKind.CODE, SignatureKind.EXCEPTION)
_WHOLE_PREFIXES = tuple(f"{kind.value}: " for kind in _WHOLE)
_PREFIX = f"{SignatureKind.DECLARED.value}: "


def declared_signatures(codes: Iterable[str]) -> frozenset[Signature]:
    """What `error_codes` names: every signature in it, and each entry that is none as the words it consists of.

    A bare number is an error's, a status' or an exit code's, as it stands behind such a word; in prose it would be any.
    """
    found: set[Signature] = set()
    for code in codes:
        if number := BARE_NUMBER.fullmatch(code):
            found |= extract_signatures(number_in_words(number[1]))
            continue
        signatures = extract_signatures(code)
        found |= signatures
        words = _WORD.findall(code)
        is_signature = any(signature.value == code.casefold() for signature in signatures if signature.kind in _WHOLE)
        is_version = len(words) < _FEWEST_NUMBERS and all(word.isdigit() for word in words)
        if not is_signature and not is_version:
            found.add(Signature(SignatureKind.DECLARED, " ".join(words) if _is_name(words) else _folded(words)))
    return frozenset(found)


def number_in_words(number: str) -> str:
    """`number` in each of the ways in which errors are called by numbers of its size."""
    ways = [f"error {number}"]
    if len(number) == 3 and number[0] in "45":
        ways.append(f"HTTP {number}")
    if int(number) < 256:
        ways.append(f"exit code {number}")
    if len(number) == 5:
        ways.append(f"SQLSTATE {number}")
    return "\n".join(ways)


class DeclaredErrors:
    """Finds those that an index holds in texts. Thread-safe."""

    def __init__(self, signatures: Iterable[str]) -> None:
        """`signatures`: all keys of the index."""
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        self._names: dict[str, str] = {}
        self._alone: dict[str, list[str]] = {}
        for key in signatures:
            if key.startswith(_WHOLE_PREFIXES):
                self._alone.setdefault(key.partition(": ")[2], []).append(key)
            if not key.startswith(_PREFIX):
                continue
            first, *others = words = key.removeprefix(_PREFIX).split(" ")
            if others:
                self._phrases.setdefault(first, []).append((tuple(words), key))
            else:
                self._alone.setdefault(first.casefold(), []).append(key)
                if _is_name(words):
                    self._names[first] = key

    def find(self, text: str) -> frozenset[str]:
        """Keys of the errors that stand in `text`: several words wherever they stand, a name such as `NoSuchKey` or
        `READONLY` as its article writes it, and any single word, codes and exceptions included, where it is all of the
        text, in whatever case.
        """
        exact = _WORD.findall(text)
        words = tuple(word.casefold() for word in exact)
        if len(words) == 1:
            return frozenset(self._alone.get(words[0], ()))
        found = {self._names[word] for word in exact if word in self._names}
        for place, word in enumerate(words):
            found.update(
                key for phrase, key in self._phrases.get(word, ()) if words[place : place + len(phrase)] == phrase
            )
        return frozenset(found)


def _folded(words: list[str]) -> str:
    return " ".join(word.casefold() for word in words)


def _is_name(words: list[str]) -> bool:
    """Whether this is one word that nobody writes in prose: with a digit or a capital inside, or in capitals."""
    return len(words) == 1 and len(words[0]) > 3 and re.search(r"\d|_|.[A-Z]", words[0]) is not None
