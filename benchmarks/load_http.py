"""Posts webhooks as fast as they are answered, and says how fast that was.

    python benchmarks/load_http.py http://127.0.0.1:8080/phone/SECRET --requests 50000 --connections 64

Each request is one call's newCall with a call id of its own, over kept connections, one at a time on each. Raw
streams: an HTTP client library would be the bottleneck. Run it in a process beside the daemon; it prints one JSON
object: requests, seconds, per_second, p50_ms, p99_ms, max_ms, and how many answers had which status.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

ANSWER_TIMEOUT = 30.0  # s


def requests(host: str, target: str, count: int, prefix: str) -> Iterator[bytes]:
    """The octets of `count` requests."""
    for number in range(count):
        body = (
            f'{{"event":"newCall","direction":"in","from":"09{number % 10**8:08d}","to":"02-2345-6789",'
            f'"callId":"{prefix}-{number}","user":["201"]}}'
        ).encode()
        head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def connection(
    host: str, port: int, waiting: Iterator[bytes], taken: list[float], statuses: Counter[int]
) -> None:
    """One kept connection: sends what waits, one request after another's answer."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for request in waiting:
            began = time.perf_counter()
            writer.write(request)
            async with asyncio.timeout(ANSWER_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(length_of(head))
            taken.append(time.perf_counter() - began)
            statuses[int(head[9:12])] += 1
    finally:
        writer.close()


def length_of(head: bytes) -> int:
    """Content-Length of an answer; the daemon's answers all have one."""
    at = head.lower().index(b"\r\ncontent-length:") + 17
    return int(head[at : head.index(b"\r\n", at)])


async def load(url: str, count: int, connections: int, prefix: str) -> dict[str, object]:
    """Post `count` events over `connections` connections."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    waiting = requests(f"{host}:{port}", target, count, prefix)
    taken: list[float] = []
    statuses: Counter[int] = Counter()
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(connection(host, port, waiting, taken, statuses))
    seconds = time.perf_counter() - began
    taken.sort()
    return {
        "requests": len(taken),
        "seconds": round(seconds, 3),
        "per_second": round(len(taken) / seconds),
        "p50_ms": round(1000 * taken[len(taken) // 2], 2),
        "p99_ms": round(1000 * taken[len(taken) * 99 // 100], 2),
        "max_ms": round(1000 * taken[-1], 2),
        "statuses": {str(status): times for status, times in sorted(statuses.items())},
    }


def main() -> int:
    """Exit status 0 if every answer was 200."""
    options = argparse.ArgumentParser(description="Post call events to the telephony webhook, and time it.")
    options.add_argument("url", help="http://HOST:PORT/PATH/SECRET")
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--connections", type=int, default=64)
    options.add_argument("--prefix", default=f"load-{time.time_ns()}", help="start of every call id: new for each run")
    given = options.parse_args()
    found = asyncio.run(load(given.url, given.requests, given.connections, given.prefix))
    print(json.dumps(found))
    return 0 if set(found["statuses"]) == {"200"} else 1  # type: ignore[call-overload]


if __name__ == "__main__":
    sys.exit(main())
