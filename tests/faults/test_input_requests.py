"""Requests that cannot be: each is told apart, says where and what to do, and changes nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from real_daemon import RealDaemon

pytestmark = pytest.mark.root

GIB = 1 << 30
VMS, VOLUMES, POOLS, NETWORKS = "/v1/instances", "/v1/volumes", "/v1/pools", "/v1/networks"
WEB, IDLE = f"{VMS}/web", f"{VMS}/idle"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealDaemon]:
    folder = tmp_path_factory.mktemp("requests")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)
    made = RealDaemon(folder)
    try:
        made.start()
        made.good("POST", "/v1/images/build", {"recipe": "tiny"})
        for name, more in (
            ("web", {}),
            ("idle", {"starts": False}),
            ("kept", {"starts": False, "is_protected": True}),
            ("frozen", {}),
            ("asleep", {}),
        ):
            body = {"name": name, "image": "tiny", "memory_mib": 64, **more}
            made.good("POST", VMS, body)
        made.good("POST", f"{VMS}/frozen/pause")
        made.good("POST", f"{VMS}/asleep/suspend")
        yield made
    finally:
        made.close()


def everything(daemon: RealDaemon) -> dict[str, Any]:
    """All that a request could have changed; looking changes when something was seen."""
    seen = {
        path: daemon.good("GET", path)["items"]
        for path in (VMS, VOLUMES, POOLS, NETWORKS, "/v1/images")
    }
    for instance in seen[VMS]:
        instance["status"].pop("observed_at")
    tasks = daemon.good("GET", "/v1/tasks?limit=1")
    return {**seen, "tasks": tasks["total"]}


def new(**wrong: Any) -> tuple[str, str, dict[str, Any]]:
    body = {"name": "fresh", "image": "tiny", "memory_mib": 64, **wrong}
    return "POST", VMS, {key: value for key, value in body.items() if value != "left out"}


def patch(**wrong: Any) -> tuple[str, str, dict[str, Any]]:
    return "PATCH", WEB, wrong


def volume(**wrong: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", VOLUMES, {"name": "fresh", "pool": "default", "size_bytes": GIB, **wrong}


def pool(**wrong: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", POOLS, {"name": "fresh", "driver": "fake", **wrong}


def network(**wrong: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", NETWORKS, {"name": "fresh", **wrong}


BROKEN_YAML = "#cloud-config\nusers:\n  - name: a\n - b: ["

WRONG: list[tuple[tuple[Any, ...], int, str, str | None, str]] = [
    # request, status, code, where, a part of what is said
    (new(name="Web!"), 422, "invalid_name", "name", "'Web!'"),
    (new(name=""), 422, "invalid_name", "name", "''"),
    (new(name="-web"), 422, "invalid_name", "name", "lower-case"),
    (new(name="a" * 64), 422, "invalid_name", "name", "63"),
    (new(name="web\n"), 422, "invalid_name", "name", "web"),
    (new(name="../web"), 422, "invalid_name", "name", "../web"),
    (new(name="none"), 422, "invalid_name", "name", "reserved"),
    (new(name="localhost"), 422, "invalid_name", "name", "reserved"),
    (new(name="web"), 409, "instance_exists", WEB[4:], "exists already"),
    (new(name="left out"), 422, "invalid_field", None, "name"),
    (new(name=None), 422, "invalid_field", "name", "null"),
    (new(name=5), 422, "invalid_field", "name", "int"),
    (new(colour="red"), 422, "invalid_field", "colour", "colour"),
    (new(boot={"firmwear": "bios"}), 422, "invalid_field", None, "firmwear"),
    (new(image="tyny"), 404, "image_not_found", "image", "'tyny'"),
    (new(networks=["defualt"]), 404, "network_not_found", "networks/defualt", "'defualt'"),
    (new(profiles=["nope"]), 422, "unknown_profile", "profiles[0]", "'nope'"),
    (new(pool="nope"), 404, "pool_not_found", "pools/nope", "'nope'"),
    (new(kind="container"), 422, "instance_kind_unsupported", "kind", "container"),
    (new(kind="box"), 422, "invalid_field", "kind", "box"),
    (new(cpus=0), 422, "invalid_field", "cpus", "0"),
    (new(cpus=-1), 422, "invalid_field", "cpus", "-1"),
    (new(cpus=1024), 409, "too_many_cpus", "cpus", "1024"),
    (new(memory_mib=0), 422, "invalid_field", "memory_mib", "0"),
    (new(memory_mib=-64), 422, "invalid_field", "memory_mib", "-64"),
    (new(memory_mib=32), 422, "memory_too_small", "memory_mib", "64 MiB"),
    (new(memory_mib=16777216), 409, "memory_too_large", "memory_mib", "16 TiB"),
    (new(memory_mib="1.5GB"), 422, "invalid_field", "memory_mib", "1.5GB"),
    (new(memory_mib=1e3), 422, "invalid_field", "memory_mib", "1000"),
    (new(memory_mib="4 gib"), 422, "invalid_field", "memory_mib", "4 gib"),
    (new(disk_bytes=0), 422, "invalid_field", "disk_bytes", "0"),
    (new(disk_bytes=-1), 422, "invalid_field", "disk_bytes", "-1"),
    (new(disk_bytes=1 << 20), 422, "disk_too_small", "disk_bytes", "16 MiB"),
    (new(disk_bytes=1 << 62), 409, "volume_too_large", None, "1 TiB"),
    (new(disk_bytes=1 << 70), 409, "volume_too_large", None, "1 TiB"),
    (new(cpu_model="bad model!"), 422, "invalid_field", "cpu_model", "bad model!"),
    (new(tags=["Bad Tag"]), 422, "invalid_field", "tags[0]", "Bad Tag"),
    (new(machine="q36"), 422, "invalid_field", "machine", "q36"),
    (
        new(machine="microvm", boot={"firmware": "uefi"}),
        *(422, "instance_spec_invalid", "boot.firmware", "uefi"),
    ),
    (
        new(image="left out", boot={"firmware": "direct"}),
        *(422, "image_has_no_kernel", "boot.firmware", "kernel"),
    ),
    (
        new(cloud_init={"user_data": BROKEN_YAML}),
        *(422, "cloud_init_invalid", "cloud_init.user_data", "line 4"),
    ),
    (
        new(cloud_init={"network_config": ": ["}),
        *(422, "cloud_init_invalid", "cloud_init.network_config", "line 1"),
    ),
    (
        new(cloud_init={"ssh_keys": ["nonsense"]}),
        *(422, "cloud_init_invalid", "cloud_init.ssh_keys[0]", "nonsense"),
    ),
    (patch(), 422, "nothing_to_change", "body", "no field"),
    (patch(nope=1), 422, "invalid_field", "nope", "nope"),
    (patch(cpus=2), 409, "wrong_instance_state", WEB[4:], "is running, required: stopped"),
    (patch(memory_mib=0), 422, "invalid_field", "memory_mib", "0"),
    (patch(memory_mib=16777216), 409, "memory_too_large", "memory_mib", "16 TiB"),
    (("POST", f"{WEB}/rename", {"name": "idle"}), 409, "instance_exists", "name", "'idle'"),
    (("POST", f"{WEB}/rename", {"name": "web"}), 409, "instance_exists", "name", "'web'"),
    (("POST", f"{WEB}/rename", {"name": "W W"}), 422, "invalid_name", "name", "'W W'"),
    (("DELETE", f"{VMS}/kept", None), 409, "instance_protected", None, "protected"),
    (("DELETE", f"{VMS}/kept?force=true", None), 409, "instance_protected", None, "protected"),
    (("DELETE", WEB, None), 409, "wrong_instance_state", WEB[4:], "required: stopped or suspended"),
    (("DELETE", f"{VMS}/wob", None), 404, "instance_not_found", "instances/wob", "'wob'"),
    (("POST", f"{WEB}/shutdown", {"timeout_s": -1}), 422, "invalid_field", "timeout_s", "-1"),
    (("POST", f"{WEB}/exec", {"command": []}), 422, "invalid_field", "command", "length"),
    (("POST", f"{WEB}/exec", {"command": "ls"}), 422, "invalid_field", "command", "str"),
    (volume(size_bytes=0), 422, "invalid_field", "size_bytes", "0"),
    (volume(size_bytes=1 << 60), 409, "volume_too_large", "size_bytes", "1 TiB"),
    (volume(name="V!"), 422, "invalid_name", "name", "V!"),
    (volume(pool="nope"), 404, "pool_not_found", None, "'nope'"),
    (volume(size_bytes=None), 422, "volume_size_invalid", "size_bytes", "size"),
    (pool(driver="nope"), 422, "storage_driver_unknown", "driver", "'nope'"),
    (pool(path="rel"), 422, "invalid_pool_path", "path", "'rel'"),
    (pool(path="/etc/lodge"), 422, "invalid_pool_path", "path", "system"),
    (pool(name="default"), 409, "pool_exists", "pools/default", "exists"),
    (("DELETE", f"{POOLS}/default", None), 409, "pool_in_use", None, "volumes"),
    (("DELETE", f"{POOLS}/default/volumes/nope", None), 404, "volume_not_found", None, "'nope'"),
    (network(name="default"), 409, "network_exists", "networks/default", "exists"),
    (network(name="all"), 422, "invalid_name", "name", "reserved"),
    (network(ipv4="10.0.0.1/33"), 422, "invalid_prefix", "ipv4", "10.0.0.1/33"),
    (network(ipv4="banana"), 422, "invalid_prefix", "ipv4", "banana"),
    (network(mtu=10), 422, "invalid_field", "mtu", "10"),
    (("DELETE", f"{NETWORKS}/default", None), 409, "network_in_use", None, "instances/"),
    (("DELETE", "/v1/images/tiny", None), 409, "image_in_use", None, "instances/"),
    (("POST", "/v1/images/build", {"recipe": "nope"}), 404, "recipe_not_found", "recipe", "nope"),
    (("POST", "/v1/images", {"source": "ftp://x"}), 422, "image_source_invalid", "source", "ftp"),
    (("POST", "/v1/images", {"source": "/nope"}), 422, "image_source_invalid", "source", "/nope"),
    (("POST", "/v1/tasks/nope/cancel", None), 404, "task_not_found", "tasks/nope", "nope"),
]


def named(case: tuple[Any, ...]) -> str:
    (method, path, body), _, code, *_ = case
    return f"{method} {path} {code} {str(body)[-40:]}"


@pytest.mark.parametrize("case", WRONG, ids=named)
def test_a_wrong_request_is_refused_where_it_is_wrong(
    daemon: RealDaemon, case: tuple[tuple[Any, ...], int, str, str | None, str]
) -> None:
    (method, path, body), status, code, where, said = case
    before = everything(daemon)
    answer = daemon.ask(method, path, body)
    error = answer.error
    assert (answer.status, error["code"]) == (status, code)
    assert error.get("where") == where or where is None
    assert said in error["message"] + error.get("hint", "")
    assert answer.body["trace"]
    assert everything(daemon) == before


@pytest.mark.parametrize("body", [b"{nope", b"", b"\xff\xfe", b"[]", b'"web"', b"{}"])
def test_a_body_that_is_no_request_is_refused(daemon: RealDaemon, body: bytes) -> None:
    answer = daemon.ask("POST", VMS, raw=body)
    assert answer.status in (400, 422)
    assert answer.error["where"] in ("body", "name")


STATES = {"web": "running", "idle": "stopped", "frozen": "paused", "asleep": "suspended"}
ALLOWED = {
    "start": {"stopped", "suspended"},
    "shutdown": {"running"},
    "stop": {"running", "paused", "suspended"},
    "restart": {"running", "paused"},
    "reset": {"running", "paused"},
    "pause": {"running"},
    "resume": {"paused", "suspended"},
    "suspend": {"running", "paused"},
    "delete": {"stopped", "suspended"},
}


@pytest.mark.parametrize("verb", ALLOWED)
def test_a_verb_in_a_wrong_state_is_refused_with_the_state_it_needs(
    daemon: RealDaemon, verb: str
) -> None:
    before = everything(daemon)
    for name, state in STATES.items():
        if state in ALLOWED[verb]:
            continue
        path = f"{VMS}/{name}"
        answer = (
            daemon.ask("DELETE", path)
            if verb == "delete"
            else daemon.ask(
                "POST", f"{path}/{verb}", {} if verb in ("shutdown", "restart") else None
            )
        )
        assert (answer.status, answer.error["code"]) == (409, "wrong_instance_state")
        needed = " or ".join(sorted(ALLOWED[verb]))
        assert f"it is {state}, required: {needed}" in answer.error["message"]
        assert answer.error["hint"] == f"see its state with: lodge show {name}"
    assert everything(daemon) == before


def test_a_change_based_on_an_old_revision_is_refused(daemon: RealDaemon) -> None:
    old = daemon.ask("GET", IDLE).etag
    daemon.good("PATCH", IDLE, {"description": "newer"})
    before = everything(daemon)
    answer = daemon.ask("PATCH", IDLE, {"description": "mine"}, headers={"If-Match": old})
    assert (answer.status, answer.error["code"]) == (412, "changed_meanwhile")
    assert str(answer.error["details"]["revision"]) in daemon.ask("GET", IDLE).etag
    assert everything(daemon) == before
    new_etag = daemon.ask("GET", IDLE).etag
    taken = daemon.ask(
        "PATCH", f"{IDLE}?wait=30", {"description": "x"}, headers={"If-Match": new_etag}
    )
    assert taken.status == 200


def test_of_many_creates_of_one_name_exactly_one_wins(daemon: RealDaemon) -> None:
    body = {"name": "contested", "image": "tiny", "memory_mib": 64}
    before = everything(daemon)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: daemon.ask("POST", f"{VMS}?wait=30", body), range(8)))
    won = [answer for answer in answers if answer.status < 300]
    lost = [answer.error["code"] for answer in answers if answer.status >= 400]
    assert len(won) == 1, answers
    assert lost == ["instance_exists"] * 7
    assert len(daemon.good("GET", VOLUMES)["items"]) == len(before[VOLUMES]) + 1
    leases = daemon.good("GET", f"{NETWORKS}/default/leases")["items"]
    assert [lease["instance"] for lease in leases].count("contested") == 1
    daemon.good("DELETE", f"{VMS}/contested?force=true")
    assert {**everything(daemon), "tasks": 0} == {**before, "tasks": 0}


def test_of_two_renames_to_one_name_exactly_one_wins(daemon: RealDaemon) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda name: daemon.ask("POST", f"{VMS}/{name}/rename?wait=30", {"name": "sought"}),
                ("web", "frozen"),
            )
        )
    assert sorted(answer.status for answer in answers) == [200, 409]
    back = "web" if answers[0].status == 200 else "frozen"
    daemon.good("POST", f"{VMS}/sought/rename", {"name": back})
    assert daemon.states() == {**STATES, "kept": "stopped"}


def test_a_dry_run_refuses_the_same_and_makes_nothing(daemon: RealDaemon) -> None:
    before = everything(daemon)
    method, path, body = new(memory_mib=16777216)
    assert daemon.ask(method, f"{path}?dry_run=true", body).error["code"] == "memory_too_large"
    method, path, body = new()
    assert daemon.ask(method, f"{path}?dry_run=true", body).status in (200, 204)
    assert everything(daemon) == before
