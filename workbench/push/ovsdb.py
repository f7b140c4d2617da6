"""What a DPU's Open vSwitch is configured to do, read from the JSON that `ovs-vsctl --format=json list` prints.

Pure: text in, frozen dataclasses out. The notation of sets, maps and UUIDs is RFC 7047's (section 5.1). Names in it were
chosen by whoever administers the DPU, or by who took it over: they are compared and shown, never run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from workbench.errors import ExternalError

#: The tables that are read, in this order, in one transaction: a snapshot.
TABLES: Final = ("Open_vSwitch", "Bridge", "Port", "Interface", "Mirror")
_LIVE: Final = """
    admin_state bfd_status bond_active_slave cfm_fault cfm_fault_status cfm_flap_count cfm_health cfm_mpid cfm_remote_mpids
    cfm_remote_opstate cur_cfg datapath_id datapath_types datapath_version datapaths db_version doca_initialized doca_version
    dpdk_initialized dpdk_version duplex error fake_bridge_status iface_types ifindex is_connected lacp_current link_resets
    link_speed link_state mac_in_use mtu next_cfg ofport ovs_version role rstp_statistics rstp_status statistics status
    system_type system_version
"""
#: Columns that the switch itself writes while it runs; everything else is configuration.
LIVE: Final = frozenset(_LIVE.split())
_REMEDY: Final = "Check with `ovs-vsctl --format=json list Bridge` there."

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interface:
    """A network device of a port. ofport: None until the switch has taken it; error: what it says of one that it can't take."""

    uuid: str
    name: str
    kind: str
    ofport: int | None
    mtu: int | None
    error: str
    statistics: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a bridge: one interface, or several in a bond."""

    uuid: str
    name: str
    interfaces: tuple[Interface, ...]
    external_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mirror:
    """A row of `Mirror`; the ports are UUIDs. select_vlan empty and select_all False and no ports: it selects nothing."""

    uuid: str
    name: str
    select_all: bool
    select_src: tuple[str, ...]
    select_dst: tuple[str, ...]
    select_vlan: tuple[int, ...]
    output_port: str | None
    output_vlan: int | None
    snaplen: int | None
    external_ids: Mapping[str, str]
    statistics: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge with its ports and mirrors. controllers: how many it has."""

    uuid: str
    name: str
    datapath: str
    ports: tuple[Port, ...]
    mirrors: tuple[Mirror, ...]
    controllers: int
    external_ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Switch:
    """All of it. rows: table -> rows as they were read, for what is compared exactly."""

    bridges: tuple[Bridge, ...]
    other_config: Mapping[str, str]
    rows: Mapping[str, tuple[Row, ...]]

    @property
    def hw_offload(self) -> bool:
        """Whether the switch is told to hand flows to the hardware."""
        return self.other_config.get("hw-offload", "").lower() == "true"

    def bridge(self, name: str) -> Bridge | None:
        """The bridge of that name."""
        return next((bridge for bridge in self.bridges if bridge.name == name), None)


def read_words() -> list[str]:
    """The command that prints TABLES, one JSON document a line."""
    words = ["ovs-vsctl", "--timeout=15", "--no-wait", "--format=json"]
    for table in TABLES:
        words += ["--", "list", table]
    return words


def parse(text: str) -> Switch:
    """What `read_words` printed. ExternalError where it isn't that."""
    documents = [line for line in text.splitlines() if line.strip()]
    if len(documents) != len(TABLES):
        raise ExternalError(f"ovs-vsctl printed {len(documents)} tables, not {len(TABLES)}", _REMEDY)
    try:
        rows = {table: _rows(json.loads(line)) for table, line in zip(TABLES, documents, strict=True)}
        return _switch(rows)
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ExternalError(f"what ovs-vsctl printed can't be read: {type(error).__name__}: {error}", _REMEDY) from error


