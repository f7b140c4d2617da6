"""Open vSwitch databases as BlueField DPUs have them, WRITTEN BY HAND from public documentation: no DPU was asked.

Names of bridges, ports and options are those of NVIDIA's "Virtual Switch on BlueField" and of DPF's flavors; UUIDs and counters
are made up. What is tried here has not been tried on hardware.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.push.ovsdb import TABLES, Switch, parse


def uuid(name: str) -> list[str]:
    """A UUID that says whose it is."""
    return ["uuid", name]


def ovs_set(members: Sequence[Any]) -> Any:
    """As ovs-vsctl prints it: the only member stands for its set."""
    return members[0] if len(members) == 1 else ["set", list(members)]


def ovs_map(pairs: Mapping[str, Any]) -> Any:
    return ["map", [[key, value] for key, value in pairs.items()]]


class Database:
    """Rows by table; `text()` is what ovs-vsctl prints of them."""

    def __init__(self, **other_config: str) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
        self.other_config = other_config

    def bridge(self, name: str, ports: Sequence[str], datapath: str = "", controllers: int = 0, **ids: str) -> None:
        for port in [name, *ports]:
            self.port(port, kind="internal" if port == name else "")
        self.rows["Bridge"].append(
            {
                "_uuid": uuid(f"b-{name}"),
                "name": name,
                "datapath_type": datapath,
                "ports": ovs_set([uuid(f"p-{port}") for port in [name, *ports]]),
                "mirrors": ovs_set([]),
                "controller": ovs_set([uuid(f"c{n}") for n in range(controllers)]),
                "external_ids": ovs_map(ids),
            }
        )

    def port(self, name: str, kind: str = "", interfaces: Sequence[str] = (), mtu: int = 1500, **ids: str) -> None:
        devices = list(interfaces) or [name]
        for device in devices:
            self.rows["Interface"].append(
                {
                    "_uuid": uuid(f"i-{device}"),
                    "name": device,
                    "type": kind,
                    "ofport": 1,
                    "mtu": mtu,
                    "error": ovs_set([]),
                    "statistics": ovs_map({"rx_packets": 7}),
                }
            )
        row = {"_uuid": uuid(f"p-{name}"), "name": name, "interfaces": ovs_set([uuid(f"i-{one}") for one in devices])}
        self.rows["Port"].append({**row, "external_ids": ovs_map(ids)})

    def mirror(self, bridge: str, name: str, output: str, ports: Sequence[str] = (), **ids: str) -> None:
        chosen = ovs_set([uuid(f"p-{port}") for port in ports])
        self.rows["Mirror"].append(
            {
                "_uuid": uuid(f"m-{name}"),
                "name": name,
                "select_all": not ports,
                "select_src_port": chosen,
                "select_dst_port": chosen,
                "select_vlan": ovs_set([]),
                "output_port": uuid(f"p-{output}"),
                "output_vlan": ovs_set([]),
                "snaplen": ovs_set([]),
                "external_ids": ovs_map(ids),
                "statistics": ovs_map({"tx_packets": 3, "tx_bytes": 300}),
            }
        )
        self.joined(bridge, "mirrors", uuid(f"m-{name}"))

    def joined(self, bridge: str, column: str, member: list[str]) -> None:
        row = next(one for one in self.rows["Bridge"] if one["name"] == bridge)
        now = row[column]
        members = now[1] if now[0] == "set" else [now]
        row[column] = ovs_set([*members, member])

    def text(self) -> str:
        top = {"_uuid": uuid("top"), "other_config": ovs_map(self.other_config), "next_cfg": 4, "cur_cfg": 4}
        lines = []
        for table in TABLES:
            rows = [top] if table == "Open_vSwitch" else self.rows[table]
            headings = sorted({name for row in rows for name in row})
            lines.append(json.dumps({"headings": headings, "data": [[row[name] for name in headings] for row in rows]}))
        return "\n\n".join(lines) + "\n"

    def switch(self) -> Switch:
        return parse(self.text())


def two_bridges(**other_config: str) -> Database:
    """A BlueField as it is delivered: each uplink with its host function, kernel datapath, hw-offload on unless told."""
    made = Database(**(other_config or {"hw-offload": "true"}))
    made.bridge("ovsbr1", ["p0", "pf0hpf", "en3f0pf0sf0", "pf0vf0"])
    made.bridge("ovsbr2", ["p1", "pf1hpf"])
    return made


def doca() -> Database:
    """A BlueField set up for OVN by DPF: OVS-DOCA's userspace datapath, one bridge run by a controller."""
    made = Database(**{"hw-offload": "true", "doca-init": "true"})
    made.bridge("br-sfc", ["p0", "pf0hpf"], "netdev")
    made.bridge("br-ovn", ["pf0vf0"], "netdev", controllers=1)
    return made
