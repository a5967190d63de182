"""
Clients of every kind at once, for as long as asked: ``python soak.py [--seconds N]``; in full 600 seconds.

Prints, every tenth of the time, memory and what became of good requests; at the end the figures, and exit code 1 if
a good request was refused, any request was answered with 5xx, or memory grew. Good clients keep their connection open and
ask what a scheduler asks; the others are slow, silent, malformed, or ask nonsense.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from server import QUESTION, serving

GOOD, SLOW, SILENT = 200, 50, 50
MALFORMED_PER_SECOND = 170
"""100,000 in ten minutes."""
THINK_SECONDS = 0.4
GROWTH = 1.05
"""Of the last tenth's memory over the third's: allocators and counters settle before that."""

HEAD = b"POST /scheduler/filter HTTP/1.1\r\nHost: x\r\n"


def posted(body: bytes) -> bytes:
    """A question with its length."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


MALFORMED = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    HEAD + b"A b: c\r\n\r\n",
    HEAD + b"Content-Length: -5\r\n\r\n",
    HEAD + b"Content-Length: 99999999999\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, what\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    HEAD + b"Content-Length: 1000\r\n\r\n{",  # and goes
    HEAD + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
    posted(b""),
    posted(b"{"),
    posted(b"[]"),
    posted(b'{"Pod": 3}'),
    posted(b'{"Pod": {"spec": {"containers": [{"resources": {"requests": {"cpu": "many"}}}]}}, "NodeNames": ["n"]}'),
    posted(b"[" * 50_000),
    posted(b"\xff\xfe" * 100),
    posted(QUESTION).replace(b"/scheduler/filter", b"/scheduler/nothing"),
    b"PUT /scheduler/filter HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    posted(QUESTION[:-20]).replace(b"/scheduler/filter", b"/scheduler/bind"),
    b"GET /api/v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
)


@dataclass
class Tally:
    """What has been seen."""

    good: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    malformed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One answer: its status and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def good(port: int, tally: Tally, expected: list[str], end: float) -> None:
    """Asks again and again over one connection, and wants the right answer each time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        asked = time.monotonic()
        try:
            writer.write(posted(QUESTION))
            status, body = await answer(reader)
            told = json.loads(body)
            if (status, told["Error"], told["NodeNames"]) != (200, "", expected):
                tally.refused[f"{status} {told['Error']}"] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            tally.refused[repr(error)] += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        tally.good += 1
        tally.longest = max(tally.longest, time.monotonic() - asked)
        await asyncio.sleep(random.uniform(0, 2 * THINK_SECONDS))
    writer.close()


async def slow(port: int, end: float, beginning: bytes) -> None:
    """Begins a request and goes on byte by byte, or not at all, until it is cut off; then anew."""
    while time.monotonic() < end:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(beginning)
            while time.monotonic() < end and not reader.at_eof():
                if beginning:
                    writer.write(b" ")
                    await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 1)
            writer.close()


async def malformed(port: int, tally: Tally, request: bytes) -> None:
    """Sends one request and reads what it is answered, for a moment."""
    tally.malformed += 1
    with contextlib.suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        with contextlib.suppress(OSError):
            writer.write_eof()
        head = await asyncio.wait_for(reader.read(4096), 10)
        tally.statuses[head.split(b" ")[1].decode() if head.startswith(b"HTTP/") else "closed"] += 1
        writer.close()


async def malformed_ones(port: int, tally: Tally, end: float) -> None:
    """Sends malformed requests at their rate."""
    begun = time.monotonic()
    requests = itertools.cycle(MALFORMED)
    running: set[asyncio.Task[None]] = set()
    while time.monotonic() < end:
        due = int((time.monotonic() - begun) * MALFORMED_PER_SECOND) - tally.malformed - len(running)
        for _ in range(max(0, due)):
            task = asyncio.create_task(malformed(port, tally, next(requests)))
            running.add(task)
            task.add_done_callback(running.discard)
        await asyncio.sleep(0.05)
    await asyncio.gather(*running)


def resident(pid: int) -> int:
    """KiB in memory of a process and all below it."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, KeyError, ValueError):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            if int(fields["Pid"]) == pid or is_below(int(fields["PPid"]), pid):
                total += int(fields.get("VmRSS", "0 kB").split()[0])
    return total


def is_below(pid: int, ancestor: int) -> bool:
    """Whether a process is another one, or was started by it or by one that was."""
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == ancestor


async def watch(pid: int, tally: Tally, seconds: float) -> None:
    """Prints how it goes, ten times."""
    for tenth in range(1, 11):
        await asyncio.sleep(seconds / 10)
        tally.memory.append(resident(pid))
        print(
            f"{tenth * seconds / 10:5.0f} s  {tally.memory[-1] // 1024:5} MiB  good {tally.good:7}  "
            f"refused {tally.refused.total():3}  malformed {tally.malformed:6}  longest {tally.longest * 1000:6.0f} ms",
            flush=True,
        )


async def soak(port: int, pid: int, seconds: float, expected: list[str]) -> Tally:
    """Runs all clients at once and returns what became of them."""
    tally = Tally()
    end = time.monotonic() + seconds
    await asyncio.gather(
        *(good(port, tally, expected, end) for _ in range(GOOD)),
        *(slow(port, end, HEAD + b"Content-Length: 5000\r\n\r\n{") for _ in range(SLOW)),
        *(slow(port, end, b"") for _ in range(SILENT)),
        malformed_ones(port, tally, end),
        watch(pid, tally, seconds),
    )
    return tally


def main() -> None:
    """Runs the extender and the clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    seconds = parser.parse_args().seconds
    names = json.loads(QUESTION)["NodeNames"]
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), {"log": {"level": "error"}}) as server:
        expected = [name for name in names if name != "nearly-full"]
        tally = asyncio.run(soak(server.port, server.process.pid, seconds, expected))
        faults = server.log.read_text().count("Traceback")
    five = {status: number for status, number in tally.statuses.items() if status.startswith("5")}
    growth = tally.memory[-1] / tally.memory[2]
    print(f"good requests    {tally.good}, refused {tally.refused.total()} {dict(tally.refused)}")
    print(
        f"malformed        {tally.malformed}, answered {dict(sorted(tally.statuses.items()))}, 5xx {sum(five.values())}"
    )
    print(f"memory           {tally.memory[2] // 1024} to {tally.memory[-1] // 1024} MiB ({growth:.3f})")
    print(f"tracebacks       {faults}")
    sys.exit(bool(tally.refused or five or faults or growth > GROWTH))


if __name__ == "__main__":
    main()
