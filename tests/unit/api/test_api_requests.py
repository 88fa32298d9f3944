"""Requests against a running API: statuses, conditions, waiting, repeating, auditing."""

import asyncio
import io
import json
from typing import Any

import pytest
from api_lab import Lab, running_api, view

from lodge.base.errors import LimitError
from lodge.model.task import TaskState

BIG = 5 * 1024 * 1024
MALFORMED: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/", {}, 400, "malformed_path"),
    ("GET", "/v1/", {}, 400, "malformed_path"),
    ("GET", "/v2/instances", {}, 404, "route_not_found"),
    ("GET", "/v1/instances/%00", {}, 400, "malformed_path"),
    ("GET", "/v1/instances/%C0%AF", {}, 400, "malformed_path"),
    ("PUT", "/v1/instances", {}, 405, "method_not_allowed"),
    ("PROPFIND", "/v1/instances", {}, 405, "method_not_allowed"),
    ("GET", "/v1/instances?xlimit=1", {}, 400, "invalid_query"),
    ("GET", "/v1/instances?filter=x=1", {}, 400, "invalid_filter"),
    ("GET", "/v1/instances?sort=x", {}, 400, "invalid_sort"),
    ("GET", "/v1/instances?cursor=x", {}, 400, "invalid_cursor"),
    ("POST", "/v1/instances", {"data": b"{}"}, 415, "wrong_media_type"),
    ("POST", "/v1/instances", {"json": {}}, 422, "invalid_field"),
    ("POST", "/v1/instances", {"json": {"name": "Web"}}, 422, "invalid_name"),
    ("POST", "/v1/instances/web1/start", {"json": {}}, 415, "wrong_media_type"),
    ("GET", "/v1/instances", {"json": {}}, 415, "wrong_media_type"),
    ("GET", "/v1/instances/web1/console", {}, 426, "websocket_required"),
    ("GET", "/v1/instances/nope", {}, 404, "lab_missing"),
    ("GET", "/v1/instances/web1/logs/nope", {}, 404, "log_not_found"),
    ("GET", "/v1/instances/web1/files?path=etc", {}, 400, "invalid_query"),
    ("GET", "/v1/instances/web1/files?path=/nope", {}, 404, "lab_missing"),
    ("PATCH", "/v1/config", {"json": {"settings": {"x": 1}}}, 422, "lab_bad_setting"),
    ("DELETE", "/v1/profiles/default", {}, 409, "profile_protected"),
]


