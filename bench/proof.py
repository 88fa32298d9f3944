"""Promises that are kept or broken, not fast or slow: proven by tests, counted here."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["run_tests"]

_ROOT = Path(__file__).resolve().parents[1]


def run_tests(*words: str | Path) -> tuple[int, int]:
    """Run pytest with these words; returns how many tests ran and how many failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv: Sequence[str | Path] = [
            sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *words,
        ]  # fmt: skip
        subprocess.run(argv, cwd=_ROOT, check=False, stdout=sys.stderr)
        suites = ElementTree.parse(report).getroot().iter("testsuite")
        counts = [{key: int(suite.get(key, 0)) for key in _KEYS} for suite in suites]
    ran = sum(count["tests"] - count["skipped"] for count in counts)
    return ran, sum(count["failures"] + count["errors"] for count in counts)


_KEYS = ("tests", "skipped", "failures", "errors")
