"""The same traffic of a DPU seen four ways at once, as it comes: by its mirror, and told of as IPFIX, NetFlow 5 and sFlow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import needs
from tests.lab import marks, switch
from tests.lab.dataplane import DpuLab
from workbench.store.reader import CaseReader

pytestmark = [*marks.SHARED, needs.program("ping")]

SOURCES = {
    "mirror": "mirror1",
    "ipfix": f"ipfix://127.0.0.1:{switch.IPFIX}",
    "netflow": f"netflow://127.0.0.1:{switch.NETFLOW}",
    "sflow": f"sflow://127.0.0.1:{switch.SFLOW}",
}


class Seeing:
    """`workbench attach` of each source, on the DPU."""

    def __init__(self, lab: DpuLab, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for name, source in SOURCES.items():
            words = [sys.executable, "-m", "workbench", "attach", source, "--case", str(folder / name), "--headless"]
            line, environment = lab.command("dpu1", [*words, "--status", "json", "--status-every", "0.5"])
            with self._log(name).open("wb") as log:
                self.processes[name] = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=log)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def now(self, name: str) -> dict[str, Any]:
        lines = [line for line in self._log(name).read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {"state": "", "flows": 0, "packets": 0}
        return found

    def until(self, right: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + 180  # four times the kernels are loaded at once
        while not all(right(self.now(name)) for name in SOURCES):
            assert time.monotonic() < end, {name: self.now(name) for name in SOURCES}
            time.sleep(0.1)

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(120) for process in self.processes.values()] == [0] * len(SOURCES)

    def conversations(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Of IPv4, by addresses and ports."""
        named = ", ".join(("src_ip", "dst_ip", "src_port", "dst_port", "proto", *columns))
        sql = f"SELECT {named} FROM conversations WHERE dst_ip LIKE '10.20.%' AND proto IN (1, 6, 17) ORDER BY ALL"
        with CaseReader(self.folder / name) as reader:
            return [tuple(row.values()) for row in reader.query(sql).to_pylist()]

    def ledger(self, name: str) -> dict[str, int]:
        with CaseReader(self.folder / name) as reader:
            rows = reader.query("SELECT reason, sum(count)::BIGINT AS n FROM ledger GROUP BY 1").to_pylist()
        return {row["reason"]: row["n"] for row in rows}


def test_four_ways_of_seeing_are_the_same_conversations(dpu_lab: DpuLab, tmp_path: Path) -> None:
    lab = dpu_lab
    web, dns, far = (lab.plan.host(name).address for name in ("web", "dns", "train-0"))
    lab.run("app1", ["ping", "-c", "1", web])  # who has which address is known: no ARP later
    seeing = Seeing(lab, tmp_path)
    try:
        seeing.until(lambda now: now["state"] == "capturing")
        lab.export("dpu1")
        for _ in range(3):
            lab.run("app1", ["curl", "-s", "-o", os.devnull, f"http://{web}/lab"])
        lab.run("app1", ["dig", "+short", f"@{dns}", "web.shop"])
        lab.run("app1", ["ping", "-q", "-c", "5", "-i", "0.1", "-s", "400", web])
        lab.run("models", ["ping", "-q", "-c", "2", "-i", "0.1", far])
        seeing.until(lambda now: now["flows"] >= 6)
        seeing.stop()
    finally:
        for process in seeing.processes.values():
            process.kill()
    octets = ("src_bytes", "dst_bytes")
    counts = {name: seeing.conversations(name, "src_pkts", "dst_pkts") for name in SOURCES}
    assert len(counts["mirror"]) == 6
    assert counts == dict.fromkeys(SOURCES, counts["mirror"])
    sizes = {name: seeing.conversations(name, *octets) for name in ("mirror", "ipfix", "sflow")}
    assert sizes == dict.fromkeys(sizes, sizes["mirror"])
    told = [n for row in seeing.conversations("netflow", *octets) for n in row[5:]]
    sent = [n for row in sizes["mirror"] for n in row[5:]]
    assert all(more > n for more, n in zip(told, sent, strict=True))  # it counts frames, and tunnels around them
    networks = {name: {n for row in seeing.conversations(name, "network", "network_back") for n in row[5:]} for name in SOURCES}
    assert networks["mirror"] == {"vlan:101", "vlan:102", None}  # the tags by which the bridge keeps tenants apart
    assert networks["netflow"] == networks["sflow"] == {"", None}
    assert networks["ipfix"] == {"", "vni:5001", "vni:6001"}  # it tells of the tunnel that packets came out of
    ledger = {name: seeing.ledger(name) for name in SOURCES}
    assert ledger["ipfix"]["half_flows"] == 6
    assert ledger["ipfix"]["records_unpaired"] >= 12  # two halves each, in as many pieces as the switch told them
    for name in ("ipfix", "netflow", "sflow"):
        assert ledger[name]["telemetry_read"]
        assert not ledger[name].keys() & {"telemetry_lost", "telemetry_malformed", "dropped"}