def test_what_is_malformed_gets_a_status_and_a_code() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            for method, path, options, status, code in MALFORMED:
                found, body = await lab.ask(method, path, **options)
                assert (found, body["error"]["code"]) == (status, code), (method, path)
                assert body["trace"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{" * 10, "application/json", 400, "malformed_body"),
        (b'{"name":"\xff"}', "application/json", 400, "malformed_body"),
        (b'{"name":"a"}', "application/json; charset=latin-1", 415, "wrong_media_type"),
        (b'{"name":"a"}', "text/plain", 415, "wrong_media_type"),
        (b'{"name":"' + b"a" * BIG + b'"}', "application/json", 413, "body_too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(
    body: bytes, kind: str, status: int, code: str
) -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            found, answer = await lab.ask(
                "POST", "/v1/instances", data=io.BytesIO(body), headers={"Content-Type": kind}
            )
            assert (found, answer["error"]["code"]) == (status, code)

    asyncio.run(scenario())


def test_a_body_that_grows_beyond_the_limit_in_chunks_is_refused() -> None:
    async def scenario() -> None:
        async def chunks() -> Any:
            for _ in range(100):
                yield b"x" * 65536

        async with running_api() as lab:
            headers = {"Content-Type": "application/json"}
            found, answer = await lab.ask("POST", "/v1/images", data=chunks(), headers=headers)
            assert (found, answer["error"]["code"]) == (413, "body_too_large")

    asyncio.run(scenario())


def test_a_compressed_body_is_refused_before_it_is_unpacked() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            found, answer = await lab.ask("POST", "/v1/images", data=b"\x1f\x8b", headers=headers)
            assert (found, answer["error"]["where"]) == (415, "Content-Encoding")

    asyncio.run(scenario())


def test_a_list_is_filtered_sorted_and_paged() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(*(view(f"web{number}", number) for number in range(9)))
            path = "/v1/instances?filter=state=running&sort=-created_at&limit=3"
            _, first = await lab.ask("GET", path)
            assert [item["name"] for item in first["items"]] == ["web7", "web5", "web3"]
            assert first["total"] == 4
            _, last = await lab.ask("GET", f"{path}&cursor={first['next']}")
            assert [item["name"] for item in last["items"]] == ["web1"]
            assert last["next"] is None

    asyncio.run(scenario())


def test_a_list_shows_a_change_at_once() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            await lab.ask("GET", "/v1/instances")
            lab.instances.add(view("web1", 1, image_name="debian-12"))
            _, page = await lab.ask("GET", "/v1/instances")
            assert page["items"][0]["image_name"] == "debian-12"

    asyncio.run(scenario())


async def tag_of(lab: Lab, path: str) -> str:
    async with lab.session.get(f"http://lodge{path}") as answer:
        return answer.headers["ETag"]


def test_a_representation_that_is_held_already_is_not_sent_again() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            tag = await tag_of(lab, "/v1/instances/web1")
            held = {"If-None-Match": f'"x", W/{tag}'}
            assert (await lab.ask("GET", "/v1/instances/web1", headers=held)) == (304, None)
            lab.instances.add(view("web1", 1, image_name="new"))
            assert (await lab.ask("GET", "/v1/instances/web1", headers=held))[0] == 200

    asyncio.run(scenario())


def test_a_change_of_something_changed_meanwhile_is_refused_with_its_revision() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            tag = await tag_of(lab, "/v1/instances/web1")
            change = {"headers": {"If-Match": tag}, "json": {"cpus": 2}}
            assert (await lab.ask("PATCH", "/v1/instances/web1", **change))[0] == 200
            status, body = await lab.ask("PATCH", "/v1/instances/web1", **change)
            assert (status, body["error"]["code"]) == (412, "changed_meanwhile")
            assert body["error"]["details"]["revision"] == 3

    asyncio.run(scenario())


def test_profiles_keep_the_condition_atomically() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            tag = await tag_of(lab, "/v1/profiles/default")
            change = {"headers": {"If-Match": tag}, "json": {"cpus": 2}}
            assert (await lab.ask("PUT", "/v1/profiles/default", **change))[0] == 200
            assert (await lab.ask("PUT", "/v1/profiles/default", **change))[0] == 412

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("tag", "path", "code"),
    [
        ('"1"', "/v1/instances/web1/stop", "if_match_not_supported"),
        ('"abc"', "/v1/instances/web1/rename", "malformed_request"),
        ('"1", "2"', "/v1/instances/web1/rename", "malformed_request"),
    ],
)
def test_a_condition_that_cannot_be_kept_is_refused(tag: str, path: str, code: str) -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            options: dict[str, Any] = {"headers": {"If-Match": tag}}
            if path.endswith("rename"):
                options["json"] = {"name": "web2"}
            status, body = await lab.ask("POST", path, **options)
            assert (status, body["error"]["code"]) == (400, code)

    asyncio.run(scenario())


def test_a_task_is_accepted_and_can_be_waited_for() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            lab.tasks.ends_at_once = False
            async with lab.session.post("http://lodge/v1/instances/web1/start") as answer:
                assert answer.status == 202
                place = answer.headers["Location"]
                assert (await answer.json())["task"]["state"] == "running"
            waiting = asyncio.create_task(lab.ask("GET", f"{place}?wait=30"))
            await asyncio.sleep(0.01)
            lab.tasks.end(place.rpartition("/")[2], TaskState.DONE)
            assert (await waiting)[1]["state"] == "done"

    asyncio.run(scenario())


def test_a_failed_task_that_was_waited_for_answers_with_its_own_error() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            lab.tasks.ends_at_once = False
            waiting = asyncio.create_task(lab.ask("POST", "/v1/instances/web1/start?wait=30"))
            while not lab.tasks.known:
                await asyncio.sleep(0.001)
            error = LimitError("no room", needed_bytes=5).as_dict()
            lab.tasks.end("t000001", TaskState.FAILED, error)
            status, body = await waiting
            assert (status, body["error"]) == (409, error)
            assert body["task"]["id"] == "t000001"

    asyncio.run(scenario())


def test_a_cancelled_task_that_was_waited_for_is_a_conflict() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            lab.tasks.ends_at_once = False
            waiting = asyncio.create_task(lab.ask("POST", "/v1/instances/web1/start?wait=30"))
            while not lab.tasks.known:
                await asyncio.sleep(0.001)
            await lab.ask("POST", "/v1/tasks/t000001/cancel")
            assert (await waiting)[1]["error"]["code"] == "task_cancelled"

    asyncio.run(scenario())


def test_a_wait_that_is_over_answers_with_the_task_as_it_is() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            lab.tasks.ends_at_once = False
            status, body = await lab.ask("POST", "/v1/instances/web1/start?wait=0.02")
            assert (status, body["task"]["state"]) == (202, "running")

    asyncio.run(scenario())


def test_a_dry_run_changes_nothing_and_says_so() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            answer = await lab.ask("POST", "/v1/instances?dry_run", json={"name": "web1"})
            assert answer == (200, {"is_dry_run": True, "action": "instances.create"})
            assert lab.instances.known == {}
            status, _ = await lab.ask("POST", "/v1/instances?dry_run=true", json={"name": "Web"})
            assert status == 422

    asyncio.run(scenario())


def test_the_same_key_starts_one_task_only() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            ask = {"json": {"name": "web1"}, "headers": {"Idempotency-Key": "k-1"}}
            answers = await asyncio.gather(
                *(lab.ask("POST", "/v1/instances", **ask) for _ in range(5))
            )
            assert {body["task"]["id"] for _, body in answers} == {"t000001"}
            other = {**ask, "json": {"name": "web2"}}
            status, body = await lab.ask("POST", "/v1/instances", **other)
            assert (status, body["error"]["code"]) == (409, "idempotency_key_reused")
            for key, path in (("a:b", "/v1/instances"), ("k", "/v1/tokens")):
                status, _ = await lab.ask(
                    "POST", path, json={"name": "t"}, headers={"Idempotency-Key": key}
                )
                assert status == 400

    asyncio.run(scenario())


def test_every_change_is_audited_without_its_secrets() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            headers = {"Lodge-Reason": "ticket 7"}
            user_data = {"cloud_init": {"user_data": "password: hunter2"}}
            await lab.ask(
                "POST", "/v1/instances", json={"name": "db", **user_data}, headers=headers
            )
            await lab.ask("POST", "/v1/instances", json={"name": "db"})
            await lab.ask("POST", "/v1/tokens", json={"name": "ci"})
            await lab.ask("GET", "/v1/instances")
            records = lab.audit.list()
            assert [(one.action, one.target, one.result, one.task) for one in records] == [
                ("instances.create", "instances/db", "accepted", "t000001"),
                ("instances.create", "instances/db", "lab_taken", None),
                ("tokens.create", "tokens/ci", "done", None),
            ]
            assert records[0].actor.name == "root"
            assert records[0].actor.reasons == ("ticket 7",)
            assert "hunter2" not in json.dumps([str(one) for one in records])
            assert "sha256:" in records[0].params["body"]["cloud_init"]["user_data"]
            _, page = await lab.ask("GET", "/v1/audit?filter=result=lab_taken")
            assert page["total"] == 1

    asyncio.run(scenario())


def test_every_answer_tells_browsers_to_keep_their_hands_off() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            for path in ("/v1", "/v1/instances", "/nope"):
                async with lab.session.get(f"http://lodge{path}") as answer:
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
                    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                    assert answer.headers["Server"] == "lodge"
                    assert answer.headers["Lodge-Trace"]

    asyncio.run(scenario())


def test_a_trace_given_by_the_caller_is_kept() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            headers = {"Lodge-Trace": "0123456789abcdef"}
            _, body = await lab.ask("GET", "/v1/nope", headers=headers)
            assert body["trace"] == "0123456789abcdef"

    asyncio.run(scenario())


def test_head_answers_without_a_body() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            assert await lab.ask("HEAD", "/v1/instances") == (200, None)

    asyncio.run(scenario())


def test_files_go_in_and_out_of_guests_and_images_in_and_out_of_the_host() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            octets = {"Content-Type": "application/octet-stream"}
            path = "/v1/instances/web1/files?path=/tmp/x"
            status, body = await lab.ask("PUT", path, data=b"\0\xff" * 9, headers=octets)
            assert (status, body["written_bytes"]) == (200, 18)
            async with lab.session.get(f"http://lodge{path}") as answer:
                assert await answer.read() == b"\0\xff" * 9
            upload = "/v1/images/upload?alias=x&format=raw"
            status, body = await lab.ask(
                "POST", upload, data=io.BytesIO(bytes(3_000_000)), headers=octets
            )
            assert (status, lab.images.received) == (200, 3_000_000)
            part = {"Range": "bytes=0-3"}
            async with lab.session.get("http://lodge/v1/images/tiny/file", headers=part) as answer:
                assert (answer.status, await answer.read()) == (206, b"QFI\xfb")

    asyncio.run(scenario())


def test_the_end_of_a_log_is_read_over_its_files() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            (lab.folder / "serial.log.1").write_bytes(b"old " * 10)
            (lab.folder / "serial.log").write_bytes(b"new\xff")
            path = "http://lodge/v1/instances/web1/logs/serial?tail=8"
            async with lab.session.get(path) as answer:
                assert await answer.text() == "old new\ufffd"

    asyncio.run(scenario())


def test_a_link_in_place_of_a_log_is_not_followed() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            lab.instances.add(view("web1", 1))
            (lab.folder / "serial.log").symlink_to("/etc/passwd")
            status, body = await lab.ask("GET", "/v1/instances/web1/logs/serial")
            assert (status, body["error"]["code"]) == (503, "untrusted_file")

    asyncio.run(scenario())


def test_a_bug_answers_500_with_a_trace_and_no_words_of_its_own() -> None:
    async def scenario() -> None:
        async with running_api() as lab:

            def broken() -> Any:
                raise ZeroDivisionError("secret words")

            lab.instances.list = broken  # type: ignore[method-assign]
            status, body = await lab.ask("GET", "/v1/instances")
            assert (status, body["error"]["code"]) == (500, "internal")
            assert "secret words" not in json.dumps(body)
            assert (await lab.ask("GET", "/v1"))[0] == 200

    asyncio.run(scenario())


def test_settings_are_changed_and_brought_back() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            _, body = await lab.ask(
                "PATCH", "/v1/config", json={"settings": {"log_level": "debug"}}
            )
            assert body[0]["value"] == "debug"
            _, body = await lab.ask("PATCH", "/v1/config", json={"settings": {"log_level": None}})
            assert body[0]["value"] == "info"

    asyncio.run(scenario())
