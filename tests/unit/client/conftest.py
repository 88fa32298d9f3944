"""A canned API on a socket of its own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from canned_api import CannedApi, Served, served

from lodge.client.address import Address


@pytest.fixture
def api() -> CannedApi:
    return CannedApi()


@pytest.fixture
def server(api: CannedApi, tmp_path: Path) -> Iterator[Served]:
    with served(api, socket_path=tmp_path / "api.sock") as running:
        yield running


@pytest.fixture
def address(server: Served, tmp_path: Path) -> Address:
    return Address(socket_path=str(tmp_path / "api.sock"))
