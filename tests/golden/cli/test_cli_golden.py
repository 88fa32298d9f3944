"""What commands print, byte for byte; set LODGE_GOLDEN=write to write the files anew."""

import os
from pathlib import Path

import pytest
from command_desk import Desk

HERE = Path(__file__).parent

CASES: dict[str, tuple[str, int | None]] = {
    "list": ("list", None),
    "list-60-columns": ("list", 60),
    "list-coloured": ("list --color always", 60),
    "list-all.csv": ("list --columns all --format csv", None),
    "list.csv": ("list --sort=-memory --format csv", None),
    "list.json": ("list --filter name=web1 --format json", None),
    "list.yaml": ("list --filter name=web1 --format yaml", None),
    "list-some.json": ("list --columns name,ipv4,spec.nics.0.mac --format json", None),
    "list-some.yaml": ("list --columns name,memory --format yaml", None),
    "show": ("show web1", None),
    "show.json": ("show web1 --format json", None),
    "image-list": ("image list", None),
    "image-show": ("image show debian-12", None),
    "image-catalogue": ("image catalogue", None),
    "volume-list": ("volume list", None),
    "volume-show": ("volume show web1-root", None),
    "pool-list": ("pool list", 78),
    "pool-show": ("pool show default", None),
    "network-list": ("network list", None),
    "network-show": ("network show default", None),
    "profile-list": ("profile list", None),
    "profile-show": ("profile show big", None),
    "task-list": ("task list", None),
    "task-show": ("task show 1m83j7wfc8163", None),
    "events": ("events", None),
    "events.csv": ("events --format csv", None),
    "audit": ("audit", None),
    "host-show": ("host show", None),
    "host-check": ("host check", None),
    "token-list": ("token list", None),
    "config-list": ("config list", None),
    "help": ("--help", None),
    "help-list": ("list --help", None),
    "help-launch": ("launch --help", None),
    "help-image": ("image --help", None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_command_prints_what_it_printed_when_it_was_looked_at(desk: Desk, name: str) -> None:
    words, width = CASES[name]
    ran = desk.run(*words.split(), width=width)
    path = HERE / (name if "." in name else f"{name}.txt")
    if os.environ.get("LODGE_GOLDEN") == "write":
        path.write_text(ran.out)
    assert ran.out == path.read_text()
    assert (ran.status, ran.err) == (0, "")


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("list")])
def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(desk: Desk, name: str) -> None:
    words, width = CASES[name]
    for line in desk.run(*words.split(), "--color=never", width=width).out.splitlines():
        assert line == line.rstrip()
        assert width is None or len(line) <= width


def test_every_golden_file_belongs_to_a_case() -> None:
    expected = {name if "." in name else f"{name}.txt" for name in CASES}
    found = {
        path.name for path in HERE.iterdir() if path.suffix in (".txt", ".csv", ".json", ".yaml")
    }
    assert found == expected
