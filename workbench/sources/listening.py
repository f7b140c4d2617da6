"""A UDP port that exporters send their telemetry to: where it is, and what the kernel dropped of it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import re
import socket
import struct
from dataclasses import dataclass
from typing import Final

from workbench.errors import ExternalError, PortError, UsageError
from workbench.records.visible import visible

#: Ports that exporters send to unless told otherwise: IANA's, and Cisco's.
PORTS: Final = {"ipfix": 4739, "netflow": 2055, "sflow": 6343}
#: What is asked for, and had where the process may (CAP_NET_ADMIN); the kernel counts twice the bytes.
BUFFER: Final = 64 << 20
#: linux/sock_diag.h: SO_MEMINFO, and what stands where in it; asm-generic/socket.h.
_MEMINFO: Final = 55
_RMEM_ALLOC, _RCVBUF, _DROPS = 0, 1, 8
_WORDS: Final = 9
_RCVBUFFORCE: Final = 33
TIMESTAMPS: Final = 35
_DISCARD: Final = 9
_PLACE: Final = re.compile(r"(ipfix|netflow|sflow)://(?:\[([^\]/]*)\]|([^:/\[\]]*))(?::([^/]*))?/?")


@dataclass(frozen=True, slots=True)
class Place:
    """What to listen for, and where. host: an address, '' for every one of this machine."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def is_place(source: str) -> bool:
    """Whether it means to name a collector, rightly or not."""
    return source.partition("://")[0] in PORTS and "://" in source


def read_place(source: str) -> Place:
    """The place; UsageError where it is none."""
    found = _PLACE.fullmatch(source)
    if found is None:
        raise _no_place(source, "it is not SCHEME://ADDRESS:PORT")
    scheme, six, four, port = found.groups()
    host = six if six is not None else four
    number = PORTS[scheme] if port is None else int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    if not 0 <= number <= 65535:
        raise _no_place(source, "the port is none")
    if host:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise _no_place(source, "what stands before the port is no address of this machine") from None
        if (address.version == 6) != (six is not None):
            raise _no_place(source, "IPv6 addresses stand in brackets, others do not")
    return Place(scheme, host, number)


def _no_place(source: str, why: str) -> UsageError:
    return UsageError(
        f"{visible(source)!r} is no place to listen at: {why}",
        "Write such as ipfix://:4739, netflow://192.0.2.1:2055 or sflow://[2001:db8::1]:6343.",
    )


class Listener:
    """The socket. It outlives whoever reads it: what arrives meanwhile waits in the kernel."""

    def __init__(self, place: Place) -> None:
        """Bind. PortError where the port is taken, not allowed, or not of an address of this machine."""
        self._socket = _bound(place)
        self.place = Place(place.scheme, place.host, int(self._socket.getsockname()[1]))
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        with contextlib.suppress(OSError):  # beyond net.core.rmem_max: for those who may
            self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, BUFFER)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        self._socket.setblocking(False)

    @property
    def fd(self) -> int:
        """Its descriptor, for whoever reads."""
        return self._socket.fileno()

    @property
    def buffer(self) -> int:
        """Bytes that may wait in the kernel, its own book-keeping included."""
        found = self._memory()
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) if found is None else found[_RCVBUF]

    @property
    def dropped(self) -> int | None:
        """Datagrams for which there was no room, since it was bound; None where the kernel does not say."""
        found = self._memory()
        return None if found is None else found[_DROPS]

    @property
    def waiting(self) -> int:
        """Bytes that wait in the kernel, its own book-keeping included; 0 where it does not say."""
        found = self._memory()
        return 0 if found is None else found[_RMEM_ALLOC]

    def _memory(self) -> tuple[int, ...] | None:
        try:
            found = self._socket.getsockopt(socket.SOL_SOCKET, _MEMINFO, 4 * _WORDS)
        except OSError:
            return None
        return struct.unpack(f"{_WORDS}I", found) if len(found) == 4 * _WORDS else None

    def take_no_more(self) -> None:
        """What has arrived can still be read; what comes now is turned away, for every process that has the socket."""
        host = self._socket.getsockname()[0]
        nobody = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(host, host)  # noqa: S104  a name of "every address", not bound to
        with contextlib.suppress(OSError):  # a connected UDP socket hears its peer alone
            self._socket.connect((nobody, _DISCARD))

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


def _bound(place: Place) -> socket.socket:
    for host in _hosts(place.host):
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            found = socket.socket(kind, socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno == errno.EAFNOSUPPORT and host == "::" != place.host:
                continue  # a machine without IPv6
            raise ExternalError(f"no socket can be had: {error.strerror}", "Check the limits of this process.") from error
        try:
            if kind == socket.AF_INET6:
                found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(place.host)))
            found.bind((host, place.port))
        except OSError as error:
            found.close()
            if error.errno == errno.EADDRNOTAVAIL and host == "::" != place.host:
                continue
            raise _refused(place, error) from error
        return found
    raise PortError(f"{place} cannot be had", "Name an address of this machine.")


def _hosts(host: str) -> tuple[str, ...]:
    """Addresses to try: of one socket for both families, if there are both."""
    return (host,) if host else ("::", "0.0.0.0")  # noqa: S104  to hear exporters is what was asked for


def _refused(place: Place, error: OSError) -> PortError:
    if error.errno == errno.EADDRINUSE:
        why, remedy = (
            "another program listens there",
            f"End it (`ss -lunp sport = :{place.port}` names it), or name another port.",
        )
    elif error.errno in (errno.EACCES, errno.EPERM):
        why = "ports below 1024 are for those with CAP_NET_BIND_SERVICE"
        remedy = "Have exporters send to a higher port, or run with that capability."
    elif error.errno == errno.EADDRNOTAVAIL:
        why, remedy = (
            "no interface of this machine has that address",
            "Leave the address out to listen on all: `ip address` lists them.",
        )
    else:
        why, remedy = str(error.strerror), "Name another address or port."
    return PortError(f"cannot listen at {place}: {why}", remedy)
