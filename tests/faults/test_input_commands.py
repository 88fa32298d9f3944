"""The command line refuses what cannot be, with an exit status that scripts can tell apart."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from real_daemon import RealDaemon

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealDaemon]:
    folder = tmp_path_factory.mktemp("commands")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)
    made = RealDaemon(folder)
    try:
        made.start()
        made.good("POST", "/v1/images/build", {"recipe": "tiny"})
        web = {"name": "web", "image": "tiny", "memory_mib": 64, "is_protected": True}
        made.good("POST", "/v1/instances", web)
        (folder / "broken.yaml").write_text("#cloud-config\nusers:\n  - a: b\n - c: [\n")
        yield made
    finally:
        made.close()


CASES = [
    ("launch tiny Web!", 2, "'Web!'"),
    ("launch tiny web", 4, "exists already"),
    ("launch tyny fresh", 3, "'tyny'"),
    ("launch tiny fresh --memory 1.5GB", 2, "1.5GiB"),
    ("launch tiny fresh --memory 1e3", 2, "1e3"),
    ("launch tiny fresh --memory 0", 2, "larger than zero"),
    ("launch tiny fresh --memory -64M", 2, "memory"),
    ("launch tiny fresh --memory 15TiB", 7, "more than"),
    ("launch tiny fresh --disk 1MiB", 2, "16 MiB"),
    ("launch tiny fresh --disk 2TiB", 7, "1 TiB"),
    ("launch tiny fresh --cpus 0", 2, "cpus"),
    ("launch tiny fresh --network nope", 3, "'nope'"),
    ("launch tiny fresh --profile nope", 2, "'nope'"),
    ("launch tiny fresh --cloud-init {folder}/broken.yaml", 2, "line 4"),
    ("launch tiny fresh --cloud-init {folder}/absent.yaml", 2, "absent.yaml"),
    ("start web", 4, "it is running, required: stopped or suspended"),
    ("start wob", 3, "web"),
    ("delete web --force --yes", 4, "protected"),
    ("frobnicate", 2, "no command"),
]


@pytest.mark.parametrize(("words", "status", "said"), CASES)
def test_a_wrong_command_says_what_is_wrong_and_ends_with_its_status(
    daemon: RealDaemon, words: str, status: int, said: str
) -> None:
    before = daemon.states()
    ran = daemon.command(*words.format(folder=daemon.folder).split())
    told = ran.stderr.decode()
    assert ran.returncode == status, told
    assert said in told
    assert "Traceback" not in told
    assert daemon.states() == before


def test_sizes_as_people_write_them_are_understood(daemon: RealDaemon) -> None:
    ran = daemon.command("launch", "tiny", "roomy", "--memory", "0.125 gib", "--disk", "64M")
    assert ran.returncode == 0, ran.stderr.decode()
    spec = daemon.good("GET", "/v1/instances/roomy")["spec"]
    assert spec["memory_mib"] == 128
    assert daemon.command("delete", "roomy", "--force", "--yes").returncode == 0


def test_a_daemon_that_is_not_there_is_told_apart(tmp_path: Path) -> None:
    ran = RealDaemon(tmp_path).command("list")
    assert ran.returncode == 6
    assert "Traceback" not in ran.stderr.decode()
