"""The documents: links lead somewhere, everything is described, generated pages are fresh."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from house import FILES, ROOT, SOURCE

from lodge.api.table import ROUTES
from lodge.cli.index import ENTRIES
from lodge.cli.overview import commands_of
from lodge.daemon.settings import SETTINGS
from lodge.model.event import EVENT_KINDS
from lodge.model.instance import InstanceState
from lodge.model.verbs import ALLOWED, Verb

sys.path.insert(0, str(ROOT / "docs"))
generate = importlib.import_module("generate")
capabilities = importlib.import_module("generator.capabilities")
states = importlib.import_module("generator.states")
errors = importlib.import_module("generator.errors")

REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("src/**/*.md")])


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as code hosting sites make them."""
    headings = re.findall(r"^#+ (.+)$", prose(text_of(path)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_link_between_pages_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text_of(path))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        place, _, anchor = target.partition("#")
        page = (path.parent / place).resolve() if place else path
        assert page.exists(), f"{name_of(path)}: {target}"
        if anchor:
            assert anchor in anchors(page), f"{name_of(path)}: {target}"


def test_every_page_of_the_docs_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    open_pages = [ROOT / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page in seen or not page.is_file():
            continue
        seen.add(page)
        if page.suffix == ".md":
            for target in re.findall(r"\]\(([^)\s#]+)", prose(text_of(page))):
                if not target.startswith(("http", "mailto:")):
                    linked = (page.parent / target).resolve()
                    open_pages += sorted(linked.glob("*.md")) if linked.is_dir() else [linked]
    lost = {path for path in PAGES if "docs" in path.parts} - seen
    assert {name_of(path) for path in lost} == set()


def test_the_generated_pages_are_what_the_code_says() -> None:
    assert generate.stale(REFERENCE, generate.pages()) == []


def test_a_stale_missing_or_stray_page_is_named_and_put_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "reference"
    assert generate.main([], folder=folder) == 0
    (folder / "cli.md").write_text("old", encoding="utf-8")
    (folder / "events.md").unlink()
    (folder / "gone.md").write_text("", encoding="utf-8")
    capsys.readouterr()
    assert generate.main(["--check"], folder=folder) == 1
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if line.endswith(": stale")] == [
        "docs/reference/cli.md: stale",
        "docs/reference/events.md: stale",
        "docs/reference/gone.md: stale",
    ]
    assert generate.main([], folder=folder) == 0
    assert generate.main(["--check"], folder=folder) == 0


def test_every_command_is_documented() -> None:
    page = text_of(REFERENCE / "cli.md")
    names = [command.name for word in ENTRIES for command in commands_of(word)]
    assert [name for name in names if f"### lodge {name}\n" not in page] == []


def test_every_error_code_is_documented_with_a_meaning() -> None:
    page = text_of(REFERENCE / "errors.md")
    for error in errors.all_errors():
        (row,) = re.findall(rf"^\| `{error.code}` \|.*$", page, flags=re.MULTILINE)
        assert len(row.split(" | ")[3]) > 10, row


def test_every_route_is_documented() -> None:
    page = text_of(REFERENCE / "api.md")
    wanted = [f"`{route.method} /v1{route.path}".rstrip("/") + "`" for route in ROUTES]
    assert [request for request in wanted if request not in page] == []


def test_every_setting_is_documented() -> None:
    page = text_of(REFERENCE / "settings.md")
    assert [name for name in SETTINGS if f"| `{name}` |" not in page] == []


def test_every_verb_and_every_state_is_drawn() -> None:
    assert set(states.AFTER) == set(ALLOWED) == set(Verb)
    page = text_of(REFERENCE / "states.md")
    assert [word.value for word in InstanceState if f"| `{word.value}` |" not in page] == []


def kinds_written() -> set[str]:
    """Every text in the server's rooms that looks like a kind of event."""
    nouns = "|".join(sorted({kind.partition(".")[0] for kind in EVENT_KINDS}))
    pattern = re.compile(rf'"((?:{nouns})\.[a-z_]+)"')
    rooms = ("services", "tasks", "daemon", "store")
    sources = [path for path in FILES if path.relative_to(SOURCE).parts[0] in rooms]
    return {found for path in sources for found in pattern.findall(text_of(path))}


def kinds_of_tasks() -> set[str]:
    """Every text by which a kind of task is defined or asked for."""
    pattern = re.compile(
        r'(?:kind: ClassVar\[str\] = |submit\(|dry_run\()\s*"([a-z]+\.[a-z_]+)"', re.MULTILINE
    )
    return {found for path in FILES for found in pattern.findall(text_of(path))}


def test_every_kind_of_event_stands_in_the_table_and_every_one_of_the_table_is_written() -> None:
    ends = {f"task.{word}" for word in ("done", "failed", "cancelled")}  # made of the task's state
    written = kinds_written() - kinds_of_tasks() | ends
    assert written == set(EVENT_KINDS)


def test_no_page_names_a_place_of_the_machine_its_examples_ran_on() -> None:
    places = re.compile(r"pytest-of|sim-[0-9a-f]{6}|lodge-host-")
    for path in PAGES:
        found = places.search(text_of(path))
        assert found is None, f"{name_of(path)}: {found and found[0]}"


def test_the_costs_of_missing_capabilities_are_known() -> None:
    costs = capabilities.capability_costs()
    assert {name for name, (cost, _) in costs.items() if not cost} == set()
    assert {"qemu", "kvm", "nftables", "bridge", "privileges"} <= costs.keys()
