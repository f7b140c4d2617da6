"""Paths that a push must not cut: the way in to the DPU itself, and its telemetry's way out."""

from __future__ import annotations

import ipaddress
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.policy import addresses, symbolic
from workbench.policy.addresses import AddressSet
from workbench.policy.resolved import Resolved
from workbench.policy.services import TCP, UDP, Box
from workbench.push.targets import Target

_ANY = (0, 65535)


@dataclass(frozen=True, slots=True)
class Path:
    """What must get through. what: in words."""

    what: str
    src: AddressSet
    dst: AddressSet
    box: Box


def guarded(target: Target) -> tuple[list[Path], list[str]]:
    """The paths that are known of, and what could not be found out."""
    paths: list[Path] = []
    unknown: list[str] = []
    here: list[str] = []
    if target.far.kind == "ssh":
        host, port, through = _configured(target)
        if through:
            unknown.append(f"ssh goes to {host} {through}: from where it comes there is not known, nobody looked at that way")
        here = _addresses(host)
        if not here:
            unknown.append(f"{host} has no address that is known here: nobody looked whether ssh to it stays open")
        for address in here:
            source = _source_towards(address, port)
            src = addresses.prefix(source) if source else addresses.ANY
            box = Box((TCP, TCP), _ANY, (port, port))
            paths.append(Path(f"ssh from {source or 'anywhere'} to {address}:{port}", src, addresses.prefix(address), box))
    for address, port in target.telemetry:
        family = ipaddress.ip_address(address).version
        own = [one for one in here if ipaddress.ip_address(one).version == family]
        src = addresses.of_ranges(part for one in own for part in addresses.prefix(one).ranges) if own else addresses.ANY
        box = Box((UDP, UDP), _ANY, (port, port))
        who = ", ".join(own) or "anywhere"
        paths.append(Path(f"telemetry from {who} to {address}, udp/{port}", src, addresses.prefix(address), box))
    return paths, unknown


def cut(target: Target, resolved: Resolved, paths: list[Path]) -> Iterator[str]:
    """The paths of which the policy stops something, where the target enforces it."""
    served = target.served()
    for path in paths:
        for src, dst in ((path.src & served, path.dst), (path.src, path.dst & served)):
            both = (src.v4(), dst.v4()) if dst.v4() else (src.v6(), dst.v6())
            if not all(both):
                continue
            through = symbolic.let_through(resolved, both[0], both[1], (path.box,), 1)
            if through.packets < both[0].count() * both[1].count() * 65536:
                yield path.what
                break


def _configured(target: Target) -> tuple[str, int, str]:
    """Host, port and by what way round as the person's ssh configuration has them; as written where it can't be asked."""
    port = ["-p", str(target.far.port)] if target.far.port else []
    try:
        done = subprocess.run(["ssh", "-G", *port, "--", target.far.host], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603, S607
    except (OSError, subprocess.SubprocessError):
        return target.far.host, target.far.port or 22, ""
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    number = found.get("port", "22")
    ways = [f"({word} {said})" for word in ("proxyjump", "proxycommand") if (said := found.get(word, "none")) != "none"]
    host = found.get("hostname", target.far.host)
    return host, int(number) if re.fullmatch(r"[0-9]{1,5}", number) else 22, " ".join(ways)


def _addresses(host: str) -> list[str]:
    try:
        found = {str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    except (OSError, UnicodeError):
        return []
    return sorted(found)


def _source_towards(address: str, port: int) -> str:
    """The address that this machine would be seen with there; no packet is sent."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as end:
            end.connect((address, port))
            return str(end.getsockname()[0]).partition("%")[0]
    except OSError:
        return ""
