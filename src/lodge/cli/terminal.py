"""Connect this terminal to a guest's console: raw mode, and a key to leave."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.client.channel import AsyncChannel
from lodge.client.nonblocking import AsyncClient

__all__ = ["DETACH", "attach", "split_at_detach"]

DETACH = 0x1D
"""Ctrl-], the key that ``telnet`` and ``virsh console`` use."""


def split_at_detach(typed: bytes) -> tuple[bytes, bool]:
    r"""Return what was typed before the detach key, and whether that key was pressed.

    >>> split_at_detach(b"exit\x1d")
    (b'exit', True)
    """
    before, key, _after = typed.partition(bytes((DETACH,)))
    return before, bool(key)


def attach(client: AsyncClient, name: str) -> str:
    """Carry bytes between this terminal and a console until one side ends; say which.

    Raises:
        LodgeError: the console cannot be opened, or the connection broke.
    """
    return asyncio.run(_attach(client, name))


async def _attach(client: AsyncClient, name: str) -> str:
    async with client, client.instances.open_console(name) as channel:
        with _raw(sys.stdin.fileno()):
            reading = asyncio.create_task(_show(channel))
            typing = asyncio.create_task(_type(channel))
            done, pending = await asyncio.wait(
                {reading, typing}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            return next(iter(done)).result()


async def _show(channel: AsyncChannel) -> str:
    loop = asyncio.get_running_loop()
    async for piece in channel:
        await loop.run_in_executor(None, _write_all, piece)
    return "The instance closed its console."


def _write_all(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


async def _type(channel: AsyncChannel) -> str:
    """Send what is typed; a pipe that ends leaves the console open for the answers."""
    async for typed in _keys(sys.stdin.fileno()):
        before, is_leaving = split_at_detach(typed)
        if before:
            await channel.send(before)
        if is_leaving:
            return "Left the console; the instance goes on."
    await asyncio.Event().wait()
    return ""


class _keys:  # noqa: N801 (reads as a verb after "in")
    """Bytes of a descriptor as they come, without a thread that would hang at the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    def __aiter__(self) -> _keys:
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(self._descriptor, self._read)
        except PermissionError:  # epoll takes no regular files: those are there at once
            self._queue.put_nowait(os.read(self._descriptor, 1 << 20))
            self._queue.put_nowait(b"")
        return self

    async def __anext__(self) -> bytes:
        typed = await self._queue.get()
        if not typed:
            raise StopAsyncIteration
        return typed

    def _read(self) -> None:
        try:
            typed = os.read(self._descriptor, 4096)
        except OSError:
            typed = b""
        if not typed:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._queue.put_nowait(typed)


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    """Hand every key to the guest for the length of a block; always puts the terminal back."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
