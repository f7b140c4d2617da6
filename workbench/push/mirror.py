"""Mirrors on a DPU's Open vSwitch: what to ask of it, as words for ovs-vsctl, and how to put back exactly what was there.

Pure: it takes a Switch as it was read and returns what is to be run. A mirror of ours is one OVSDB transaction: an internal
port, the mirror that fills it, and marks on both rows (external_ids). No row of anybody else's is changed but the sets
`ports` and `mirrors` of its bridge, which gain ours and lose it again; so whoever reads the database knows all there is to put
back, whatever became of the process that made it.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workbench.errors import ExternalError, UsageError
from workbench.push.ovsdb import Bridge, Mirror, Port, Switch, configuration, digest, quoted

#: external_ids of our mirror and its port.
MARK, OWNER, MADE, PRIOR, SELECTS = (
    "workbench-mirror",
    "workbench-owner",
    "workbench-made",
    "workbench-prior",
    "workbench-selects",
)
#: ovs-vsctl's words before every change: --no-wait leaves the counters next_cfg and cur_cfg as they were.
CHANGE: Final = ("ovs-vsctl", "--timeout=15", "--no-wait")
#: Mirrors of one bridge that the switch carries out (MAX_MIRRORS in its ofproto/ofproto-dpif-mirror.c).
MOST: Final = 32
_OURS: Final = re.compile(r"wbm[0-9a-f]{10}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,62}")


@dataclass(frozen=True, slots=True)
class Setup:
    """A mirror to be made. words: empty where it is there already. after: what to run once the switch has the port."""

    bridge: str
    name: str
    ports: tuple[str, ...]
    words: tuple[str, ...]
    after: tuple[tuple[str, ...], ...]
    prior: tuple[str, ...]
    made: str = ""
    existing: Mirror | None = None


@dataclass(frozen=True, slots=True)
class Ours:
    """What is there of one mirror of ours: whole, or what somebody left of it."""

    bridge: str
    name: str
    owner: str
    made: str
    prior: str
    ports: tuple[str, ...]
    mirror: Mirror | None
    port: Port | None


@dataclass(frozen=True, slots=True)
class Teardown:
    """How to remove one mirror of ours, in one transaction."""

    ours: Ours
    words: tuple[str, ...]


def name_of(owner: str, bridge: str, ports: Sequence[str]) -> str:
    """The name of a mirror and its port: the same for the same wish, so that asking twice makes one (13 characters)."""
    wish = "\0".join([owner, bridge, *sorted(ports)])
    return "wbm" + hashlib.sha256(wish.encode()).hexdigest()[:10]


def is_safe(name: str) -> bool:
    """Whether no shell, ovs-vsctl or terminal reads it as anything else."""
    return bool(_NAME.fullmatch(name))


def safe_name(name: str, what: str) -> str:
    """The name, where it is safe; UsageError."""
    if not is_safe(name):
        raise UsageError(f"{name!r} is no {what} that is taken", "Letters, digits and _ . : @ + - are, and no - in front.")
    return name


def plan_setup(switch: Switch, owner: str, made: str, *, bridge: str | None = None, ports: Sequence[str] = ()) -> Setup:
    """What makes a mirror of these ports (none: of everything that crosses the bridge).

    bridge: None finds it: the one that has the ports, or the only one there is. made: ISO time.
    UsageError for names that aren't there, ExternalError where it can't be made.
    """
    wanted = tuple(dict.fromkeys(safe_name(port, "port") for port in ports))
    on = _choose(switch, safe_name(bridge, "bridge") if bridge is not None else None, wanted)
    _refuse_unsafe(on.name)
    known = {port.name: port for port in on.ports}
    for port in wanted:
        _need_port(on, port)
    name = name_of(owner, on.name, wanted)
    prior = tuple(configuration(switch, our_rows(mirrors_of_ours(switch))))
    for ours in mirrors_of_ours(switch):
        if ours.name == name:
            return _existing(ours, wanted, prior)
    _refuse_taken(switch, on, name)
    selected = [known[port] for port in wanted] or list(on.ports)
    marks = {MARK: name, OWNER: owner, MADE: made, PRIOR: digest(prior), SELECTS: ",".join(wanted) or "all"}
    words = _make_words(on.name, name, wanted, marks, _mtu(selected))
    return Setup(on.name, name, wanted, tuple(words), after_words(name), prior, made)


def after_words(name: str) -> tuple[tuple[str, ...], ...]:
    """What makes the port one to capture at: the kernel must neither answer ARP nor speak IPv6 on copies of others' packets."""
    return (
        ("ip", "link", "set", "dev", name, "arp", "off"),
        ("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{name}/disable_ipv6 || test ! -e /proc/sys/net/ipv6/conf/{name}"),
        ("ip", "link", "set", "dev", name, "up"),
    )


def ready_words(name: str) -> tuple[str, ...]:
    """What waits until the switch has taken the port, or has said that it can't."""
    return (*CHANGE, "wait-until", "Interface", name, "ofport!=[]")


