"""What an article file says about itself: the YAML between two `---` lines at its top.

Folders come from everywhere (Jekyll, Hugo, Docusaurus, Obsidian), so a field that cannot be used is passed over, and
`kb lint` is who complains. Two things are never guessed: who may see the article, and where its front matter ends.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import yaml
from markdown_it.token import Token
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from indexer.errors import ArticleError
from indexer.metadata import Audience, LooseFrontMatter


class AsTyped(yaml.SafeLoader):
    """YAML whose values stay as they were typed: `2.10` is no 2.1, `007` no 7, `no` no False."""


AsTyped.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in {"null", "merge"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_front_matter(path: str, tokens: list[Token], text: str) -> LooseFrontMatter:
    """What the file's front matter says, nothing where it has none.

    A draft of a site generator (`draft: true`, `published: false`) is internal, whatever else it says.

    Raises:
        ArticleError: it is malformed, or would be taken for text.
    """
    if not tokens or tokens[0].type != "front_matter":
        _refuse_mistaken(path, text)
        return LooseFrontMatter()
    content = tokens[0].content
    return _validate(path, content) if content.strip() else LooseFrontMatter()


_LINE_END = re.compile(r"\r\n|\r|\n")
_OPENING = re.compile(r"(?P<before>(?:\s|<!--(?:[^-]|-(?!->))*-->)*)---[ \t]*(?:\r\n|\r|\n)")
_YAML_LINE = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:(?:[ \t]|$)|[ \t]+\S|-[ \t]")
_OTHER_DIALECT = re.compile(r"\+\+\+[ \t]*[\r\n]|\{\s*\"[\w-]+\"\s*:")


def _refuse_mistaken(path: str, text: str) -> None:
    """Raise ArticleError for what its author takes for front matter and Markdown for text, the audience in it."""
    if _OTHER_DIALECT.match(text):
        reason = "front matter is TOML or JSON; write it as YAML between two `---` lines (`hugo convert toYAML`)"
        raise ArticleError(path, 1, reason)
    opening = _OPENING.match(text)
    if opening and _names_field(text[opening.end() :]):
        line = len(_LINE_END.findall(opening["before"])) + 1
        if line > 1:
            raise ArticleError(path, line, f"front matter begins at line {line}; begin the file with it")
        raise ArticleError(path, 1, "front matter begins at line 1 and is never closed; add a line `---` after it")


def _names_field(text: str) -> bool:
    """Whether the first line of `text` and those like it are YAML that names a field of the schema.

    What else stands under a `---` is text under a thematic break.
    """
    lines = takewhile(bool, map(_YAML_LINE.match, _LINE_END.split(text)))
    return any(line and line[1] in LooseFrontMatter.model_fields for line in lines)


def _validate(path: str, content: str) -> LooseFrontMatter:
    typed = load_yaml(path, content)
    values = {**{key.lower(): value for key, value in typed.items()}, **typed}
    try:
        meta = LooseFrontMatter.model_validate(values)
        meta.model_dump_json()
    except PydanticSerializationError as error:
        raise ArticleError(
            path, 2, "front matter holds half of a surrogate pair; write the character itself"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0])
        raise ArticleError(path, line_of_key(content, key), f"front matter `{key}`: {first['msg']}") from error
    is_draft = _says(values, "draft", "true") or _says(values, "published", "false")
    return meta.model_copy(update={"audience": Audience.INTERNAL}) if is_draft else meta


def _says(values: dict[str, Any], key: str, value: str) -> bool:
    return str(values.get(key, "")).strip().lower() == value


def load_yaml(path: str, content: str, loader: type[yaml.SafeLoader] = AsTyped) -> dict[str, Any]:
    """The front matter's mapping. Raises ArticleError with the line of the file."""
    try:
        values = yaml.load(content, loader)  # noqa: S506 -- a safe one
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        problem = str(error.problem)
        mend = "indent with spaces" if "'\\t'" in problem else "put values with `: ` or a sign at the start in quotes"
        raise ArticleError(path, line, f"front matter is not valid YAML: {problem}; {mend}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ArticleError(path, 1, f"front matter is not valid YAML: {error}") from error
    except (LookupError, AttributeError, TypeError) as error:  # PyYAML's own, of `!!bool maybe` and `!!timestamp soon`
        raise ArticleError(
            path, 1, "front matter has a value that its `!!` tag does not allow; drop the tag"
        ) from error
    if not isinstance(values, dict):
        raise ArticleError(path, 2, "front matter must be `key: value` lines")
    return {str(key): value for key, value in values.items()}


def line_of_key(content: str, key: str) -> int:
    """1-based line in the file of a top-level front-matter key, in any case; 1 if it is absent."""
    for number, line in enumerate(content.splitlines(), start=2):
        if line.lower().startswith(f"{key}:"):
            return number
    return 1
