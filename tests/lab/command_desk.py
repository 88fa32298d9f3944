"""Run ``lodge`` in this process against a canned API: fixed clock, fixed width, own home."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import canned_records as records
from canned_api import CannedApi, Served, page, served

from lodge.cli.invocation import Invocation
from lodge.cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it wrote."""

    status: int
    out: str
    err: str
    raw: bytes = b""


class Desk:
    """Where commands are typed."""

    def __init__(self, api: CannedApi, server: Served, home: Path) -> None:
        self.api = api
        self.server = server
        self.environment = {"HOME": str(home), "LODGE_SOCKET": str(home / "api.sock")}

    def run(self, *words: str, width: int | None = None, stdin: bytes = b"") -> Ran:
        def begin(args: Namespace) -> Invocation:
            return Invocation(
                args, environment=self.environment, now=lambda: records.NOW, width=width
            )

        with _streams(stdin) as (out, err):
            status = main(words, begin=begin)
            sys.stdout.flush()
            sys.stderr.flush()
            raw = out.getvalue()
            return Ran(status, raw.decode("utf-8", "replace"), err.getvalue().decode(), raw)


@contextmanager
def _streams(stdin: bytes) -> Iterator[tuple[BytesIO, BytesIO]]:
    before = sys.stdin, sys.stdout, sys.stderr
    out, err = BytesIO(), BytesIO()
    sys.stdin = TextIOWrapper(_Piped(stdin), encoding="utf-8")
    sys.stdout = TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        yield out, err
    finally:
        sys.stdin.close()
        sys.stdin, sys.stdout, sys.stderr = before


class _Piped(BytesIO):
    """Input from a pipe: it has a descriptor, because commands read it unbuffered."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reading, writing = os.pipe()
        assert len(data) < 65536, "it must fit into the pipe"
        os.write(writing, data)
        os.close(writing)

    def fileno(self) -> int:
        return self._reading

    def close(self) -> None:
        if not self.closed:
            os.close(self._reading)
        super().close()


@contextmanager
def desk(home: Path) -> Iterator[Desk]:
    """A desk with a daemon that knows one record of everything."""
    api = CannedApi()
    stock(api)
    with served(api, socket_path=home / "api.sock") as server:
        yield Desk(api, server, home)


def stock(api: CannedApi) -> None:
    """Answer every read with the canned records."""
    shelves = {
        "instances": records.INSTANCES,
        "images": (records.IMAGE,),
        "catalogue": (records.CATALOGUE,),
        "pools": (records.POOL,),
        "volumes": (records.VOLUME,),
        "networks": (records.NETWORK,),
        "networks/default/leases": (records.LEASE,),
        "profiles": (records.PROFILE,),
        "tasks": (records.task(), records.downloading(1 << 20, 1 << 22)),
        "audit": (records.AUDIT,),
        "host/check": records.CHECKS,
        "tokens": (
            {
                "id": "tok1",
                "name": "ci",
                "scope": "write",
                "created_at": records.NOW - 60,
                "expires_at": records.NOW + 30 * 86400,
                "last_used_at": None,
            },
        ),
        "config": (
            setting("listen_port", 8443, 8443, "TCP port of the HTTPS door", "restart"),
            setting("log_level", "debug", "info", "how much lodged logs", "now"),
            setting("is_polite", True, True, "says please", "now"),
        ),
    }
    for path, items in shelves.items():
        api.on("GET", f"/v1/{path}", page(*items))
    single = {
        "instances/web1": records.instance(),
        "images/debian-12": records.IMAGE,
        "pools/default": records.POOL,
        "pools/default/usage": records.USAGE,
        "pools/default/volumes/web1-root": records.VOLUME,
        "pools/default/volumes/web1-root/usage": records.VOLUME_USAGE,
        "networks/default": records.NETWORK,
        "networks/default/status": records.NETWORK_STATUS,
        "profiles/big": records.PROFILE,
        "tasks/1m83j7wfc8163": records.task(),
        "host": records.HOST,
        "events": {"items": list(records.EVENTS), "last": 8, "is_compacted": False},
    }
    for path, record in single.items():
        api.on("GET", f"/v1/{path}", record)
    api.on("GET", "/v1", {"api_version": "v1", "lodge_version": "0.1.0", "is_authenticated": True})


def setting(name: str, value: object, default: object, text: str, effect: str) -> dict[str, object]:
    return {
        "name": name,
        "value": value,
        "default": default,
        "description": text,
        "takes_effect": effect,
    }
