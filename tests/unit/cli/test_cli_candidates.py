"""Completion: what may come next, also when nobody can be asked."""

import subprocess
from pathlib import Path

import pytest
from command_desk import Desk

from lodge.cli.commands.completion import SCRIPTS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["im"], ["image"]),
        (["image", "ex"], ["export"]),
        (
            ["image", ""],
            ["add", "alias", "build", "catalogue", "export", "import", "list", "remove", "show"],
        ),
        (["start", "w"], ["web1"]),
        (["start", "web1", "d"], ["db"]),
        (["start", "--wait-timeout", "5", "d"], ["db"]),
        (["launch", "deb"], ["debian-12"]),
        (["launch", "debian-12", ""], []),
        (["launch", "debian-12", "x", "--network", ""], ["default"]),
        (["launch", "debian-12", "x", "--machine", ""], ["microvm", "q35"]),
        (["list", "--form"], ["--format"]),
        (["list", "--format", "y"], ["yaml"]),
        (["image", "show", ""], ["debian-12", "stable"]),
        (["image", "build", ""], ["debian-12"]),
        (["volume", "delete", ""], ["default/web1-root"]),
        (["config", "get", "l"], ["listen_port", "log_level"]),
        (["pull", "we"], ["web1:/"]),
        (["nonsense", ""], []),
        ([], None),
    ],
)
def test_candidates_fit_the_place(desk: Desk, words: list[str], expected: list[str] | None) -> None:
    ran = desk.run("completion", "--answer", *words)
    assert ran.status == 0
    if expected is None:
        assert "launch" in ran.out.split()
        return
    assert ran.out.split() == expected


def test_without_a_daemon_only_the_names_are_missing(desk: Desk) -> None:
    desk.server.stop()
    assert desk.run("completion", "--answer", "start", "").out == ""
    assert desk.run("completion", "--answer", "st").out.split() == ["start", "stop"]


def test_the_bash_script_is_read_by_bash_and_completes(desk: Desk, tmp_path: Path) -> None:
    fake = tmp_path / "lodge"
    fake.write_text('#!/bin/sh\nshift 2\necho "asked:$*" > "$0.log"\necho web1\necho web2\n')
    fake.chmod(0o755)
    (tmp_path / "s").write_text(SCRIPTS["bash"])
    script = (
        f"PATH={tmp_path}:$PATH; source {tmp_path}/s;"
        ' COMP_WORDS=(lodge start we); COMP_CWORD=2; COMP_LINE="lodge start we"; COMP_POINT=14;'
        ' _lodge; echo "${COMPREPLY[@]}"'
    )
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "web1 web2\n"
    assert (tmp_path / "lodge.log").read_text() == "asked:start we\n"


def test_every_shell_has_its_script(desk: Desk) -> None:
    for shell, script in SCRIPTS.items():
        assert desk.run("completion", shell).out.strip() == script.strip()
        assert "lodge completion --answer" in script
