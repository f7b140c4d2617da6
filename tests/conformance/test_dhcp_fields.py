"""The dhcp table against what tshark shows of every message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.conformance.captures import folder, read
from tests.conformance.fields import Agreement, Shown, asked
from tests.decode.application import test_dhcp
from workbench.decode.application.dhcp_names import V4_MESSAGES, V6_MESSAGES

CHOSEN = (
    "arkime/wireshark-dhcpv6.pcap",
    "ipfixprobe/sip.pcap",
    "ja4/dhcpv6.pcap",
    "suricata/decode-dce/input.pcap",
    "suricata/dhcp-option-52-overload/input.pcap",
    "suricata/smb2-07/20171220_smb_psexec_add_user.pcap",
    "tcpdump/dcb_ets.pcap",
    "tcpdump/dcb_pfc.pcap",
    "tcpdump/dcb_qcn.pcap",
)
_V4 = {
    "client_mac": "dhcp.hw.mac_addr",
    "assigned_ip": "dhcp.ip.your",
    "relay_ip": "dhcp.ip.relay",
    "host_name": "dhcp.option.hostname",
    "lease": "dhcp.option.ip_address_lease_time",
    "server_ip": "dhcp.option.dhcp_server_id",
    "routers": "dhcp.option.router",
    "dns_servers": "dhcp.option.domain_name_server",
    "domain": "dhcp.option.domain_name",
    "vendor": "dhcp.option.vendor_class_id",
    "parameters": "dhcp.option.request_list_item",
}
_V6 = {
    "client_mac": "dhcpv6.duidllt.link_layer_addr",
    "client_id": "dhcpv6.duid.bytes",
    "vendor": "dhcpv6.vendorclass.data",
    "parameters": "dhcpv6.requested_option_code",
    "dns_servers": "dhcpv6.dns_server",
}
_OTHERS = (
    "frame.number", "frame.time_epoch", "dhcpv6.iaprefix.pref_addr", "dhcpv6.iaprefix.pref_len", "dhcp.id",
    "dhcp.option.dhcp", "dhcp.ip.client", "dhcp.option.requested_ip_address", "dhcpv6.msgtype", "dhcpv6.xid",
    "dhcpv6.iaaddr.ip", "dhcpv6.iaaddr.valid_lifetime", "dhcpv6.duid.type",
)  # fmt: skip
_SINGLE = ("client_mac", "client_id", "server_ip")


def _version4(where: str, row: dict[str, Any], shown: Shown, agreed: Agreement) -> None:
    agreed.same(where, "xid", row["xid"], int(shown["dhcp.id"][0], 0))
    if shown["dhcp.option.dhcp"]:
        agreed.same(where, "message", row["message"], V4_MESSAGES.get(int(shown["dhcp.option.dhcp"][0])))
    has = [ip for ip in (*shown["dhcp.ip.client"], *shown["dhcp.option.requested_ip_address"]) if ip != "0.0.0.0"]
    agreed.same(where, "client_ip", row["client_ip"], has[0] if has else None)
    _same(where, row, shown, _V4, agreed)


def _same(where: str, row: dict[str, Any], shown: Shown, fields: dict[str, str], agreed: Agreement) -> None:
    for ours, name in fields.items():
        values = [value for value in shown[name] if value not in ("0.0.0.0", "")]
        theirs = ",".join(values[:1] if ours in _SINGLE else values) or None
        agreed.same(where, ours, None if row[ours] is None else str(row[ours]), theirs)


def _version6(where: str, row: dict[str, Any], shown: Shown, agreed: Agreement) -> None:
    inner = [int(kind) for kind in shown["dhcpv6.msgtype"]][-1]
    agreed.same(where, "message", row["message"], V6_MESSAGES.get(inner))
    agreed.same(where, "xid", row["xid"], int(shown["dhcpv6.xid"][-1], 0))
    given, other = ("assigned_ip", "client_ip") if inner in (2, 7) else ("client_ip", "assigned_ip")
    prefixes = zip(shown["dhcpv6.iaprefix.pref_addr"], shown["dhcpv6.iaprefix.pref_len"], strict=True)
    agreed.same(where, given, row[given], [*shown["dhcpv6.iaaddr.ip"], *(f"{ip}/{size}" for ip, size in prefixes), None][0])
    agreed.same(where, other, row[other], None)
    fields = dict(_V6) if shown["dhcpv6.duid.type"][:1] == ["1"] else {k: v for k, v in _V6.items() if k != "client_mac"}
    _same(where, row, {**shown, "dhcpv6.duid.bytes": [v.replace(":", "") for v in shown["dhcpv6.duid.bytes"]]}, fields, agreed)


def _ours(path: Path) -> Path:
    """Messages of the parser's own tests, which say more than the captures do."""
    said = [(68, 67, test_dhcp.DISCOVER), (67, 68, test_dhcp.OFFER), (546, 547, test_dhcp.SOLICIT), (547, 546, test_dhcp.REPLY)]
    path.write_bytes(pcap([(1.7e9 + n, udp_frame(n, 9, src, dst, data)) for n, (src, dst, data) in enumerate(said, 1)]))
    return path


def compare(path: Path, agreed: Agreement) -> None:
    """Message by message, in order of time: one capture goes back in it."""
    rows = sorted(read(path).rows("dhcp"), key=lambda row: row["ts"])
    shown = asked(path, "(dhcp || dhcpv6) && !icmp && !icmpv6", (*_OTHERS, *_V4.values(), *_V6.values()))
    shown.sort(key=lambda message: message["frame.time_epoch"])
    agreed.same(path.name, "messages", len(rows), len(shown))
    for row, message in zip(rows, shown, strict=False):
        where = f"{path.name} #{message['frame.number'][0]}"
        (_version4 if message["dhcp.id"] else _version6)(where, row, message, agreed)


@needs.program("tshark")
@pytest.mark.conformance
def test_fields_agree_with_tshark(tmp_path: Path) -> None:
    agreed = Agreement()
    for path in (_ours(tmp_path / "ours.pcap"), *(folder() / name for name in CHOSEN)):
        if path.exists():
            compare(path, agreed)
    agreed.demand()
