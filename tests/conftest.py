"""Markers and switches that all tests share."""

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse to let root-only tests pass by not running: without root they fail loudly."""
    if os.geteuid() == 0 or config.option.collectonly:
        return
    for item in items:
        if item.get_closest_marker("root") or item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.usefixtures("needs_root"))


@pytest.fixture
def needs_root() -> None:
    pytest.fail("this test needs root: run it as root, or choose: -m 'not root and not slow'")
