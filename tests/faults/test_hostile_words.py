"""Words of a guest on their way to somebody's terminal."""

import argparse
import io

import pytest

from lodge.cli.formats import to_csv, to_json, to_yaml
from lodge.cli.invocation import Invocation, harmless_text
from lodge.cli.rows import Column

POISON = "\x1b]0;owned\x07\x1b[2J\x1bc\u009b2J\u0090q\r\x08gone\x7f"
ROWS = [{"name": "web1", "reason": POISON}]
COLUMNS = (Column("name"), Column("reason"))


class Terminal(io.StringIO):
    """A terminal that remembers everything."""

    def isatty(self) -> bool:
        return True


def drives_a_terminal(text: str) -> bool:
    return any(ord(char) < 32 or 127 <= ord(char) < 160 for char in text if char not in "\n\t")


@pytest.mark.parametrize(
    "text", [to_csv(ROWS, COLUMNS), to_json(ROWS), to_yaml(ROWS), POISON], ids=[*"cjyp"]
)
def test_nothing_a_guest_said_drives_the_terminal_of_who_looks(text: str) -> None:
    out, err = Terminal(), Terminal()
    invocation = Invocation(argparse.Namespace(), out=out, err=err, environment={})
    invocation.say(text)
    invocation.tell(text)
    assert "gone" in out.getvalue()
    assert not drives_a_terminal(out.getvalue() + err.getvalue())


def test_a_pipe_gets_every_byte() -> None:
    out = io.StringIO()
    Invocation(argparse.Namespace(), out=out, environment={}).say(POISON)
    assert out.getvalue() == POISON + "\n"


def test_colours_of_our_own_stay() -> None:
    assert harmless_text("\x1b[1;32mrunning\x1b[0m\t-\n") == "\x1b[1;32mrunning\x1b[0m\t-\n"
