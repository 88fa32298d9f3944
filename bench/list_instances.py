"""List 1,000 instances through the API on a unix socket: time per request and requests per second.

The server runs in a process of its own over fakes; one client connection asks as fast as it can.
Run: ``python bench/list_instances.py [COUNT] [REQUESTS]``
"""

import asyncio
import multiprocessing
import os
import socket
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "lab"))

REQUEST = b"GET /v1/instances HTTP/1.1\r\nHost: lodge\r\n\r\n"


def serve(count: int, path_of_socket: "multiprocessing.Queue[str]") -> None:
    """Serve until killed."""
    from api_lab import running_api, view  # noqa: PLC0415 -- only the server process needs it

    async def main() -> None:
        async with running_api() as lab:
            lab.instances.add(*(view(f"web{number:05d}", number) for number in range(count)))
            path_of_socket.put(str(lab.socket))
            await asyncio.Event().wait()

    asyncio.run(main())


def ask(connection: socket.socket) -> int:
    """Send one request and read its whole answer; returns the bytes of the body."""
    connection.sendall(REQUEST)
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    if b" 200 " not in head.splitlines()[0]:
        raise SystemExit(head.decode())
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    left = length - len(body)
    while left > 0:
        left -= len(connection.recv(1 << 20))
    return length


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    requests = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    queue: multiprocessing.Queue[str] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(count, queue), daemon=True)
    server.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(queue.get(timeout=30))
        size = ask(connection)
        times = []
        cpu = cpu_seconds(server.pid or 0)
        started = time.perf_counter()
        for _ in range(requests):
            begun = time.perf_counter()
            ask(connection)
            times.append((time.perf_counter() - begun) * 1000)
        wall = time.perf_counter() - started
        cpu = cpu_seconds(server.pid or 0) - cpu
    server.terminate()
    times.sort()
    print(
        f"{count} instances, {size} bytes, {requests} requests: {requests / wall:.0f}/s wall,"
        f" {requests / cpu:.0f}/s of one server core; p50 {statistics.median(times):.2f} ms,"
        f" p99 {times[int(len(times) * 0.99)]:.2f} ms, min {times[0]:.2f}, max {times[-1]:.2f}"
    )


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
