"""Every command: found by its words, parsed, explained, and alone in what it loads."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from command_desk import Desk

from lodge.cli.index import ENTRIES, SYNONYMS
from lodge.cli.main import find_command
from lodge.cli.overview import commands_of
from lodge.cli.parser import Command, make_parser

ALL = [command for word in ENTRIES for command in commands_of(word)]

GOOD: dict[str, str] = {
    "launch": "debian-12 web1 --cpus 2 --memory 2GiB --disk 20G --network a --network b --tag x"
    " --profile p --machine q35 --firmware uefi --start-at-boot --protect --no-start --dry-run",
    "list": "--filter state=running --filter name~web --sort -memory,name --columns name",
    "show": "web1 web2 --format yaml",
    "start": "web1 web2 --no-wait",
    "shutdown": "web1 --timeout 5 --force",
    "stop": "web1 --format json",
    "restart": "web1 --timeout 5",
    "reset": "web1",
    "pause": "web1",
    "resume": "web1",
    "suspend": "web1 --wait-timeout 10",
    "set": "web1 cpus=2 memory=1GiB --revision 3",
    "rename": "web1 web2",
    "delete": "web1 web2 --force --yes",
    "exec": "web1 --env A=b -- ls -l --all",
    "console": "web1",
    "push": "file web1:/tmp/file --mode 600",
    "pull": "web1:/tmp/file -",
    "screenshot": "web1 -o -",
    "logs": "web1 --qemu --follow --tail 5",
    "image list": "--format json",
    "image show": "debian-12",
    "image catalogue": "",
    "image add": "https://example.org/x --alias x --image-format raw",
    "image build": "debian-12 --force",
    "image import": "file.vmdk --alias x",
    "image export": "debian-12 -",
    "image alias": "debian-12 a b",
    "image remove": "a b",
    "volume list": "--pool fast",
    "volume show": "fast/data",
    "volume create": "fast/data --size 1TiB --volume-format raw",
    "volume resize": "data 2TiB",
    "volume delete": "a fast/b",
    "pool list": "",
    "pool show": "default",
    "pool create": "fast --path /x --guard 1GiB",
    "pool delete": "fast",
    "network list": "",
    "network show": "default",
    "network create": "lab --kind isolated --ipv4 10.1.0.1/24 --mtu 9000",
    "network delete": "lab",
    "profile list": "",
    "profile show": "big",
    "profile set": "big cpus=8 disk=",
    "profile delete": "big",
    "task list": "--limit 5",
    "task show": "t1",
    "task follow": "t1 --wait-timeout 3",
    "task cancel": "t1 t2",
    "events": "--follow --since 7 --filter kind~instance",
    "audit": "--limit 9",
    "host show": "--format json",
    "host check": "--columns all",
    "token create": "ci --scope write --expires 30d",
    "token list": "",
    "token revoke": "t1 t2",
    "config list": "",
    "config get": "log_level",
    "config set": "log_level=debug is_polite=",
    "remote add": "lab https://lab:8443 --fingerprint ab --token-file t",
    "remote list": "",
    "remote remove": "lab",
    "completion": "bash",
    "version": "--client",
}


def test_every_command_has_a_line_here() -> None:
    assert set(GOOD) == {command.name for command in ALL}


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_a_command_is_found_by_its_words_and_parses_them(command: Command) -> None:
    words = [*command.name.split(), *GOOD[command.name].split()]
    found, rest = find_command(words)
    assert found.name == command.name
    assert rest is not None
    make_parser(found).parse_all(rest)


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_options_of_every_command_may_stand_before_it(command: Command) -> None:
    words = ["--socket", "/x", *command.name.split(), *GOOD[command.name].split()]
    found, rest = find_command(words)
    assert found.name == command.name
    assert rest is not None
    assert make_parser(found).parse_all(rest).socket == "/x"


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_the_help_of_a_command_has_examples_that_parse(command: Command) -> None:
    text = make_parser(command).format_help()
    assert "examples:" in text
    assert max(map(len, text.splitlines())) < 180
    for example in command.examples:
        assert "lodge" in example
        if example.startswith("lodge ") and not set("<>|'()") & set(example):
            found, rest = find_command(example.split()[1:])
            assert rest is not None
            make_parser(found).parse_all(rest)


def test_the_index_and_the_modules_agree() -> None:
    for word, entry in ENTRIES.items():
        module = import_module(f"lodge.cli.commands.{entry.module}")
        names = {command.name: command for command in module.COMMANDS}
        if word in names:
            assert names[word].summary == entry.summary
        assert commands_of(word), word
    modules = {p.stem for p in Path(module.__file__ or "").parent.glob("*.py")} - {"__init__"}
    assert modules == {entry.module for entry in ENTRIES.values()}


def test_what_others_call_a_command_leads_to_ours() -> None:
    assert set(SYNONYMS.values()) <= set(ENTRIES)
    assert not set(SYNONYMS) & set(ENTRIES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("lst", "did you mean: lodge list?"),
        ("rm web1", "did you mean: lodge delete?"),
        ("image lis", "did you mean: lodge image list?"),
        ("list --fromat json", "did you mean --format?"),
        ("list --format jsn", "choose from"),
        ("launch debian-12", "NAME"),
        ("exec web1 --", "no command given"),
        ("xyzzy", "see: lodge --help"),
        ("set web1 cpus", "as in: lodge set web1 cpus=4"),
        ("set web1 cpu=4", "did you mean cpus?"),
        ("set web1 protected=maybe", "yes or no"),
        ("set web1 on-crash=explode", "on_crash"),
        ("launch a b --memory 4GB", "write 4GiB"),
        ("launch a b --memory 1e3", "not a size"),
        ("launch a b --disk 0", "larger than zero"),
        ("launch a b --network none --network c", "goes with no other"),
        ("launch a b --command-line x", "needs --firmware direct"),
        ("launch a b --dry-run --no-wait", "starts no task"),
        ("push x y", "NAME:/path"),
        ("push - web1:/tmp/", "no name"),
        ("push /etc web1:/tmp/x", "not a file"),
        ("push /nowhere web1:/tmp/x", "cannot read /nowhere"),
        ("pull web1:tmp", "NAME:/path"),
        ("token create x --expires 5", "as in 30d"),
        ("token create x --expires 0d", "as in 30d"),
        ("logs web1 --tail -1", "--tail"),
        ("list --filter state", "write field=value"),
        ("list --filter nowhere=1", "columns: name"),
        ("list --columns nowhere", "columns: name"),
        ("list --sort nowhere", "columns: name"),
        ("list --filter memory>much", "not a size"),
        ("remote add a ftp://x --system-ca", "https://NAME"),
        ("remote add a https://x --fingerprint 12", "64 hexadecimal"),
        ("remote add a https://x", "how is the server's certificate"),
        ("completion", "for which shell"),
        ("image import /nowhere", "not a file"),
        ("profile set x", "nothing to set"),
        ("profile set x color=1", "not a setting of a profile"),
        ("help lst", "no command"),
    ],
)
def test_what_is_written_wrongly_is_told_with_what_to_write(
    desk: Desk, words: str, said: str
) -> None:
    ran = desk.run(*words.split())
    assert ran.status == 2
    assert ran.out == ""
    assert said in ran.err
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) <= 2


def test_a_wrong_command_changes_nothing(desk: Desk) -> None:
    for words in ("stop", "delete web1 --frce", "launch a b --memory x", "set web1 x=y"):
        assert desk.run(*words.split()).status == 2
    assert all(asked.method == "GET" for asked in desk.api.asked)


LOADED = """
import json, sys
from lodge.cli.main import main
main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded_by(desk: Desk, *words: str) -> set[str]:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, *words],
        env={**desk.environment, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ran.stderr.splitlines()[-1]))


def test_a_list_is_made_with_few_modules_and_none_that_is_slow_to_load(desk: Desk) -> None:
    loaded = loaded_by(desk, "list")
    slow = {"msgspec", "aiohttp", "asyncio", "yaml", "http.client", "email", "ssl", "pathlib"}
    slow |= {"dataclasses", "inspect", "shutil", "subprocess", "decimal", "datetime", "threading"}
    assert not loaded & slow
    ours = {name for name in loaded if name.startswith("lodge")}
    assert len(ours) <= 35, sorted(ours)
    assert len(loaded) <= 115, len(loaded)


ROOMS = ("daemon", "api", "services", "tasks", "store", "drivers", "system", "cluster")


@pytest.mark.parametrize("words", ["list", "show web1", "exec web1 -- true", "events", "version"])
def test_no_server_room_is_loaded(desk: Desk, words: str) -> None:
    loaded = loaded_by(desk, *words.split())
    assert not [
        m
        for m in loaded
        if m.split(".")[:1] == ["lodge"] and m.split(".")[1:2][:1] and m.split(".")[1] in ROOMS
    ]
