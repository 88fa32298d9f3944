"""Command line of mmdebstrap; pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lodge.drivers.builder.debian.options import APT_OPTIONS, DPKG_OPTIONS, Suite

__all__ = ["Bootstrap", "bootstrap_argv"]

_ISOLATED = (
    # It must not outlive the daemon: a second try would write into the same folder.
    *("setpriv", "--pdeathsig", "KILL", "--"),
    # Killing its process 1 kills everything that maintainer scripts started, and with the last
    # process go all its mounts, which nobody outside ever sees.
    *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"),
)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """One run of mmdebstrap."""

    suite: Suite
    target: Path
    overlay: Path  # files that are there before the packages
    log: Path
    sources: Sequence[str] = ()  # lines of sources.list; empty: mmdebstrap's own default
    settings: Sequence[str] = ()  # of the host's apt


def bootstrap_argv(run: Bootstrap) -> list[str]:
    """Build the command that fills a folder with a Debian system."""
    return [
        *_ISOLATED,
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"),
        *("--verbose", f"--logfile={run.log}"),
        *(f"--aptopt={option}" for option in (*APT_OPTIONS, *run.settings)),
        *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
        f"--include={','.join(run.suite.packages)}",
        f"--essential-hook=sync-in {shlex.quote(str(run.overlay))} /",
        run.suite.codename,
        str(run.target),
        *run.sources,
    ]
