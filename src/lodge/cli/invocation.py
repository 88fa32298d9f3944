"""One run of the command: where it writes, which daemon it asks, what time it is."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from lodge.cli.style import Style, wants_colour

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.client.address import Address
    from lodge.client.blocking import PlainClient

__all__ = ["Invocation", "harmless_text"]


_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t\x1b"}


def harmless_text(text: str) -> str:
    r"""Take out what could drive a terminal, except line breaks, tabs and colours.

    Records hold words of guests: a crashed QEMU's last ones, an agent's refusal. JSON leaves the
    control characters from U+007F to U+009F as they are, CSV all of them.

    >>> harmless_text("\x1b[1mname\x1b[0m \x1b]0;owned\x07\x1b[2J\x9b2J")
    '\x1b[1mname\x1b[0m ]0;owned[2J2J'
    """
    text = text.translate(_CONTROLS)
    return re.sub(r"\x1b(?!\[[0-9;]*m)", "", text) if "\x1b" in text else text


class Invocation:
    """Everything outside the program that a command may touch.

    Args:
        args: the parsed options of every command (``host``, ``socket``, ``color``).
        out: standard output, for results only.
        err: standard error, for progress, questions and failures.
        environment: variables.
        now: wall clock, for ages.
        width: cells of the terminal; null: ask it.
    """

    def __init__(
        self,
        args: Namespace,
        *,
        out: TextIO | None = None,
        err: TextIO | None = None,
        environment: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
        width: int | None = None,
    ) -> None:
        self.args = args
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        self.environment = os.environ if environment is None else environment
        self.now = now
        self._width = width

    @cached_property
    def address(self) -> Address:
        """Which daemon: ``--socket``, ``--host``, ``LODGE_HOST``, or this machine's."""
        from lodge.client.address import Address, local_address

        if socket_path := getattr(self.args, "socket", None):
            return Address(socket_path=socket_path)
        remote = getattr(self.args, "host", None) or self.environment.get("LODGE_HOST")
        if remote:
            from lodge.cli.remotes import load_address

            return load_address(remote, self.environment)
        return local_address(self.environment)

    @cached_property
    def client(self) -> PlainClient:
        """The daemon's API, answering plain JSON values."""
        from lodge.client.blocking import PlainClient

        return PlainClient(self.address)

    @property
    def width(self) -> int | None:
        """Cells of the terminal that standard output is; null when it is none."""
        if self._width is not None:
            return self._width
        if not self.out.isatty():
            return None
        try:
            return os.get_terminal_size(self.out.fileno()).columns or None
        except OSError:
            return None

    @property
    def is_interactive(self) -> bool:
        """Whether a person can be asked."""
        return sys.stdin is not None and sys.stdin.isatty() and self.err.isatty()

    @cached_property
    def style(self) -> Style:
        """Colours for standard output."""
        return self._style(self.out)

    @cached_property
    def err_style(self) -> Style:
        """Colours for standard error."""
        return self._style(self.err)

    def _style(self, stream: TextIO) -> Style:
        choice = getattr(self.args, "color", "auto")
        if choice != "auto":
            return Style(is_coloured=choice == "always")
        is_coloured = wants_colour(is_terminal=stream.isatty(), environment=self.environment)
        return Style(is_coloured=is_coloured)

    def say(self, text: str) -> None:
        """Write a result: as it is into a pipe or file, and what does no harm on a terminal."""
        print(harmless_text(text) if self.out.isatty() else text, file=self.out)

    def tell(self, text: str) -> None:
        """Write something beside the result."""
        print(harmless_text(text), file=self.err, flush=True)

    def ask(self, question: str) -> bool:
        """Ask a person; everything but yes is no."""
        print(f"{question} [y/N] ", end="", file=self.err, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
