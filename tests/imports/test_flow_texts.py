"""Flows as other tools print them: nfdump's CSV and JSON beside its files, Argus of QoSient as CSV."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests import needs
from tests.decode.nfdump.files import FLOWS, layout_one
from tests.imports.taking import Taken
from workbench.store.reader import CaseReader
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

SAME = "src_ip, src_port, dst_ip, dst_port, proto, src_pkts, dst_pkts, src_bytes, dst_bytes, vlan, verdict, ts, ts_end"


@needs.program("nfdump")
@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_nfdump_prints_gives_the_flows_of_its_file(tmp_path: Path, form: str) -> None:
    file = tmp_path / "nfcapd.1"
    file.write_bytes(layout_one(FLOWS))
    command = ["nfdump", "-r", str(file), "-o", form]
    text = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"TZ": "UTC"}).stdout
    taken = Taken(tmp_path, f"nfdump-{form}", text)
    index_sources(IndexRequest((str(file),), tmp_path / "binary", telemetry="nfdump"))
    with CaseReader(tmp_path / "binary") as reader:
        told = reader.query(f"SELECT {SAME} FROM flows ORDER BY src_ip, dst_ip").to_pylist()
    printed = taken.rows(f"SELECT {SAME} FROM flows ORDER BY src_ip, dst_ip")
    for row in (*told, *printed):
        if form == "csv":  # which prints whole seconds only
            del row["ts"], row["ts_end"]
        else:  # which does not print the forwarding status
            del row["verdict"]
    assert printed == told
    assert len(told) == 5
    assert taken.state == ["ok"]


ARGUS = """StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label
2018/09/27 22:40:52.362768,1.5,tcp,192.0.2.1,52893,  <?>,192.0.2.12,22,CON,0,0,10,1000,400,
2018/09/27 22:40:53.000000,0.0,udp,192.0.2.1,53,  <-,192.0.2.12,4000,CON,0,0,3,300,100,x
2018/09/27 22:40:54.000000,0.0,icmp,192.0.2.1,0x03,   ->,192.0.2.12,0x0d,URP,0,,2,200,200,
2018/09/27 22:41:57.854743,1.0,arp,192.0.2.12,,  who,192.0.2.1,,CON,,,10,510,300,
cut,line
"""


def test_argus_flows_share_packets_by_bytes(tmp_path: Path) -> None:
    taken = Taken(tmp_path, "binetflow", ARGUS)
    assert taken.flows() == [
        ("192.0.2.1", 52893, "192.0.2.12", 22, 4, 6),
        ("192.0.2.12", 4000, "192.0.2.1", 53, 2, 1),
        ("192.0.2.1", 3, "192.0.2.12", 13, 2, 0),
    ]
    assert taken.flows("src_bytes, dst_bytes, duration")[0] == (400, 600, 1.5)
    assert (taken.ledger["not_a_flow"], taken.where["not_a_flow"]) == (1, "5")
    assert (taken.ledger["bad_line"], taken.where["bad_line"]) == (1, "6")