def mirrors_of_ours(switch: Switch) -> list[Ours]:
    """Every mirror or port that carries our mark, of any owner, by bridge and name.

    The database is another machine's: a mark that isn't the row's own name, or no name that we give, is not believed.
    """
    found: list[Ours] = []
    for bridge in switch.bridges:
        mirrors = {mark: mirror for mirror in bridge.mirrors if (mark := _mark(mirror)) == mirror.name}
        ports = {mark: port for port in bridge.ports if (mark := _mark(port)) == port.name}
        for name in sorted({*mirrors, *ports}):
            ids = (mirrors.get(name) or ports[name]).external_ids
            selects = ids.get(SELECTS, "")
            named = () if selects in ("", "all") else tuple(selects.split(","))
            told = (ids.get(OWNER, ""), ids.get(MADE, ""), ids.get(PRIOR, ""))
            found.append(Ours(bridge.name, name, *told, named, mirrors.get(name), ports.get(name)))
    return found


def _mark(row: Mirror | Port) -> str | None:
    mark = row.external_ids.get(MARK, "")
    return mark if _OURS.fullmatch(mark) else None


def plan_teardown(
    switch: Switch, owner: str | None, *, bridge: str | None = None, ports: Sequence[str] = ()
) -> tuple[list[Teardown], list[Ours]]:
    """What removes mirrors of ours; and those that are left because they are another's.

    owner: None takes everybody's. bridge, ports: only those. ExternalError where somebody else's mirror hangs on a port of
    ours, which the removal would break.
    """
    wanted = tuple(dict.fromkeys(safe_name(port, "port") for port in ports))
    if bridge is not None:
        safe_name(bridge, "bridge")
    mine, others = [], []
    for ours in mirrors_of_ours(switch):
        if (bridge is not None and ours.bridge != bridge) or (wanted and set(ours.ports) != set(wanted)):
            continue
        if owner is not None and ours.owner != owner:
            others.append(ours)
            continue
        _refuse_unsafe(ours.bridge)
        _refuse_hanging(switch, ours)
        mine.append(Teardown(ours, tuple(_remove_words(ours))))
    return mine, others


def put_back(switch: Switch, prior: str) -> bool:
    """Whether the configuration, our mirrors aside, is that of a digest noted before one was made."""
    return digest(configuration(switch, our_rows(mirrors_of_ours(switch)))) == prior


def check_made(switch: Switch, plan: Setup) -> Ours:
    """The mirror as it was read back; ExternalError where it isn't the one that was asked for, or its port isn't up."""
    ours = next((one for one in mirrors_of_ours(switch) if one.name == plan.name and one.bridge == plan.bridge), None)
    if ours is None or ours.mirror is None or ours.port is None:
        raise ExternalError(
            f"the mirror {plan.name} isn't on {plan.bridge} after it was made", "Try again; see the switch's log."
        )
    bridge = switch.bridge(plan.bridge)
    uuids = {port.uuid for port in bridge.ports if port.name in plan.ports} if bridge else set()
    mirror = ours.mirror
    selects = not plan.ports if mirror.select_all else {*mirror.select_src} == {*mirror.select_dst} == uuids and bool(uuids)
    if not selects or mirror.output_port != ours.port.uuid or mirror.select_vlan or mirror.output_vlan or mirror.snaplen:
        raise ExternalError(f"the mirror {plan.name} was changed by somebody", "Tear it down and set it up again.")
    for interface in ours.port.interfaces:
        if interface.error or interface.ofport is None or interface.ofport < 0:
            raise ExternalError(
                f"the switch can't take the port {plan.name}: {interface.error or 'it does not say why'}", "See its log."
            )
    return ours


def _choose(switch: Switch, named: str | None, ports: tuple[str, ...]) -> Bridge:
    """The bridge meant; UsageError that lists what there is."""
    there = "; ".join(f"{bridge.name} ({', '.join(port.name for port in bridge.ports)})" for bridge in switch.bridges)
    if not switch.bridges:
        raise ExternalError("Open vSwitch has no bridge there", "Packets that no bridge carries can't be mirrored by it.")
    if named is not None:
        bridge = switch.bridge(named)
        if bridge is None:
            raise UsageError(f"there is no bridge {named}", f"There are: {there}.")
        return bridge
    if not ports and len(switch.bridges) == 1:
        return switch.bridges[0]
    if not ports:
        raise UsageError("there are several bridges", f"Name one with --bridge. There are: {there}.")
    having = [bridge for bridge in switch.bridges if any(port.name in ports for port in bridge.ports)]
    if len(having) > 1:
        names = " and ".join(bridge.name for bridge in having)
        raise UsageError(f"the ports are on {names}", "A mirror has one bridge: set up one for each.")
    if not having:
        raise UsageError(f"no bridge has a port {ports[0]}", f"There are: {there}.")
    return having[0]


