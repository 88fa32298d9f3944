"""Everything fits on a desk: files, functions."""

import statistics
from pathlib import Path

import pytest
from house import FILES, functions, name_of

MAX_FILE_LINES, MAX_FUNCTION_LINES = 500, 60


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_and_its_functions_fit_on_a_desk(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= MAX_FILE_LINES
    for node in functions(path):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{name_of(path)}:{node.lineno} {node.name}"


def test_the_median_file_and_function_are_small() -> None:
    files = [path.read_text(encoding="utf-8").count("\n") for path in FILES]
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for path in FILES
        for node in functions(path)
    ]
    assert statistics.median([lines for lines in files if lines]) <= 150
    assert statistics.median(lengths) <= 10
