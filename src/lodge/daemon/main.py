"""``lodged``: read settings, put the parts together, run until told to end."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lodge import __version__
from lodge.base.errors import LodgeError
from lodge.base.world import RealWorld
from lodge.daemon.daemon import Daemon
from lodge.daemon.settings import SETTINGS, DaemonSettings, read_settings

__all__ = ["main"]

_LOG = logging.getLogger("lodged")
_CONFIG_FILE = Path("/etc/lodge/lodge.toml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lodged",
        description="The Lodge daemon: serves the API, runs tasks, watches instances.",
        epilog="Instances go on while it is away; the next start adopts them.",
    )
    parser.add_argument("--version", action="version", version=f"lodged {__version__}")
    for definition in SETTINGS.values():
        option = f"--{definition.name.replace('_', '-')}"
        parser.add_argument(option, metavar="VALUE", help=definition.description)
    return parser


def _settings(argv: Sequence[str]) -> DaemonSettings:
    parsed = vars(_parser().parse_args(argv)).items()
    given = {name: value for name, value in parsed if value is not None}
    config_file = Path(given.get("config_file", _CONFIG_FILE))
    return read_settings(config_file, given)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns its exit status."""
    try:
        settings = _settings(sys.argv[1:] if argv is None else argv)
    except LodgeError as error:
        _complain(error)
        return 2
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Nothing the daemon writes is for others unless a mode says so.
    os.umask(0o077)
    try:
        asyncio.run(_run(settings))
    except LodgeError as error:
        _complain(error)
        return 1
    return 0


async def _run(settings: DaemonSettings) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    daemon = await Daemon.open(settings, RealWorld())
    try:
        await daemon.start()
        _LOG.info("ready: %s", daemon.where())
        await daemon.run_until(end)
    finally:
        await daemon.close()
        _LOG.info("ended; instances go on")


def _complain(error: LodgeError) -> None:
    """Write an error for the terminal or the service manager's log."""
    sys.stderr.write(f"error: {error.message} [{error.code}]\n")
    if error.where:
        sys.stderr.write(f"where: {error.where}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    if error.details:
        sys.stderr.write(f"details: {json.dumps(error.details, default=str)}\n")


if __name__ == "__main__":
    sys.exit(main())
