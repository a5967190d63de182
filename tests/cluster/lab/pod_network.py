"""
A network namespace for one pod, with nothing in it but loopback, and ways in and out of it.

`python pod_network.py READY_FILE WAY...`, started in the namespace of the pod (`unshare --net`), with the host's as file
descriptor 3. Of the ways, `PORT>ADDRESS:PORT` leads out: what connects to the pod's loopback reaches an address of the
host; `PORT<ADDRESS:PORT` leads in: what connects to an address of the host reaches the pod's loopback.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
LOOPBACK = "127.0.0.1"
HOST = 3
LIBC = ctypes.CDLL(None, use_errno=True)

Address = tuple[str, int]


@contextlib.contextmanager
def within(namespace: int) -> Iterator[None]:
    """
    Goes to a network namespace and back.

    Sockets belong to the one that they were made in; others find the pod's by this process, which has to stay there.
    """
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        enter(namespace)
        yield
    finally:
        enter(here)
        os.close(here)


def enter(namespace: int) -> None:
    """Goes to a network namespace."""
    if LIBC.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def raise_loopback() -> None:
    """Sets the interface `lo` up."""
    with socket.socket() as any_socket:
        name = b"lo".ljust(16, b"\0")
        answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, name + bytes(16))
        flags = struct.unpack_from("h", answer, 16)[0] | IFF_UP
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, name + struct.pack("h", flags) + bytes(14))


def listen(namespace: int, address: Address) -> socket.socket:
    """A socket that listens in a namespace."""
    with within(namespace):
        made = socket.create_server(address)
    made.setblocking(False)
    return made


async def connect(namespace: int, address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection made from within a namespace."""
    with within(namespace):
        made = socket.socket()
    made.setblocking(False)
    await asyncio.get_running_loop().sock_connect(made, address)
    return await asyncio.open_connection(sock=made)


def hurry(writer: asyncio.StreamWriter) -> None:
    """Has small pieces sent at once, as HTTP/2 has many; asyncio does so for sockets that name TCP as their protocol only."""
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hands on what comes until it ends, in this direction."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


async def relay(listener: socket.socket, namespace: int, address: Address) -> None:
    """Takes connections from a listener to an address in another namespace."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await connect(namespace, address)
        except OSError:
            writer.transport.abort()  # nobody listens there: the caller is told as if there was no relay
            return
        for one in (writer, far_writer):
            hurry(one)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        for one in (writer, far_writer):
            one.close()

    await (await asyncio.start_server(carry, sock=listener)).serve_forever()


def opened(way: str, pod: int) -> Coroutine[Any, Any, None]:
    """Listens at the near end of a way and returns what carries to its far end."""
    inward = "<" in way
    inside, _, outside = way.partition("<" if inward else ">")
    host, _, port = outside.rpartition(":")
    here, there = (LOOPBACK, int(inside)), (host, int(port))
    if inward:
        return relay(listen(HOST, there), pod, here)
    return relay(listen(pod, here), HOST, there)


async def carry_all(relays: list[Coroutine[Any, Any, None]]) -> None:
    """Carries for ever."""
    await asyncio.gather(*relays)


def main(ready: Path, ways: list[str]) -> None:
    """Opens all ways, says so, and carries."""
    pod = os.open("/proc/self/ns/net", os.O_RDONLY)
    raise_loopback()
    relays = [opened(way, pod) for way in ways]
    ready.touch()
    asyncio.run(carry_all(relays))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
