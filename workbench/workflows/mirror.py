"""Mirrors on DPUs: read what is there, make or remove ours, read back, say what can't be seen.

What there is to put back stands in the DPU's own database (marks on our rows). A note of it is kept here as well, written before
anything is changed, so that a mirror that was left standing is remembered, and so that a difference afterwards can be named.
"""

from __future__ import annotations

import contextlib
import datetime
import getpass
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.errors import ExternalError, FarError, UsageError
from workbench.push import mirror as planning
from workbench.push import ovsdb, sight
from workbench.sources import ssh
from workbench.sources.remote_capture import ITSELF, Watched
from workbench.workflows import mirror_notes as notes


@dataclass(frozen=True, slots=True)
class Made:
    """A mirror that stands. interface: where its packets come out, there. fresh: False where it was there already."""

    host: str
    bridge: str
    name: str
    interface: str
    ports: list[str]
    owner: str
    fresh: bool
    datapath: str
    hw_offload: bool
    offloaded_before: int | None
    offloaded_after: int | None
    unseen: list[str]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Removed:
    """A mirror that is gone. as_before: the configuration is what it was before it was made. changed: the lines that differ."""

    host: str
    bridge: str
    name: str
    owner: str
    as_before: bool
    changed: list[str]


def owner_name() -> str:
    """Who sets mirrors up from here: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def set_up(host: str, bridge: str | None, ports: Sequence[str], *, off_hardware: bool = False) -> Made:
    """Make a mirror of these ports (none: of all), or find the one made before.

    off_hardware: also where flows may leave the hardware for it. Raises UsageError, FarError, ExternalError; what was made by
    then is removed again.
    """
    far = ssh.parse_far(host)
    before, probed = _read(far), _probe(far)
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    plan = planning.plan_setup(before, owner_name(), made, bridge=bridge, ports=ports)
    on = before.bridge(plan.bridge)
    assert on is not None
    fresh = plan.existing is None
    if fresh and sight.offloading(before, probed) and not off_hardware:
        raise UsageError(
            f"hw-offload is on on {far}: flows may leave the hardware while a mirror stands, and load the DPU's cores",
            "Say --off-hardware to accept that, or take ERSPAN or sFlow.",
        )
    unseen = sight.unseen(before, on, plan.ports, probed, mirror=True)
    if fresh:
        with _undone(far, plan):
            said = _make(far, plan)
    else:
        said = _after(far, plan)
    after = _probe(far)
    return Made(
        str(far), plan.bridge, plan.name, plan.name, list(plan.ports), owner_name(), fresh, on.datapath, before.hw_offload,
        _sum(probed.offloaded), _sum(after.offloaded), unseen, said,
    )  # fmt: skip


def tear_down(
    host: str, bridge: str | None, ports: Sequence[str], *, everybody: bool = False
) -> tuple[list[Removed], list[planning.Ours]]:
    """Remove our mirrors, or everybody's that the workbench made; and those left because they are another's."""
    far = ssh.parse_far(host)
    switch = _read(far)
    plans, left = planning.plan_teardown(switch, None if everybody else owner_name(), bridge=bridge, ports=ports)
    for plan in plans:
        ssh.run(far, plan.words, root=True)
    now = _read(far) if plans else switch
    still = {ours.name for ours in planning.mirrors_of_ours(now)}
    removed = []
    for plan in plans:
        ours = plan.ours
        if ours.name in still:
            raise ExternalError(f"{ours.name} is still on {ours.bridge} after it was removed", "Try again; see the switch's log.")
        same = planning.put_back(now, ours.prior)
        removed.append(Removed(str(far), ours.bridge, ours.name, ours.owner, same, [] if same else _changes(far, ours.name, now)))
        notes.forget(far, ours.name)
    for name in [name for name in notes.remembered(far) if name not in still]:
        notes.forget(far, name)
    return removed, left


def list_mirrors(host: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Every mirror of every bridge there, ours or not, one row each; and what is to be said besides."""
    far = ssh.parse_far(host)
    switch = _read(far)
    ours = {(one.bridge, one.name): one for one in planning.mirrors_of_ours(switch)}
    rows = [
        _row(far, bridge, mirror, ours.pop((bridge.name, mirror.name), None))
        for bridge in switch.bridges
        for mirror in bridge.mirrors
    ]
    said = [f"of {one.name} on {one.bridge} only the port is left: tear it down" for one in ours.values()]
    there = {row["mirror"] for row in rows} | {one.name for one in ours.values()}
    said += [_age_words(far, one) for one in planning.mirrors_of_ours(switch)]
    said += [f"{name} was set up from here and is not there any more" for name in notes.remembered(far) if name not in there]
    for bridge in switch.bridges:
        listed = ", ".join(port.name for port in bridge.ports)
        said.append(f"bridge {bridge.name} (datapath {bridge.datapath}): {listed}")
    said.append(f"hw-offload is {'on' if switch.hw_offload else 'off'}")
    return rows, said


@dataclass(frozen=True, slots=True)
class View:
    """What a capture at a port can't show, one sentence each, and what it is measured against."""

    unseen: tuple[str, ...]
    watched: Watched = ITSELF


