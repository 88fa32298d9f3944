"""Network namespaces: make, enter for a moment, remove.

Namespaces are kept by name under ``/run/netns`` exactly as ip-netns(8) does it, so that
``ip netns exec`` finds them. Entering happens in a thread that ends afterwards, because setns(2)
changes the calling thread only and a thread in another namespace must never be used again.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from lodge.system.errors import KernelRefusedError
from lodge.system.threads import in_own_thread

__all__ = [
    "NAMESPACES",
    "call_in",
    "create_namespace",
    "delete_namespace",
    "is_namespace",
    "namespace_path",
]

NAMESPACES: Final = Path("/run/netns")
"""Where ip-netns(8) keeps namespaces by name."""

_CLONE_NEWNET = 0x40000000  # sched.h
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000  # sys/mount.h
_MNT_DETACH = 2
_T = TypeVar("_T")
_libc = ctypes.CDLL(None, use_errno=True)


def namespace_path(name: str) -> Path:
    """Return where the namespace of this name is kept, whether it exists or not."""
    return NAMESPACES / name


def is_namespace(name: str) -> bool:
    """Whether a network namespace of this name exists (a bare file left by a crash is none)."""
    path = namespace_path(name)
    try:
        # A kept namespace is a mount of nsfs over the file, hence on another device.
        return path.stat().st_dev != NAMESPACES.stat().st_dev
    except FileNotFoundError:
        return False


def call_in(namespace: Path | None, function: Callable[[], _T]) -> _T:
    """Run a short blocking function inside a network namespace (null: where we are).

    Everything the function opens or starts belongs to that namespace; ``/proc/sys/net`` is the
    namespace's own inside it. Never call it on the event loop's thread for long work.

    Raises:
        KernelRefusedError: the namespace is not there or may not be entered.
    """
    if namespace is None:
        return function()

    def enter_and_call() -> _T:
        handle = _open_namespace(namespace)
        try:
            _check(_libc.setns(handle, _CLONE_NEWNET), f"enter the namespace {namespace}")
        finally:
            os.close(handle)
        return function()

    return in_own_thread(enter_and_call)


def create_namespace(name: str) -> bool:
    """Make a namespace with its loopback down; false when it existed already.

    Raises:
        KernelRefusedError: no permission, or no room for another namespace.
    """
    if is_namespace(name):
        return False
    _prepare_folder()
    path = namespace_path(name)
    path.touch(mode=0o444)

    def unshare_and_keep() -> None:
        _check(_libc.unshare(_CLONE_NEWNET), "make a network namespace")
        own = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        _mount(own, path, _MS_BIND)

    try:
        in_own_thread(unshare_and_keep)
    except KernelRefusedError:
        path.unlink(missing_ok=True)
        raise
    return True


def delete_namespace(name: str) -> None:
    """Let go of a namespace and remove its name; nothing happens when it is not there.

    The kernel ends it when the last process and descriptor in it are gone.
    """
    path = namespace_path(name)
    while is_namespace(name):
        _check(_libc.umount2(os.fsencode(path), _MNT_DETACH), f"let go of the namespace {name}")
    path.unlink(missing_ok=True)


def _prepare_folder() -> None:
    """Make the folder a shared mount, so that namespaces made later are seen by all holders.

    Without it, a mount namespace copied meanwhile would pin every namespace of that moment.
    """
    NAMESPACES.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        _mount("", NAMESPACES, _MS_SHARED | _MS_REC)
    except KernelRefusedError as refused:
        if refused.details.get("errno") != errno.EINVAL:  # EINVAL: it is no mount point yet
            raise
        _mount(str(NAMESPACES), NAMESPACES, _MS_BIND | _MS_REC)
        _mount("", NAMESPACES, _MS_SHARED | _MS_REC)


def _mount(source: str, target: Path, flags: int) -> None:
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None
    )
    _check(result, f"mount {target}")


def _open_namespace(namespace: Path) -> int:
    try:
        return os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelRefusedError(
            f"cannot open the namespace {namespace}: {error.strerror}",
            where=str(namespace),
            errno=error.errno,
        ) from error


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise KernelRefusedError(f"cannot {what}: {os.strerror(number)}", errno=number)
