"""docs/lab.md tells of what the lab has: its hosts, ports, and everything DpuLab can do."""

from __future__ import annotations

from pathlib import Path

from tests.lab import switch
from tests.lab.dataplane import DpuLab
from tests.lab.plan import DEFAULT

PAGE = (Path(__file__).parents[2] / "docs" / "lab.md").read_text("utf-8")


def test_every_host_network_and_port_is_there() -> None:
    for host in DEFAULT.hosts:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {host.network.name}, {host.network.prefix}.0/24"))
        assert f"{host.name} .{host.number}" in row
        assert host.port in PAGE
    for network in DEFAULT.tunnelled():
        assert f"VNI {network.vni}" in PAGE
        assert str(network.tag) in PAGE
    assert all(f"({port})" in PAGE or f"({port};" in PAGE for port in (switch.IPFIX, switch.NETFLOW, switch.SFLOW))


def test_every_call_is_there() -> None:
    calls = {name for name, value in vars(DpuLab).items() if callable(value) and not name.startswith("_")}
    assert {name for name in calls if f"`{name}" not in PAGE and f", `{name}`" not in PAGE} == set()
