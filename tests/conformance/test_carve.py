"""Carving from the whole shared set: every flow has the packets that were counted, and those that tshark's filter selects."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.conformance.captures import captures, folder
from tests.tshark_filters import COLUMNS, same_packets
from workbench.store.reader import CaseReader
from workbench.workflows.carve import CarveRequest, read_frames, searches
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest

pytestmark = pytest.mark.conformance

#: One flow each of up to four captures. IPv4-mapped IPv6 is left out: a row shows it as IPv4, tshark as IPv6.
KINDS = {
    "tcp": "proto = 6 AND tunnel IS NULL AND vlan IS NULL",
    "udp": "proto = 17 AND tunnel IS NULL AND vlan IS NULL",
    "ipv6": "src_ip LIKE '%:%' AND tunnel IS NULL",
    "icmp": "proto = 1",
    "icmpv6": "proto = 58",
    "sctp": "proto = 132",
    "no ports": "proto NOT IN (1, 6, 17, 58, 132)",
    "vlan": "vlan IS NOT NULL AND inner_vlan IS NULL AND tunnel IS NULL AND path NOT LIKE '%http-response-line%'",
    "qinq": "inner_vlan IS NOT NULL",
    "vxlan": "tunnel LIKE 'vxlan%'",
    "geneve": "tunnel LIKE 'geneve%'",
    "gre": "tunnel LIKE '%gre%' AND tunnel NOT LIKE '%nvgre%'",
    "erspan": "tunnel LIKE 'erspan%'",
    "gtp": "tunnel LIKE '%gtpu%'",
}


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, capture_set: None) -> Iterator[CaseReader]:
    """Every capture of the set, each a source of its own."""
    where = tmp_path_factory.mktemp("carve") / "case"
    index_sources(IndexRequest(tuple(str(folder() / name) for name in captures()), where, hash=False, join="never"))
    with CaseReader(where) as reader:
        yield reader


def test_every_packet_of_every_flow_is_found(case: CaseReader) -> None:
    rows = case.query(
        "SELECT s.source_id, s.packets - (SELECT count(*) FROM arp a WHERE a.source_id = s.source_id)"
        " - (SELECT coalesce(sum(count), 0)::BIGINT FROM ledger l WHERE l.source_id = s.source_id AND kind = 'undecoded')"
        " AS n FROM sources s WHERE flows > 0 AND kind NOT IN ('ipfix', 'netflow5', 'netflow9', 'sflow')"
    ).to_pylist()
    found, differences = {}, []
    for search in searches(case, CarveRequest(Path(), filter="")):
        found[search.wanted.source_id] = sum(len(hits.chosen) for hits in search.hits())
        differences += [f"{search.capture.path}: {d}" for d in (search.differences(), *search.ranges.notes) if d]
        search.close()
    assert differences == []
    assert found == {row["source_id"]: row["n"] for row in rows}
    assert len(found) > 200


def flows_of(case: CaseReader, condition: str) -> list[dict[str, Any]]:
    """The same flows wherever the set lies: chosen by the captures' names within it."""
    name = f"md5(path[{len(str(folder())) + 2}:])"
    return case.query(
        f"SELECT {COLUMNS}, path, src_pkts + dst_pkts AS n FROM flows f JOIN sources s USING (source_id)"
        f" WHERE ({condition}) AND src_pkts + dst_pkts BETWEEN 2 AND 3000"
        f" QUALIFY row_number() OVER (PARTITION BY f.source_id ORDER BY md5(f.flow_id::VARCHAR)) = 1 ORDER BY {name} LIMIT 4"
    ).to_pylist()


@needs.program("tshark")
@pytest.mark.parametrize("kind", KINDS)
def test_tshark_selects_the_same_packets(case: CaseReader, kind: str, tmp_path: Path) -> None:
    rows = flows_of(case, KINDS[kind])
    assert rows, f"no flow of the kind {kind} in the set"
    for row in rows:
        same_packets(case, row, tmp_path)
        assert len(list(read_frames(case, row["flow_id"]))) == row["n"]
