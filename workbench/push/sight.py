"""What a mirror or a capture on a DPU can't show, in words, from what its switch and kernel say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from workbench.push.mirror import MARK
from workbench.push.ovsdb import Bridge, Switch

#: What is asked of a DPU besides its database; every part may be missing there. Names in it are the DPU's own.
PROBE: Final = r"""
o=$(ovs-appctl --timeout=15 dpctl/dump-flows --names type=offloaded 2>&1) \
  && printf '%s\n' "$o" | sed -n 's/.*in_port(\([^)]*\)).*/offloaded \1/p' | sort | uniq -c \
  || echo "failed offloaded"
a=$(ovs-appctl --timeout=15 dpctl/dump-flows --names type=ovs 2>&1) \
  && printf '%s\n' "$a" | sed -n 's/.*in_port(\([^)]*\)).*/software \1/p' | sort | uniq -c \
  || echo "failed software"
for l in /sys/class/infiniband/*/ports/*/link_layer; do
  [ -e "$l" ] && echo "rdma $l $(cat "$l")"
done
[ -e /proc/driver/nvidia-nvlink ] && echo nvlink
ps -eo comm= 2>/dev/null | grep -c -E '^(charon|pluto|strongswan)' | sed 's/^/ipsec /'
true
"""
_COUNT: Final = re.compile(r"^\s*(\d+) (offloaded|software) (\S{1,64})$")
_RDMA: Final = re.compile(r"^rdma /sys/class/infiniband/([\w.-]{1,32})/ports/(\d{1,3})/link_layer (\w+)$")


@dataclass(frozen=True, slots=True)
class Probed:
    """What PROBE said. offloaded, software: flows by the port they come in at; None where the switch didn't say."""

    offloaded: Mapping[str, int] | None = None
    software: Mapping[str, int] | None = None
    rdma: Mapping[str, str] = field(default_factory=dict)
    nvlink: bool = False
    ipsec: bool = False


def parse_probe(text: str) -> Probed:
    """From PROBE's output; lines that aren't of it are passed over."""
    counts: dict[str, dict[str, int]] = {"offloaded": {}, "software": {}}
    rdma = {}
    lines = text.splitlines()
    for line in lines:
        if found := _COUNT.match(line):
            counts[found[2]][found[3]] = int(found[1])
        elif found := _RDMA.match(line):
            rdma[f"{found[1]}/{found[2]}"] = found[3]
    said = {name: None if f"failed {name}" in lines else found for name, found in counts.items()}
    ipsec = any(re.fullmatch(r"ipsec [1-9]\d*", line) for line in lines)
    return Probed(said["offloaded"], said["software"], rdma, "nvlink" in lines, ipsec)


def offloading(switch: Switch, probed: Probed) -> bool:
    """Whether the hardware carries packets that the switch's software doesn't see, or is told to."""
    return switch.hw_offload or bool(probed.offloaded)


def unseen(switch: Switch, bridge: Bridge, ports: Sequence[str], probed: Probed, *, mirror: bool) -> list[str]:
    """What a mirror (or, without one, a capture at a port) leaves out, one sentence each; most important first."""
    said = _offload_words(switch, ports, probed, mirror=mirror)
    if mirror and ports:
        left = [port.name for port in bridge.ports if port.name not in ports and MARK not in port.external_ids]
        if left:
            said.append(f"What goes only between other ports of {bridge.name} is not mirrored: {', '.join(left)}.")
    others = [other.name for other in switch.bridges if other is not bridge]
    if others:
        said.append(f"Packets that only other bridges carry are not seen: {', '.join(others)}.")
    if bridge.controllers:
        said.append(f"{bridge.name} has a controller: its rules may send packets to the mirror's port too, which doubles them.")
    for name, layer in probed.rdma.items():
        if layer == "InfiniBand":
            said.append(f"{name} is InfiniBand: it passes by the switch and is not seen.")
        else:
            said.append(f"RDMA at {name} ({layer}) is seen only where it passes the switch's software; kernel captures miss it.")
    if probed.nvlink:
        said.append("NVLink between the host's accelerators never reaches the DPU.")
    else:
        said.append("NVLink in the host, if there is any, never reaches the DPU: nothing there could tell.")
    if probed.ipsec:
        said.append("IPsec is in use: what is mirrored at the uplink is encrypted, and its insides are not seen there.")
    return said


def _offload_words(switch: Switch, ports: Sequence[str], probed: Probed, *, mirror: bool) -> list[str]:
    if probed.offloaded is None:
        return ["The switch doesn't say which flows the hardware carries: how much is missed is not known."]
    here = {port: count for port, count in probed.offloaded.items() if not ports or port in ports}
    total = sum(here.values())
    if mirror and switch.hw_offload:
        said = (
            f"hw-offload is on, and {total} flows of these ports were in the hardware. A mirror adds an output to each: they stay"
            " there only if the card can feed the mirror's port; if not, they go through the DPU's cores while the mirror stands."
            " The count afterwards tells."
        )
        return [said]
    if not mirror and (switch.hw_offload or total):
        flows = f"{total} flows are there now" if total else "none is there now, but any may be at any time"
        said = (
            f"hw-offload is on: packets of offloaded flows don't pass here, only the first ones of each do ({flows})."
            " Mirror the port, or take ERSPAN or sFlow."
        )
        return [said]
    return []
