"""What the type checker says of the three faces: the same arguments, each its own answer."""

import re
import subprocess
import sys
from pathlib import Path

SNIPPET = """
from lodge.client import AsyncClient, Client, PlainClient

reveal_type(Client().instances.get("a"))
reveal_type(Client().instances.list(limit=1))
reveal_type(Client().tasks.wait("a"))
reveal_type(Client().events.follow(1))
reveal_type(Client().images.download("a"))
reveal_type(AsyncClient().instances.get("a"))  # type: ignore[unused-coroutine]
reveal_type(AsyncClient().events.follow(1))
reveal_type(PlainClient().instances.get("a"))
Client().instances.get(3)
Client().instances.start("a", force=True)
Client().nouns
"""

EXPECTED = [
    "lodge.model.requests.InstanceView",
    "lodge.model.answers.Page[lodge.model.requests.InstanceView]",
    "lodge.model.task.Task",
    "collections.abc.Iterator[lodge.model.event.Event]",
    "collections.abc.Iterator[bytes]",
    "Coroutine[Any, Any, lodge.model.requests.InstanceView]",
    "collections.abc.AsyncIterator[lodge.model.event.Event]",
    "Any",
]


def test_the_type_checker_knows_every_face_and_refuses_wrong_arguments(tmp_path: Path) -> None:
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--cache-dir",
            str(tmp_path / "cache"),
            str(file),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    revealed = re.findall(r'Revealed type is "(.*)"', ran.stdout)
    assert len(revealed) == len(EXPECTED), ran.stdout
    for found, wanted in zip(revealed, EXPECTED, strict=True):
        assert found.removeprefix("typing.").endswith(wanted.removeprefix("collections.abc.")), (
            found
        )
    errors = re.findall(r"snippet.py:(\d+): error:", ran.stdout)
    assert errors == ["12", "13", "14"], ran.stdout
