"""Ports of OVN to claims: `ovn-nbctl --format=json list Logical_Switch_Port` (and NAT), `ovn-sbctl ... list Port_Binding`.

One JSON object: `headings` and `data`, values as OVSDB writes them (RFC 7047: ["uuid", U], ["set", [...]], ["map", [[k, v]...]]).
The database has no times: what it lists held when it was listed, from then on as far as is known.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Final

from workbench.records.claims import Claim, claimed_address, claimed_labels, claimed_mac, claimed_text
from workbench.sources.inventory.told import Told

ORIGIN: Final = "ovn"
#: The manager's own record. Which tenant network a logical switch is on the wire it does not say, the tunnel key aside.
STRENGTH: Final = 1.0
MOST_BYTES: Final = 256 << 20
_KEPT_TYPES: Final = ("", "localport", "virtual", "vtep", "l3gateway")
#: Keys of external_ids that name things; others may hold anything.
_LABELS: Final = (
    "neutron:network_name",
    "neutron:project_id",
    "neutron:device_id",
    "neutron:device_owner",
    "namespace",
    "pod",
    "k8s.ovn.org/nad",
)


def read_ovn(data: bytes, at: dt.datetime, told: Told) -> None:
    """Claims of one listing, made at that time (naive UTC). Raises ValueError where it is none of these tables."""
    try:
        table = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(table, dict) or not isinstance(table.get("headings"), list) or not isinstance(table.get("data"), list):
        raise ValueError("no object with headings and data: list with --format=json")
    headings = [str(name)[:64] for name in table["headings"]]
    if "logical_ip" in headings and "external_ip" in headings:
        read = _nat
    elif "addresses" in headings or "mac" in headings:
        read = _port
    else:
        raise ValueError("no table of ports: neither Logical_Switch_Port nor Port_Binding nor NAT")
    for n, values in enumerate(table["data"], 1):
        told.objects += 1
        if not isinstance(values, list) or len(values) != len(headings):
            told.bad("a row of another length than its headings", f"row {n}")
            continue
        read(dict(zip(headings, map(plain, values), strict=True)), at, f"row {n}", told)


def plain(value: Any) -> Any:
    """A value of OVSDB as text, number, list or dict; uuids are text, an empty set is an empty list."""
    if not isinstance(value, list) or len(value) != 2:
        return value
    kind, inner = value
    if kind in ("uuid", "named-uuid"):
        return inner
    if kind == "set" and isinstance(inner, list):
        return [plain(one) if isinstance(one, list) and one[:1] != ["set"] else one for one in inner]
    if kind == "map" and isinstance(inner, list):
        pairs = [one for one in inner if isinstance(one, list) and len(one) == 2]
        return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}
    return value


def _port(row: dict[str, Any], at: dt.datetime, where: str, told: Told) -> None:
    ids, options = row.get("external_ids"), row.get("options")
    ids, options = (ids if isinstance(ids, dict) else {}), (options if isinstance(options, dict) else {})
    port = claimed_text(row.get("name")) or claimed_text(row.get("logical_port"))
    kind = row.get("type") or ""
    if kind not in _KEPT_TYPES:
        return  # ports of routers, and to the world outside: no workload
    if port is None:
        told.bad("a port without a name", where)
        return
    told_addresses = row["addresses"] if "addresses" in row else row.get("mac")
    listed = told_addresses if isinstance(told_addresses, list) else [told_addresses]
    if "dynamic_addresses" in row and any(isinstance(one, str) and "dynamic" in one for one in listed):
        dynamic = row["dynamic_addresses"]
        listed = [*listed, *(dynamic if isinstance(dynamic, list) else [dynamic])]
    found = [pair for text in listed[:1000] for pair in _pairs(text)]
    if not found:
        told.bad("a port without an address", where)
        return
    name = ids.get("neutron:device_name") or ids.get("neutron:port_name") or ids.get("pod_name") or port
    namespace = ids.get("namespace") or ids.get("neutron:project_id")
    uid = claimed_text(ids.get("neutron:device_id")) or claimed_text(ids.get("iface-id")) or f"{ORIGIN}:{port}"
    node = claimed_text(options.get("requested-chassis"))
    labels = claimed_labels({key: ids[key] for key in _LABELS if key in ids})
    pod = "pod" in ids or "pod_name" in ids or ids.get("pod") == "true"
    base = (claimed_text(name), claimed_text(namespace), node, labels or None)
    for mac, ip in dict.fromkeys(found):
        told.claim(
            Claim(uid, "pod" if pod else "vm", ORIGIN, STRENGTH, *base, ip=ip, mac=mac, ts_from=at, ts_seen=at,
                  detail=f"port {port}"[:512])
        )  # fmt: skip


def _pairs(text: Any) -> list[tuple[str | None, str]]:
    """MAC and each address of `0a:58:.. 10.0.0.5 fd00::5`; addresses may have a prefix length."""
    if not isinstance(text, str):
        return []
    words = text.split()[:64]
    mac = claimed_mac(words[0]) if words else None
    ips = [claimed_address(word.partition("/")[0]) for word in (words[1:] if mac else words)]
    return [(mac, ip) for ip in ips if ip is not None]


def _nat(row: dict[str, Any], at: dt.datetime, where: str, told: Told) -> None:
    ip = claimed_address(row.get("external_ip"))
    if ip is None:
        told.bad("a translation without an external address", where)
        return
    inner, kind = claimed_text(row.get("logical_ip"), 64), claimed_text(row.get("type"), 32)
    port = row.get("logical_port")
    name = claimed_text(port) if isinstance(port, str) else None
    mac = row.get("external_mac")
    told.claim(
        Claim(f"{ORIGIN}:nat/{ip}", "nat", ORIGIN, STRENGTH, name or f"nat {ip}", ip=ip, ts_from=at, ts_seen=at,
              mac=claimed_mac(mac if isinstance(mac, str) else None), detail=f"{kind} of {inner}")
    )  # fmt: skip
