"""Names: refused module names, documented public names, one term per concept."""

import ast
import re
from pathlib import Path

import pytest
from house import FILES, ROOT, SOURCE, functions, name_of, public_names, tree

REFUSED = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    named = {path.stem for path in FILES} | {p.name for p in SOURCE.rglob("*") if p.is_dir()}
    assert not named & REFUSED


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_names_are_listed_and_documented(path: Path) -> None:
    listed = set(public_names(path))
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name.startswith("_"):
                assert node.name not in listed
                continue
            # A module of routes or commands has one public name: its table.
            if not listed & {"ROUTES", "COMMANDS"}:
                assert node.name in listed, f"{name_of(path)}: {node.name} is not in __all__"
            assert ast.get_docstring(node), f"{name_of(path)}: {node.name} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_booleans_are_given_by_keyword(path: Path) -> None:
    for node in functions(path):
        for argument in [*node.args.posonlyargs, *node.args.args]:
            annotation = argument.annotation
            is_bool = isinstance(annotation, ast.Name) and annotation.id == "bool"
            assert not is_bool, f"{name_of(path)}:{node.lineno} {node.name}({argument.arg})"


def glossary() -> set[str]:
    """The bold terms of the glossary and the verbs of its table, as single words."""
    text = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
    bold = re.findall(r"\*\*([^*]+)\*\*", text)
    words = {word.strip().lower() for term in bold for word in re.split(r"[,/]", term)}
    return words | {word + "s" for word in words}


def test_the_folders_of_services_and_kinds_of_drivers_are_terms_of_the_glossary() -> None:
    folders = {p.name for p in (SOURCE / "services").iterdir() if (p / "__init__.py").exists()}
    assert folders - glossary() == set()
    kinds = {p.name for p in (SOURCE / "drivers").iterdir() if (p / "__init__.py").exists()}
    assert kinds - glossary() == set()
