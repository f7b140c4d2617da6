"""The hunt for protocols on another's port: the flows of `service.unexpected`, whatever protocols there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.detections.shipped import case_of, ends
from workbench.decode.application.homes import homes, stayers, unexpected
from workbench.store.reader import CaseReader
from workbench.store.views import queries_folder
from workbench.workflows.hunt import named_query
from workbench.workflows.show import kept_flows


def hunted(case: CaseReader, **params: object) -> list[dict[str, Any]]:
    with named_query(case, "away-from-home", params) as rows:
        return [row for batch in rows for row in batch.to_pylist()]


def listed() -> list[tuple[str, int, list[int]]]:
    """The homes in the hunt's SQL."""
    text = (queries_folder() / "hunts" / "away-from-home.sql").read_text()
    found = re.findall(r"\('([a-z0-9-]+)', (\d+), \[([\d, ]*)\]\)", text)
    return [(name, int(proto), [int(port) for port in ports.split(",") if port.strip()]) for name, proto, ports in found]


def test_its_homes_are_those_of_the_registry(tmp_path: Path) -> None:
    """One flow of each of its protocols to each port that is home of any of them, and to one that is nobody's."""
    assert len(listed()) > 80
    assert all(name in homes()[proto, port] for name, proto, ports in listed() for port in ports)
    assert stayers() <= {name for name, _, _ in listed()}
    places = [*sorted({(proto, port) for _, proto, ports in listed() for port in ports}), (6, 4444), (17, 4444)]
    rows = [
        {"service": name, "proto": proto, "proto_name": "tcp" if proto == 6 else "udp", "src_port": 50000, "dst_port": port}
        for name in sorted({name for name, _, _ in listed()})
        for proto, port in places
    ]
    rows += [{"service": "dns", "proto": 17, "proto_name": "udp", "src_port": 53, "dst_port": port} for port in (50000, 999)]
    for row in rows:
        row |= ends("10.1.1.1", "10.1.1.2")
    wanted = [row for row in rows if unexpected(row["service"], row["proto"], row["src_port"], row["dst_port"]) is not None]
    with case_of(tmp_path / "case", rows) as case:
        found = hunted(case, rows=100_000)
        kept = case.query(f"SELECT count(*) AS n FROM flows WHERE {kept_flows(case, 'service.unexpected').sql}")["n"][0].as_py()
    keys = [(row["service"], row["proto_name"], row["dst_port"]) for row in found]
    assert sorted(keys) == sorted((row["service"], row["proto_name"], row["dst_port"]) for row in wanted)
    assert kept == len(wanted) > 1000
    numbers = {"tcp": 6, "udp": 17}
    for row in found:
        owners = homes().get((numbers[row["proto_name"]], row["dst_port"]), ())
        assert set((row["home_of"] or "").split(", ")) - {""} <= set(owners)


def test_what_a_person_reads(tmp_path: Path) -> None:
    there = ends("10.1.1.1", "10.1.1.2")
    rows = [{**there, "service": "ssh", "dst_port": 443, "src_port": 40000 + n} for n in range(3)]
    rows += [{**there, "service": "ssh", "dst_port": 22, "src_port": 40000}, {**there, "service": None, "dst_port": 443}]
    with case_of(tmp_path / "case", rows) as case:
        (row,) = hunted(case)
        assert (row["src_ip"], row["dst_ip"], row["service"], row["home_of"]) == ("10.1.1.1", "10.1.1.2", "ssh", "tls")
        assert row["connections"] == 3
        assert hunted(case, least=4) == []


def test_of_the_samples_it_gives_what_contradicts(sampled: CaseReader) -> None:
    known = {name for name, _, _ in listed()}
    rows = sampled.query("SELECT service, proto, src_port, dst_port FROM flows WHERE service IS NOT NULL").to_pylist()
    wanted = [row for row in rows if row["service"].split(",")[0] in known and unexpected(*row.values()) is not None]
    assert len(rows) > 100 + len(wanted)  # nearly all of them say nothing
    assert sum(row["connections"] for row in hunted(sampled, rows=10_000)) == len(wanted)
