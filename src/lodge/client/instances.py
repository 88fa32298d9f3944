"""Endpoints of instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lodge.client.call import Call, Octets, change_call, path
from lodge.client.endpoint import (
    ChannelEndpoint,
    DownloadEndpoint,
    Endpoint,
    Group,
    ListEndpoint,
)

if TYPE_CHECKING:
    from lodge.model.answers import DryRunAnswer, FileWritten, Page
    from lodge.model.requests import (
        ExecRequest,
        ExecResult,
        InstanceChange,
        InstanceCreate,
        InstanceView,
        ShutdownRequest,
        TaskAnswer,
    )

__all__ = ["Instances", "if_match"]

D = TypeVar("D")


def if_match(revision: int | None) -> dict[str, str]:
    """Headers that let a change pass only at that revision (RFC 9110, section 13.1.1)."""
    return {} if revision is None else {"If-Match": f'"{revision}"'}


class Instances(Group[D]):
    """Instances: VMs and what else runs as one.

    Methods that answer a ``TaskAnswer`` return as soon as the task is accepted, or, with
    ``wait_s``, when it is finished or that many seconds are over. A task that failed while waited
    for raises its error.
    """

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[InstanceView]]:
        """List instances; ``where`` (a filter) and ``sort`` as the API takes them."""
        return Call("GET", path("instances"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def get(self, name: str) -> Call[InstanceView]:
        """Show one instance."""
        return Call("GET", path("instances", name))

    @Endpoint
    def create(self, request: InstanceCreate, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Create an instance and, unless ``starts`` is false, start it."""
        return change_call(
            "POST",
            path("instances"),
            wait_s=wait_s,
            body=request,
        )

    @Endpoint
    def check_create(self, request: InstanceCreate) -> Call[DryRunAnswer]:
        """Check a creation without doing anything."""
        return Call("POST", path("instances"), query={"dry_run": True}, body=request)

    @Endpoint
    def change(
        self,
        name: str,
        change: InstanceChange,
        *,
        revision: int | None = None,
        wait_s: float | None = None,
    ) -> Call[TaskAnswer]:
        """Change some fields, if the instance is still at that revision."""
        return change_call(
            "PATCH",
            path("instances", name),
            wait_s=wait_s,
            body=change,
            headers=if_match(revision),
        )

    @Endpoint
    def rename(
        self, name: str, new_name: str, *, revision: int | None = None, wait_s: float | None = None
    ) -> Call[TaskAnswer]:
        """Give an instance another name."""
        return change_call(
            "POST",
            path("instances", name, "rename"),
            wait_s=wait_s,
            body={"name": new_name},
            headers=if_match(revision),
        )

    @Endpoint
    def delete(
        self, name: str, *, is_forced: bool = False, wait_s: float | None = None
    ) -> Call[TaskAnswer]:
        """Delete an instance with its volumes; ``is_forced`` stops it first."""
        return change_call(
            "DELETE",
            path("instances", name),
            wait_s=wait_s,
            query={"force": is_forced or None},
        )

    @Endpoint
    def start(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Run a stopped instance, or bring a suspended one back."""
        return _verb(name, "start", wait_s)

    @Endpoint
    def stop(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Pull the plug."""
        return _verb(name, "stop", wait_s)

    @Endpoint
    def reset(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Press the reset button."""
        return _verb(name, "reset", wait_s)

    @Endpoint
    def pause(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Freeze the vCPUs; memory stays in RAM."""
        return _verb(name, "pause", wait_s)

    @Endpoint
    def resume(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Let a paused or suspended instance go on."""
        return _verb(name, "resume", wait_s)

    @Endpoint
    def suspend(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Write memory to disk and stop."""
        return _verb(name, "suspend", wait_s)

    @Endpoint
    def shutdown(
        self, name: str, request: ShutdownRequest | None = None, *, wait_s: float | None = None
    ) -> Call[TaskAnswer]:
        """Ask the guest to end, within a time limit."""
        return _verb(name, "shutdown", wait_s, request or {})

    @Endpoint
    def restart(
        self, name: str, request: ShutdownRequest | None = None, *, wait_s: float | None = None
    ) -> Call[TaskAnswer]:
        """Shut down, then start."""
        return _verb(name, "restart", wait_s, request or {})

    @Endpoint
    def execute(self, name: str, request: ExecRequest) -> Call[ExecResult]:
        """Run a command in the guest and return its outputs when it has ended."""
        return Call(
            "POST", path("instances", name, "exec"), body=request, timeout_s=request.timeout_s
        )

    @ChannelEndpoint
    def open_exec(self, name: str) -> Call[bytes]:
        """Run a command in the guest with its streams connected; see ``exec_frames``."""
        return Call("GET", path("instances", name, "exec"))

    @ChannelEndpoint
    def open_console(self, name: str) -> Call[bytes]:
        """Connect to the serial console."""
        return Call("GET", path("instances", name, "console"))

    @ChannelEndpoint
    def open_vnc(self, name: str) -> Call[bytes]:
        """Connect to the screen: the VNC protocol (RFC 6143) within binary messages."""
        return Call("GET", path("instances", name, "vnc"))

    @Endpoint
    def screenshot(self, name: str) -> Call[bytes]:
        """Return a PNG picture of the screen."""
        return Call("GET", path("instances", name, "screenshot"), headers={"Accept": "image/png"})

    @DownloadEndpoint
    def log(self, name: str, log: str = "serial", *, tail_bytes: int | None = None) -> Call[bytes]:
        """Hand out a log (``serial``, ``qemu``), or its end only."""
        return Call(
            "GET",
            path("instances", name, "logs", log),
            query={"tail": tail_bytes},
            headers={"Accept": "*/*"},
        )

    @DownloadEndpoint
    def read_file(self, name: str, file: str) -> Call[bytes]:
        """Hand out a file of the guest."""
        return Call(
            "GET", path("instances", name, "files"), query={"path": file}, headers={"Accept": "*/*"}
        )

    @Endpoint
    def write_file(
        self, name: str, file: str, data: Octets, *, mode: int | None = None
    ) -> Call[FileWritten]:
        """Write a file in the guest; ``mode`` are its permission bits."""
        octal = None if mode is None else f"{mode:04o}"
        return Call(
            "PUT",
            path("instances", name, "files"),
            query={"path": file, "mode": octal},
            octets=data,
            timeout_s=300.0,
        )


def _verb(
    name: str, verb: str, wait_s: float | None, body: object | None = None
) -> Call[TaskAnswer]:
    return change_call(
        "POST",
        path("instances", name, verb),
        wait_s=wait_s,
        body=body,
    )
