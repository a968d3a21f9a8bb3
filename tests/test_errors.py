from __future__ import annotations

import inspect

import pytest

from indexer import errors


def test_every_error_is_in_the_tree_that_the_docstring_draws() -> None:
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, Exception)]
    assert all(issubclass(item, errors.KBError) for item in classes)
    assert errors.__doc__ is not None
    assert all(item.__name__ in errors.__doc__ for item in classes)


def test_an_article_error_reads_as_name_line_reason() -> None:
    with pytest.raises(errors.KBError) as caught:
        raise errors.ArticleError("a/b.md", 7, "is odd")
    assert str(caught.value) == "a/b.md:7: is odd"
