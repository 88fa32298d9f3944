"""A desk for every test."""

from collections.abc import Iterator
from pathlib import Path

import command_desk
import pytest


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[command_desk.Desk]:
    with command_desk.desk(tmp_path) as made:
        yield made