def _refuse_unsafe(bridge: str) -> None:
    """ExternalError for a bridge whose name ovs-vsctl could read as something else, such as -- (the end of a command)."""
    if not is_safe(bridge):
        raise ExternalError(f"the bridge {bridge!r} has no name that is taken", "Change it there, by its UUID.")


def _need_port(bridge: Bridge, name: str) -> None:
    if any(port.name == name for port in bridge.ports):
        return
    for port in bridge.ports:
        if any(interface.name == name for interface in port.interfaces):
            raise UsageError(f"{name} is an interface of the port {port.name}", f"Mirror the port: --ports {port.name}.")
    near = difflib.get_close_matches(name, [port.name for port in bridge.ports], 1)
    names = ", ".join(port.name for port in bridge.ports)
    raise UsageError(f"{bridge.name} has no port {name}", f"The nearest is {near[0]}." if near else f"It has: {names}.")


def _existing(ours: Ours, wanted: tuple[str, ...], prior: tuple[str, ...]) -> Setup:
    """Asked for again: nothing to make, but what the kernel was told of the port is told again (a reboot forgets it)."""
    if ours.mirror is None or ours.port is None:
        left = "its port" if ours.mirror is None else "the mirror"
        raise ExternalError(f"of {ours.name} only {left} is left", "Tear it down, then set it up again.")
    return Setup(ours.bridge, ours.name, wanted, (), after_words(ours.name), prior, ours.made, ours.mirror)


def _refuse_taken(switch: Switch, bridge: Bridge, name: str) -> None:
    """ExternalError where the name is somebody else's already, or the bridge has no room for a mirror more."""
    for other in switch.bridges:
        taken = [interface.name for port in other.ports for interface in port.interfaces] + [port.name for port in other.ports]
        if name in taken or name in [mirror.name for mirror in other.mirrors]:
            raise ExternalError(f"{other.name} has a {name} that isn't marked as ours", "Ask who made it.")
    if len(bridge.mirrors) >= MOST:
        raise ExternalError(f"{bridge.name} has {len(bridge.mirrors)} mirrors", f"Open vSwitch carries out {MOST} of a bridge.")


def _refuse_hanging(switch: Switch, ours: Ours) -> None:
    if ours.port is None:
        return
    for bridge in switch.bridges:
        for mirror in bridge.mirrors:
            if mirror is not ours.mirror and ours.port.uuid in (mirror.output_port, *mirror.select_src, *mirror.select_dst):
                raise ExternalError(
                    f"the mirror {mirror.name}, which isn't ours, uses the port {ours.port.name}",
                    "Removing the port would break it: ask who made it, then tear down again.",
                )


def _mtu(ports: Sequence[Port]) -> int | None:
    """The largest MTU among them: by itself the switch would give an internal port the smallest of its bridge."""
    return max((one.mtu for port in ports for one in port.interfaces if one.mtu is not None), default=None)


def _make_words(bridge: str, name: str, ports: tuple[str, ...], marks: dict[str, str], mtu: int | None) -> list[str]:
    """One transaction: all of it or nothing. `add-port` fails where the port exists, so nobody's is ever taken over."""
    ids = [f"external_ids:{key}={quoted(value)}" for key, value in marks.items()]
    words = [*CHANGE, "--", "add-port", bridge, name, "--", "set", "Interface", name, "type=internal"]
    words += [f"mtu_request={mtu}"] if mtu else []
    words += ["--", "set", "Port", name, *ids, "--", "--id=@out", "get", "Port", name]
    for number, port in enumerate(ports):
        words += ["--", f"--id=@p{number}", "get", "Port", port]
    chosen = ",".join(f"@p{number}" for number in range(len(ports)))
    select = [f"select_src_port={chosen}", f"select_dst_port={chosen}"] if ports else ["select_all=true"]
    words += ["--", "--id=@new", "create", "Mirror", f"name={name}", "output_port=@out", *select, *ids]
    return [*words, "--", "add", "Bridge", bridge, "mirrors", "@new"]


def _remove_words(ours: Ours) -> list[str]:
    """One transaction, begun with the question whether the rows are still ours."""
    words = [*CHANGE]
    if ours.mirror is not None:
        words += ["--", "wait-until", "Mirror", ours.mirror.uuid, f"external_ids:{MARK}={quoted(ours.name)}"]
        words += ["--", "remove", "Bridge", ours.bridge, "mirrors", ours.mirror.uuid]
    if ours.port is not None:
        words += ["--", "wait-until", "Port", ours.name, f"external_ids:{MARK}={quoted(ours.name)}"]
        words += ["--", "del-port", ours.bridge, ours.name]
    return words


def our_rows(found: Sequence[Ours]) -> set[str]:
    """Rows of ours; interfaces have no mark: they come and go with the port."""
    ports = [one.port for one in found if one.port]
    devices = {interface.uuid for port in ports for interface in port.interfaces}
    return {one.mirror.uuid for one in found if one.mirror} | {port.uuid for port in ports} | devices
