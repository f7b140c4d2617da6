"""The tables smb, dcerpc and kerberos against what tshark shows of the same messages, and against Zeek's dce_rpc.log.

tshark shows interim answers (STATUS_PENDING) too, which complete nothing; SMB over NetBIOS datagrams is none of our flows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests import needs
from tests.conformance.captures import folder, read
from tests.conformance.fields import Agreement, Shown, asked
from workbench.decode.application.dcerpc_names import interface
from workbench.decode.application.kerberos_names import ERRORS
from workbench.decode.application.nt_status import status
from workbench.decode.application.smb_names import DIALECTS, SMB1, SMB2

CHOSEN = (
    "arkime/smb-smbclient.pcap",
    "arkime/smbtorture-ntlmssp.pcap",
    "attack/otrf/covenant_sc_query_dcerpc_smb_svcctl/covenant_sc_query_dcerpc_smb_svcctl_2020-08-05034820.cap",
    "attack/otrf/covenant_sharpsc_create_dcerpc_smb_svcctl/covenant_sharpsc_create_dcerpc_smb_svcctl_2020-08-06022635.cap",
    "attack/otrf/empire_getsession_dcerpc_smb_srvsvc_NetSessEnum/empire_getsession_dcerpc_smb_srvsvc_NetSessEnum_2020-09-22034513.cap",
    "attack/zerologon/CVE-2020-1472_exploit_win2019.pcap",
    "suricata/krb5-kerberoasting/kerberoast.pcap",
    "suricata/smb2-07/20171220_smb_psexec_add_user.pcap",
    "suricata/smb2-async/input.pcap",
    "suricata/smb2-delete/input.pcap",
    "zeek/traces/dce-rpc/dce_rpc_netlogon.pcapng",
)
_FIELDS = (
    "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
    "smb2.cmd", "smb2.flags.response", "smb2.nt_status", "smb2.dialect", "smb2.tree",
    "smb.cmd", "smb.flags.response", "smb.nt_status", "dcerpc.pkt_type", "dcerpc.opnum", "dcerpc.cn_bind_to_uuid",
    "kerberos.msg_type", "kerberos.error_code",
)  # fmt: skip
_SHOWN = "(tcp && (smb || smb2 || dcerpc || kerberos)) || (udp && dcerpc && !icmp)"
_PENDING = 0x103

Kinds = Counter[tuple[Any, ...]]


def _said(shown: list[Shown]) -> Kinds:
    """How often tshark shows each thing, by the ports of its flow."""
    found: Kinds = Counter()
    for each in shown:
        layer = "tcp" if each["tcp.srcport"] else "udp"
        flow = frozenset((int(each[f"{layer}.srcport"][0]), int(each[f"{layer}.dstport"][0])))
        codes = iter(each["smb2.nt_status"])
        for command, response in zip(each["smb2.cmd"], each["smb2.flags.response"], strict=True):
            if response in ("1", "True") and (code := int(next(codes), 0)) != _PENDING:
                found["smb", flow, SMB2[int(command)], status(code)] += 1
        if each["smb.cmd"] and each["smb.flags.response"][0] in ("1", "True"):
            found["smb", flow, SMB1[int(each["smb.cmd"][0], 0)], status(int(each["smb.nt_status"][0], 0))] += 1
        if "1" in each["smb2.flags.response"] or "True" in each["smb2.flags.response"]:
            for dialect in each["smb2.dialect"][-1:]:
                found["dialect", flow, DIALECTS[int(dialect, 0)]] = 1
        for share in each["smb2.tree"]:
            found["share", flow, share.replace("\\\\\\\\", "\\\\")] = 1
        for uuid in each["dcerpc.cn_bind_to_uuid"]:
            found["bind", flow, uuid] = 1
        if each["dcerpc.pkt_type"] and set(each["dcerpc.pkt_type"]) == {"0"}:
            for opnum in each["dcerpc.opnum"]:
                found["call", flow, int(opnum)] += 1
        for kind in each["kerberos.msg_type"]:
            if kind in ("10", "12"):
                found["kerberos", flow, {"10": "AS", "12": "TGS"}[kind]] += 1
        for error in each["kerberos.error_code"]:
            found["kerberos", flow, ERRORS[int(error)]] += 1
    return found


def _ours(name: str) -> Kinds:
    """The same of our tables."""
    reading = read(name)
    flows = {row["flow_id"]: frozenset((row["src_port"], row["dst_port"])) for row in reading.rows()}
    found: Kinds = Counter()
    for row in reading.rows("smb"):
        flow = flows[row["flow_id"]]
        if row["status"]:
            found["smb", flow, row["command"], row["status"]] += row["count"]
        if row["version"] != "1" and row["dialect"]:
            found["dialect", flow, row["dialect"]] = 1
        if row["version"] != "1" and row["share"]:
            found["share", flow, row["share"]] = 1
    for row in reading.rows("dcerpc"):
        flow = flows[row["flow_id"]]
        if row["opnum"] is None:
            found["bind", flow, row["uuid"]] = 1
        else:
            found["call", flow, row["opnum"]] += row["count"]
    for row in reading.rows("kerberos"):
        flow = flows[row["flow_id"]]
        if row["type"] in ("AS", "TGS"):
            found["kerberos", flow, row["type"]] += 1
        if row["error"]:
            found["kerberos", flow, row["error"]] += 1
    return found


def compare(name: str, agreed: Agreement, kinds: tuple[str, ...] = ()) -> None:
    """Compare what is said how often in a capture; kinds: of these only."""
    theirs, ours = _said(asked(folder() / name, _SHOWN, _FIELDS)), _ours(name)
    for kind in sorted(theirs.keys() | ours.keys(), key=repr):
        if not kinds or kind[0] in kinds:
            agreed.same(f"{name} {kind}", kind[0], ours[kind], theirs[kind])


@needs.program("tshark")
def test_what_is_said_in_windows_networks() -> None:
    agreed = Agreement()
    for name in CHOSEN:
        compare(name, agreed)
    agreed.demand()
    assert agreed.compared.keys() >= {"smb", "dialect", "share", "bind", "call", "kerberos"}


@pytest.mark.parametrize("name", ["dce_rpc_netlogon"])
def test_calls_as_zeek_names_them(name: str) -> None:
    log = folder() / f"zeek/expected/scripts.base.protocols.dce-rpc.{name}/dce_rpc.log"
    lines = log.read_text().splitlines()
    columns = next(line.split("\t")[1:] for line in lines if line.startswith("#fields"))
    theirs = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines if line and not line.startswith("#")]
    ours = read(f"zeek/traces/dce-rpc/{name}.pcapng").rows("dcerpc")
    calls = [(row["interface"], row["operation"]) for row in ours if row["operation"] for _ in range(row["count"])]
    assert sorted(calls) == sorted((row["endpoint"], row["operation"]) for row in theirs)
    assert calls[0][0] == interface("12345678-1234-abcd-ef00-01234567cffb")