def configuration(switch: Switch, without: Iterable[str] = ()) -> list[str]:
    """Every row as one line of canonical JSON, sorted, live columns left out; the same lines mean the same configuration.

    without: UUIDs of rows to leave out, and to leave out of every set that names them.
    """
    gone = set(without)
    lines = []
    for table, rows in switch.rows.items():
        for row in rows:
            if row["_uuid"] in gone:
                continue
            kept = {name: _less(value, gone) for name, value in row.items() if name not in LIVE}
            lines.append(f"{table} {json.dumps(kept, sort_keys=True, ensure_ascii=True)}")
    return sorted(lines)


def digest(lines: Iterable[str]) -> str:
    """SHA-256 of `configuration`'s lines, hex."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def quoted(value: str) -> str:
    """A string as ovs-vsctl's own syntax takes it in `column=value`: JSON's, ASCII only."""
    return json.dumps(value, ensure_ascii=True)


def _rows(document: Any) -> tuple[Row, ...]:
    headings = document["headings"]
    return tuple({name: _plain(value) for name, value in zip(headings, row, strict=True)} for row in document["data"])


def _plain(value: Any) -> Any:
    """RFC 7047 to Python: a UUID is its text, a set a sorted list, a map a dict, an atom itself."""
    if not isinstance(value, list):
        return value
    kind, inside = value
    if kind == "uuid":
        return str(inside)
    if kind == "set":
        return sorted((_plain(one) for one in inside), key=repr)
    if kind == "map":
        return {str(_plain(key)): _plain(one) for key, one in inside}
    raise ValueError(f"unknown kind {kind!r}")


def _less(value: Any, gone: set[str]) -> Any:
    """A column's value without those UUIDs; a set of one is printed as its member, so all are made lists."""
    listed = value if isinstance(value, list | dict) else [value]
    return [one for one in listed if one not in gone] if isinstance(listed, list) and gone else listed


def _many(value: Any) -> tuple[Any, ...]:
    """A set's members, also where the only one stands for it."""
    return tuple(value) if isinstance(value, list) else (value,)


def _maybe(value: Any) -> Any:
    """An optional value: None for the empty set."""
    return None if value == [] else value


def _switch(rows: Mapping[str, tuple[Row, ...]]) -> Switch:
    interfaces = {row["_uuid"]: _interface(row) for row in rows["Interface"]}
    ports = {row["_uuid"]: _port(row, interfaces) for row in rows["Port"]}
    mirrors = {row["_uuid"]: _mirror(row) for row in rows["Mirror"]}
    bridges = [_bridge(row, ports, mirrors) for row in rows["Bridge"]]
    top = rows["Open_vSwitch"][0]
    return Switch(tuple(sorted(bridges, key=lambda one: one.name)), top["other_config"], rows)


def _bridge(row: Row, ports: Mapping[str, Port], mirrors: Mapping[str, Mirror]) -> Bridge:
    return Bridge(
        row["_uuid"],
        row["name"],
        row["datapath_type"] or "system",  # the schema's default
        tuple(sorted((ports[one] for one in _many(row["ports"])), key=lambda port: port.name)),
        tuple(sorted((mirrors[one] for one in _many(row["mirrors"])), key=lambda mirror: mirror.name)),
        len(_many(row["controller"])),
        row["external_ids"],
    )


def _port(row: Row, interfaces: Mapping[str, Interface]) -> Port:
    return Port(row["_uuid"], row["name"], tuple(interfaces[one] for one in _many(row["interfaces"])), row["external_ids"])


def _interface(row: Row) -> Interface:
    error = _maybe(row.get("error", []))
    ofport, mtu = _maybe(row["ofport"]), _maybe(row.get("mtu", []))
    return Interface(row["_uuid"], row["name"], row["type"], ofport, mtu, error or "", row["statistics"])


def _mirror(row: Row) -> Mirror:
    return Mirror(
        row["_uuid"],
        row["name"],
        row["select_all"],
        _many(row["select_src_port"]),
        _many(row["select_dst_port"]),
        _many(row["select_vlan"]),
        _maybe(row["output_port"]),
        _maybe(row["output_vlan"]),
        _maybe(row.get("snaplen", [])),
        row["external_ids"],
        row["statistics"],
    )
