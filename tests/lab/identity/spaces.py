"""Network namespaces at the price of milliseconds: no process where a system call does, one ``ip`` for many commands."""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C)
"""ETHTOOL_STXCSUM, STSO, SGSO, SGRO of linux/ethtool.h"""
SYSCTLS = {
    "ipv4/neigh/{device}/locktime": "0",  # a second holder is believed at once
    "ipv6/conf/{device}/accept_ra": "0",
    "ipv6/conf/{device}/dad_transmits": "0",
    "ipv4/icmp_ratelimit": "0",
}


def batch(lines: Sequence[str], space: str = "") -> None:
    """Many ip commands in one process; CalledProcessError where one fails."""
    where = ["-n", space] if space else []
    subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


def enter(space: str) -> None:
    """This thread, and whatever it starts, is in the namespace from now on; no other thread is."""
    handle = os.open(f"/run/netns/{space}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if LIBC.setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {space}")
    finally:
        os.close(handle)


def settle(device: str) -> None:
    """A device of this thread's namespace: checksums and sizes as on the wire, neighbours believed at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in OFFLOADS:
            value = array.array("B", struct.pack("=II", command, 0))
            request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    for name, value in SYSCTLS.items():
        Path("/proc/sys/net", name.format(device=device)).write_text(value)


def announce(device: str, mac: str, address: str) -> None:
    """A gratuitous ARP request (RFC 5227, 3), as container runtimes send it."""
    own, ip = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(address)
    frame = b"\xff" * 6 + own + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + own + ip + bytes(6) + ip
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((device, 0))
        wire.send(frame)
