"""Load for the web chat: many pages that write as fast as they are answered; prints durable messages/s and latencies.

Run it as a process of its own against a listening daemon:

    python benchmarks/load_chat.py http://127.0.0.1:8080/chat --sockets 400 --seconds 10
    python benchmarks/load_chat.py http://127.0.0.1:8080/chat --sockets 5000 --idle --pid PID

Every page waits for the `ack` of one line before it writes the next, so the figure counts lines on the disk. The chat
allows a visitor 5 messages a second by default: set `messages_per_second` high for this, or open enough sockets.
With --idle the pages only say hello, and the growth of the daemon's resident memory is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

import aiohttp
import orjson

TEXT = "您好，請問這期營業稅的申報截止日是什麼時候？發票還沒有收齊。"


class Tally:
    """What the pages have seen."""

    def __init__(self) -> None:
        self.latencies: list[float] = []  # seconds
        self.put_off = 0  # slow_down and busy


async def connect(http: aiohttp.ClientSession, url: str, origin: str) -> aiohttp.ClientWebSocketResponse:
    """Open a page's socket and wait for its welcome."""
    ws = await http.ws_connect(f"{url}/ws", headers={"Origin": origin}, autoping=True, max_msg_size=0)
    await ws.send_str('{"type":"hello"}')
    answer = orjson.loads((await ws.receive()).data)
    if answer["type"] != "welcome":
        raise SystemExit(f"no welcome: {answer}")
    return ws


async def write(ws: aiohttp.ClientWebSocketResponse, until: float, tally: Tally) -> None:
    """Write line after line until the time is up."""
    number = 0
    while time.perf_counter() < until:
        number += 1
        frame = orjson.dumps({"type": "msg", "id": f"load-{number:08}", "text": TEXT}).decode()
        while not await acknowledged(ws, frame, tally):
            tally.put_off += 1


async def acknowledged(ws: aiohttp.ClientWebSocketResponse, frame: str, tally: Tally) -> bool:
    """Send a line and wait for its receipt, showing what the desk says meanwhile; False if it was put off."""
    sent_at = time.perf_counter()
    await ws.send_str(frame)
    while True:
        heard = await ws.receive()
        if heard.type is not aiohttp.WSMsgType.TEXT:
            raise SystemExit(f"the socket was closed: {ws.close_code} {heard.extra}")
        answer = orjson.loads(heard.data)
        if answer["type"] == "ack":
            tally.latencies.append(time.perf_counter() - sent_at)
            return True
        if answer["type"] == "line":
            await ws.send_str(orjson.dumps({"type": "got", "ids": [answer["id"]]}).decode())
        elif "retry_ms" in answer:
            await asyncio.sleep(answer["retry_ms"] / 1000)
            return False


def resident(pid: int) -> int:
    """Resident memory of a process in octets."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


async def run(args: argparse.Namespace) -> dict[str, object]:
    origin = args.origin or "/".join(args.url.split("/")[:3])
    before = resident(args.pid) if args.pid else 0
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        sockets: list[aiohttp.ClientWebSocketResponse] = []
        while len(sockets) < args.sockets:
            batch = min(100, args.sockets - len(sockets))
            sockets += await asyncio.gather(*(connect(http, args.url, origin) for _ in range(batch)))
        figures: dict[str, object] = {"sockets": len(sockets)}
        if args.idle:
            await asyncio.sleep(1)
            if args.pid:
                figures["kib_per_socket"] = round((resident(args.pid) - before) / len(sockets) / 1024, 1)
        else:
            tally = Tally()
            start = time.perf_counter()
            await asyncio.gather(*(write(ws, start + args.seconds, tally) for ws in sockets))
            took = time.perf_counter() - start
            latencies = sorted(tally.latencies)
            figures |= {
                "messages": len(latencies),
                "messages_per_s": round(len(latencies) / took),
                "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
                "p99_ms": round(latencies[len(latencies) * 99 // 100] * 1000, 1),
                "put_off": tally.put_off,
            }
        await asyncio.gather(*(ws.close() for ws in sockets))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="the chat's address, for example http://127.0.0.1:8080/chat")
    parser.add_argument("--origin", help="the Origin to send (default: that of the address)")
    parser.add_argument("--sockets", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--idle", action="store_true", help="only open the sockets")
    parser.add_argument("--pid", type=int, default=0, help="whose resident memory to watch")
    args = parser.parse_args()
    print(json.dumps(asyncio.run(run(args))))


if __name__ == "__main__":
    main()
