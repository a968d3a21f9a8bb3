"""The widget as the one script that customers embed: its ES modules and its styles, joined without any tool.

The modules are written so that joining is enough: one-line imports and exports, each by its own name.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WIDGET = Path(__file__).parent.parent / "web" / "widget"

_MODULES = ("strings", "dom", "service", "notices", "reader", "search", "deflection", "kb-help")
"""In the order in which they need each other."""

_IMPORT = re.compile(r'^import \{[^}\n]*\} from "\./[\w-]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|class|function) (\w+))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """The script, plain and gzipped, and its entity tag."""

    text: bytes
    gzipped: bytes
    etag: str


@cache
def widget_script() -> Script:
    """Join the modules: each in a scope of its own, what it exports handed on."""
    import rjsmin

    parts = [f"const STYLES = {json.dumps(_pack_styles(), ensure_ascii=False)};\n", _dictionary()]
    parts += [_as_block((WIDGET / f"{name}.js").read_text()) for name in _MODULES]
    whole = f'(() => {{\n"use strict";\n{"".join(parts)}}})();\n'
    text = _shorten_private_names(str(rjsmin.jsmin(whole))).encode()
    return Script(text, gzip.compress(text, 9, mtime=0), f'"{hashlib.sha256(text).hexdigest()[:32]}"')


def _shorten_private_names(script: str) -> str:
    """`this.#suggestions` as `this.#c`: private names are the only ones that nobody outside can know."""
    names = dict.fromkeys(re.findall(r"\.#([A-Za-z]\w+)", script))
    short = {name: f"{chr(ord('a') + at % 26)}{at // 26 or ''}" for at, name in enumerate(names)}
    return re.sub(r"#([A-Za-z]\w+)\b", lambda match: "#" + short.get(match[1], match[1]), script)


def _as_block(source: str) -> str:
    """A module in a scope of its own that hands out what it exports."""
    exported = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub("", source))
    return f"const {{ {exported} }} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def _dictionary() -> str:
    """The strings, with their keys once and not for each language again."""
    strings: dict[str, dict[str, object]] = json.loads((WIDGET / "strings.json").read_text())
    keys = list(next(iter(strings.values())))
    packed = json.dumps({tag: [words[key] for key in keys] for tag, words in strings.items()}, ensure_ascii=False)
    return (
        f"const KEYS = {json.dumps(' '.join(keys))}.split(' ');\nconst PACKED = {packed};\n"
        "const STRINGS = Object.fromEntries(Object.entries(PACKED).map(([tag, words]) => "
        "[tag, Object.fromEntries(KEYS.map((key, at) => [key, words[at]]))]));\n"
    )


def _pack_styles() -> str:
    """The style sheet without comments and the white space that means nothing in it."""
    css = re.sub(r"/\*.*?\*/", "", (WIDGET / "styles.css").read_text(), flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    css = re.sub(r" ?([{};,>]) ?", r"\1", css)
    return re.sub(r": ", ":", css).replace(";}", "}").strip()
