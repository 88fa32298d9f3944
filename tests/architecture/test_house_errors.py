"""Every failure has a unique, stable, documented code."""

import importlib
import pkgutil
import re

from house import ROOT

import lodge
from lodge.base.errors import Category, LodgeError, family
from lodge.client.errors import Answered


def all_errors() -> list[type[LodgeError]]:
    for module in pkgutil.walk_packages(lodge.__path__, "lodge."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    # The client's ``Answered`` errors carry the code that the daemon sent.
    ours = [error for error in family(LodgeError) if error.__module__.startswith("lodge.")]
    return [error for error in ours if not issubclass(error, Answered)]


def test_every_code_is_unique_and_a_noun_in_snake_case() -> None:
    codes = [error.code for error in all_errors()]
    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", code) for code in codes)


def test_every_error_belongs_to_a_category() -> None:
    for error in all_errors():
        assert isinstance(error.category, Category)
        assert error.__doc__, error


def test_every_code_stands_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    missing = [error.code for error in all_errors() if f"`{error.code}`" not in page]
    assert missing == []
