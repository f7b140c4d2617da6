"""What workloads do on the wire, each in its own namespace (the thread's): real clients, and sockets where those are slow."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from concurrent.futures import Future
from typing import Any

WEB, ECHO = 8080, 9000
PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"
PATIENCE = 0.4
"""seconds that a client waits for somebody who may be gone"""


class Servers:
    """One loop, in a thread of its own, answers for all workloads: a web server and a UDP echo on each."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def open(self, addresses: list[str]) -> list[Any]:
        """Listen on the addresses, in the namespace of the thread that calls; what ``close`` takes."""
        opened: list[Any] = []
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            stream, datagrams = socket.socket(family, socket.SOCK_STREAM), socket.socket(family, socket.SOCK_DGRAM)
            for one, port in ((stream, WEB), (datagrams, ECHO)):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((address, port))
                one.setblocking(False)
            stream.listen(64)
            talking: set[asyncio.StreamWriter] = set()
            opened += [
                self._soon(asyncio.start_server(_Web(talking), sock=stream)),
                self._soon(self.loop.create_datagram_endpoint(_Echo, sock=datagrams))[0],
                talking,
            ]
        return opened

    def _soon(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(10)

    def close(self, opened: list[Any]) -> None:
        """Close what was opened and every connection of it."""

        async def end() -> None:
            for one in opened:
                if isinstance(one, set):
                    for writer in list(one):
                        writer.transport.abort()
                else:
                    one.close()

        self._soon(end())

    def stop(self) -> None:
        """End the loop, and whoever still talks."""

        async def end() -> None:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        self._soon(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()


class _Web:
    """One page for everybody who ends a line twice; a connection that asks for nothing stays."""

    def __init__(self, talking: set[asyncio.StreamWriter]) -> None:
        self.talking = talking

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.talking.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(PAGE)
            await writer.drain()
            writer.close()
        self.talking.discard(writer)


class _Echo(asyncio.DatagramProtocol):
    """Sends back what comes."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


def greets(gate: str) -> bool:
    """Whether the gate answers this namespace: asked until it does, for ten seconds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(0.04)
        for _ in range(250):
            with contextlib.suppress(OSError):
                end.sendto(b"here I am\n", (gate, ECHO))
                end.recv(100)
                return True
    return False


def fetch(address: str) -> None:
    """A page, by this thread's own socket."""
    with contextlib.suppress(OSError), socket.create_connection((address, WEB), PATIENCE) as end:
        end.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while end.recv(1000):
            pass


def udp(address: str) -> None:
    """A datagram there and back."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as end:
        end.settimeout(PATIENCE)
        end.sendto(b"count me\n", (address, ECHO))
        end.recv(100)


def hold(address: str) -> socket.socket | None:
    """A connection that stays open."""
    with contextlib.suppress(OSError):
        return socket.create_connection((address, WEB), PATIENCE)
    return None


def program(kind: str, address: str, gate: str, name: str) -> None:
    """curl, dig or ping, run to its end."""
    words = {
        "curl": ["curl", "-s", "-m", "1", "-o", "/dev/null", f"http://{address}:{WEB}/"],
        "dig": ["dig", "+tries=1", "+time=1", "+short", f"@{gate}", name],
        "ping": ["ping", "-n", "-q", "-c", "1", "-W", "1", address],
    }[kind]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=3, check=False)
