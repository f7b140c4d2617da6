"""Connections tried from hosts that permit it: what a policy allows gets through, and what it denies does not."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from workbench.errors import UsageError
from workbench.sources import ssh

#: One TCP connection; one word out. A reset is an answer: packets pass both ways.
_TRY: Final = """import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.settimeout(2)
try:
    s.connect((sys.argv[1], int(sys.argv[2])))
    print("connected")
except ConnectionRefusedError:
    print("refused")
except socket.timeout:
    print("silent")
except OSError as error:
    print("unreachable" if error.errno in (101, 111, 113, 13, 1) else "failed")
"""
_FORM: Final = "Write a host and where to, such as 'ssh://web 10.20.1.10:443' or 'netns:app1 [fd00::1]:443'."


@dataclass(frozen=True, slots=True)
class Probe:
    """One connection to be tried. allowed: whether it should get through."""

    far: ssh.Far
    address: str
    port: int
    allowed: bool

    def __str__(self) -> str:
        return f"{self.far} to {self.address} tcp/{self.port}"


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of it. found: connected, refused, silent, unreachable or failed; good: None where that says nothing."""

    what: str
    allowed: bool
    found: str
    good: bool | None


def parse(text: str, allowed: bool) -> Probe:
    """`HOST ADDRESS:PORT`; UsageError for anything else."""
    host, _, rest = text.strip().partition(" ")
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})", rest.strip())
    try:
        address = str(ipaddress.ip_address((found[1] or found[2]) if found else ""))
    except ValueError:
        raise UsageError(f"{text!r} is no probe", _FORM) from None
    if found is None or not 0 < int(found[3]) < 65536:
        raise UsageError(f"{text!r} is no probe", _FORM)
    return Probe(ssh.parse_far(host), address, int(found[3]), allowed)


def carry_out(probe: Probe) -> Probed:
    """Try it. FarError where the host can't be asked."""
    words = ["python3", "-I", "-c", _TRY, probe.address, str(probe.port)]
    found = ssh.run(probe.far, words, seconds=20).strip() or "failed"
    through = {"connected": True, "refused": True, "silent": False, "unreachable": False}.get(found)
    if found == "refused" and not probe.allowed:
        through = None  # a policy that rejects answers just so
    return Probed(str(probe), probe.allowed, found, None if through is None else through == probe.allowed)