def view_at(source: str) -> View:
    """What is to be known of a capture at `ssh://user@dpu/p0`, before it begins. FarError where there is no way there."""
    far, interface = ssh.parse_capture(source)
    try:
        switch = _read(far)
    except FarError as error:
        if error.code is None:
            raise
        return View((f"Open vSwitch there says nothing ({error.message}): what the hardware carries is not known.",))
    for bridge in switch.bridges:
        names = {port.uuid: port.name for port in bridge.ports}
        for mirror in bridge.mirrors:
            if names.get(mirror.output_port or "") == interface:
                ports = sorted({names[one] for one in (*mirror.select_src, *mirror.select_dst) if one in names})
                said = sight.unseen(switch, bridge, ports, _probe(far), mirror=True)
                return View(tuple(said), _watched(switch, bridge, mirror))
        if any(device.name == interface for port in bridge.ports for device in port.interfaces):
            return View(tuple(sight.unseen(switch, bridge, [interface], _probe(far), mirror=False)))
    return View((f"{interface} is no port of Open vSwitch: what its bridges carry is not seen there.",))


def _watched(switch: ovsdb.Switch, bridge: ovsdb.Bridge, mirror: ovsdb.Mirror) -> Watched:
    """The ports whose packets a mirror copies; its output's own counters where it copies some packets of a port only."""
    by_uuid = {port.uuid: port for port in bridge.ports}
    chosen = [by_uuid[one] for one in mirror.select_src if one in by_uuid]
    whole = not mirror.select_vlan and (mirror.select_all or (chosen and {*mirror.select_src} == {*mirror.select_dst}))
    if not whole or not planning.is_safe(bridge.name):
        return ITSELF
    ours = (bridge.name, mirror.name) in [(one.bridge, one.name) for one in planning.mirrors_of_ours(switch)]
    outputs = tuple(by_uuid[one.output_port].name for one in bridge.mirrors if one.output_port in by_uuid)
    return Watched(bridge.name, tuple(device.name for port in chosen for device in port.interfaces), outputs, ours)


def _row(far: ssh.Far, bridge: ovsdb.Bridge, mirror: ovsdb.Mirror, ours: planning.Ours | None) -> dict[str, Any]:
    names = {port.uuid: port.name for port in bridge.ports}
    age = notes.age(ours.made) if ours else None
    chosen = sorted({names.get(one, one) for one in (*mirror.select_src, *mirror.select_dst)})
    return {
        "host": str(far),
        "bridge": bridge.name,
        "mirror": mirror.name,
        "selects": "all" if mirror.select_all else ",".join(chosen),
        "vlans": ",".join(str(one) for one in mirror.select_vlan),
        "output": names.get(mirror.output_port or "", "")
        or (f"vlan {mirror.output_vlan}" if mirror.output_vlan is not None else ""),
        "owner": ours.owner if ours else "",
        "ours": ours is not None,
        "made": ours.made if ours else "",
        "age_seconds": None if age is None else int(age.total_seconds()),
        "packets": mirror.statistics.get("tx_packets"),
        "bytes": mirror.statistics.get("tx_bytes"),
    }


def _age_words(far: ssh.Far, ours: planning.Ours) -> str:
    """How long a mirror of ours stands; with the way to end it where that is so long that it may be forgotten."""
    age = notes.age(ours.made)
    stood = "since nobody knows when" if age is None else f"for {notes.age_words(age)}"
    said = f"{ours.name} on {ours.bridge} has stood {stood}, made by {ours.owner or 'nobody knows whom'}"
    return said + (f": forgotten? workbench mirror teardown {far}" if age is None or age > notes.FORGOTTEN else "")


def _read(far: ssh.Far) -> ovsdb.Switch:
    return ovsdb.parse(ssh.run(far, ovsdb.read_words(), root=True))


def _probe(far: ssh.Far) -> sight.Probed:
    """What is asked besides; nothing known where it fails, which is said."""
    try:
        return sight.parse_probe(ssh.run(far, ["sh", "-c", sight.PROBE], root=True, seconds=60))
    except FarError:
        return sight.Probed()


def _make(far: ssh.Far, plan: planning.Setup) -> list[str]:
    """Carry out the plan and read it back."""
    notes.remember(far, plan)
    ssh.run(far, plan.words, root=True)
    try:
        ssh.run(far, planning.ready_words(plan.name), root=True)
    except FarError as error:
        raise ExternalError(
            f"the switch on {far} doesn't take the port: {error.message}", "See whether ovs-vswitchd runs there."
        ) from error
    now = _read(far)
    planning.check_made(now, plan)
    said = _after(far, plan)
    if not planning.put_back(now, ovsdb.digest(plan.prior)):
        said.append("somebody else changed the switch's configuration at the same time")
    return said


def _after(far: ssh.Far, plan: planning.Setup) -> list[str]:
    for words in plan.after:
        ssh.run(far, words, root=True)
    return []


@contextlib.contextmanager
def _undone(far: ssh.Far, plan: planning.Setup) -> Iterator[None]:
    """Where it fails or is interrupted, what was made is removed; where that fails too, the error says so."""
    try:
        yield
    except BaseException as error:
        try:
            for one in planning.plan_teardown(_read(far), owner_name(), bridge=plan.bridge, ports=plan.ports)[0]:
                if one.ours.name == plan.name:
                    ssh.run(far, one.words, root=True)
            notes.forget(far, plan.name)
        except ExternalError as second:
            if isinstance(error, ExternalError):
                error.remedy = (
                    f"It may still be there ({second.message}): workbench mirror teardown {far}. {error.remedy}".strip()
                )
        raise


def _changes(far: ssh.Far, name: str, now: ovsdb.Switch) -> list[str]:
    """Which rows of the configuration aren't as they were noted here; '?' where no note is left."""
    note = notes.remembered(far).get(name)
    if note is None:
        return ["not known: no note of it is left on this machine"]
    was, is_ = set(note["prior"]), set(ovsdb.configuration(now))
    return [f"- {line}" for line in sorted(was - is_)] + [f"+ {line}" for line in sorted(is_ - was)]


def _sum(counts: Any) -> int | None:
    return None if counts is None else sum(counts.values())
