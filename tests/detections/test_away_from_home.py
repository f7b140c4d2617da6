"""The hunt for protocols on another's port: the flows of `service.unexpected`, whatever protocols there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.detections.shipped import case_of, ends
from workbench.decode.application.homes import homes, unexpected
from workbench.decode.application.registry import protocols
from workbench.store.reader import CaseReader
from workbench.workflows.hunt import named_query
from workbench.workflows.show import kept_flows


def hunted(case: CaseReader, **params: object) -> list[dict[str, Any]]:
    with named_query(case, "away-from-home", params) as rows:
        return [row for batch in rows for row in batch.to_pylist()]


def test_it_knows_the_same_homes_as_the_registry(tmp_path: Path) -> None:
    """One flow of each protocol to each port that is anybody's home, and to one that is nobody's."""
    rows = [
        {
            "service": protocol.name,
            "proto": proto,
            "proto_name": "tcp" if proto == 6 else "udp",
            "src_port": 50000,
            "dst_port": port,
        }
        for protocol in protocols()
        for proto, port in [*homes(), (6, 4444), (17, 4444)]
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
        assert row["home_of"] == (", ".join(sorted(owners)) or None)


def test_what_a_person_reads(tmp_path: Path) -> None:
    there = ends("10.1.1.1", "10.1.1.2")
    rows = [{**there, "service": "ssh", "dst_port": 443, "src_port": 40000 + n} for n in range(3)]
    rows += [{**there, "service": "ssh", "dst_port": 22, "src_port": 40000}, {**there, "service": None, "dst_port": 443}]
    with case_of(tmp_path / "case", rows) as case:
        (row,) = hunted(case)
        assert (row["src_ip"], row["dst_ip"], row["service"], row["home_of"]) == ("10.1.1.1", "10.1.1.2", "ssh", "tls")
        assert row["connections"] == 3
        assert hunted(case, least=4) == []


def test_the_samples_are_silent(sampled: CaseReader) -> None:
    assert hunted(sampled) == []
