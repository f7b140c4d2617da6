"""Listings of who holds which address into a case: rows of `claims`, a source a file, the rest in the ledger."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from tests.sources.inventory.kubernetes_samples import SECRET, event, listing, pod, service
from tests.store.rows import batch, flow, source
from workbench.errors import UsageError
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter
from workbench.workflows.inventory import import_inventory
from workbench.workflows.requests import IndexResult, InventoryFormat, InventoryRequest

_HOUR = 1_730_800_800  # 2024-11-05 10:00:00


def write(folder: Path, name: str, data: bytes, hour: float = 1.0) -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, (_HOUR + hour * 3600,) * 2)
    return path


def read(case: Path, form: InventoryFormat, *paths: Path, network: str | None = None) -> IndexResult:
    return import_inventory(InventoryRequest(tuple(map(str, paths)), case, form, network=network))


def rows(case: Path, sql: str) -> list[dict[str, Any]]:
    with CaseReader(case) as reader:
        found: list[dict[str, Any]] = reader.query(sql).to_pylist()
    return found


def test_a_listing_is_a_source_without_packets_and_its_claims_are_rows(tmp_path: Path) -> None:
    broken = listing(pod("w-1", "10.0.0.1"), service("web", "10.96.0.1"), {"kind": "Pod"}, {"kind": "Secret", "data": SECRET})
    case, path = tmp_path / "case", write(tmp_path, "all.json.gz", gzip.compress(broken))
    result = read(case, "kubernetes", path)
    (source,) = result.sources
    assert (source["kind"], source["state"], source["packets"], source["flows"]) == ("kubernetes", "ok", 0, 0)
    assert source["sha256"] is not None
    assert {one["name"] for one in rows(case, "SELECT name FROM workloads")} == {"w-1", "web", "node-a"}  # named at once
    claims = rows(case, "SELECT name, kind, ip, source_id FROM claims ORDER BY ip")
    assert [(one["name"], one["kind"], one["ip"]) for one in claims] == [
        ("w-1", "pod", "10.0.0.1"),
        ("web", "service", "10.96.0.1"),
        ("node-a", "node", "192.0.2.11"),
    ]
    ledger = {row["reason"]: (row["count"], row["detail"]) for row in rows(case, "SELECT * FROM ledger")}
    assert ledger["lines_read"] == (4, "claims: 1 node, 1 pod, 1 service")
    assert ledger["not_a_claim"][0] == 1
    assert ledger["not_a_claim"][1].startswith("Pod without a name: line ")
    assert ledger["lines_unused"][0] == 1
    assert SECRET not in str(rows(case, "SELECT * FROM claims")) + str(ledger)


def test_a_file_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, "pods.json", listing(pod("w-1", "10.0.0.1")))
    read(tmp_path / "case", "kubernetes", path)
    assert read(tmp_path / "case", "kubernetes", path).skipped == [str(path)]
    assert len(rows(tmp_path / "case", "SELECT * FROM claims WHERE kind = 'pod'")) == 1


def test_a_list_of_a_later_run_ends_what_it_lacks(tmp_path: Path) -> None:
    case = tmp_path / "case"
    before = write(tmp_path, "1.json", listing(pod("a-1", "10.0.0.1"), pod("b-1", "10.0.0.2")), 1)
    after = write(tmp_path, "2.json", listing(pod("b-1", "10.0.0.2")), 2)
    read(case, "kubernetes", before)
    read(case, "kubernetes", after)
    (end,) = rows(case, "SELECT uid, ts_to, confidence FROM claims WHERE ip IS NULL")
    assert (end["uid"], end["confidence"]) == ("uid-a-1", 0.6)
    again = write(tmp_path, "3.json", listing(pod("b-1", "10.0.0.2")), 3)
    read(case, "kubernetes", again)
    assert len(rows(case, "SELECT * FROM claims WHERE ip IS NULL")) == 1  # what ended ends once


def test_clusters_of_networks_with_the_same_addresses_are_told_apart_and_do_not_end_each_other(tmp_path: Path) -> None:
    case = tmp_path / "case"
    red = write(tmp_path, "red.json", listing(pod("a-1", "10.0.0.1")), 1)
    blue = write(tmp_path, "blue.json", listing(pod("b-1", "10.0.0.1", host="192.0.2.12")), 2)
    read(case, "kubernetes", red, network="vni:5001")
    read(case, "kubernetes", blue, network="vni:5002")
    pods = rows(case, "SELECT name, network, ts_to, claimants FROM workloads WHERE kind = 'pod' ORDER BY name")
    assert [tuple(one.values()) for one in pods] == [("a-1", "vni:5001", None, 1), ("b-1", "vni:5002", None, 1)]
    assert rows(case, "SELECT * FROM claims WHERE ip IS NULL") == []
    later = write(tmp_path, "blue-later.json", listing(pod("c-1", "10.0.0.3", host="192.0.2.12")), 3)
    read(case, "kubernetes", later, network="vni:5002")
    assert [one["uid"] for one in rows(case, "SELECT uid FROM claims WHERE ip IS NULL")] == ["uid-b-1"]


def test_names_without_a_network_for_addresses_of_several_are_warned_of(tmp_path: Path) -> None:
    case = tmp_path / "case"
    ends = {"src_ip": "10.0.0.1", "dst_ip": "10.0.0.9"}
    with CaseWriter(case) as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", [flow(n, 1, network=name, **ends) for n, name in enumerate(("vni:1", "vni:2"))]))
        writer.update_source(1, state="ok", flows=2)
    one, two = (
        write(tmp_path, "1.json", listing(pod("a-1", "10.0.0.1"))),
        write(tmp_path, "2.json", listing(pod("b-1", "10.0.0.1"))),
    )
    (note,) = read(case, "kubernetes", one).notes
    assert note.startswith("1 of the addresses have no network in the list and are in several here (vni:1, vni:2)")
    assert read(case, "kubernetes", two, network="vni:2").notes == []


def test_what_is_wrong_with_lines_makes_a_source_partial_and_is_told_with_its_place(tmp_path: Path) -> None:
    log = (
        event("ADDED", pod("w-1", "10.0.0.1"))
        + b"E0000 lost\n"
        + event("ERROR", {"code": 410})
        + event("ADDED", pod("w-2", "10.0.0.2"))
    )
    result = read(tmp_path / "case", "kubernetes", write(tmp_path, "watch.json", log))
    assert result.sources[0]["state"] == "partial"
    told = {row["reason"]: row["detail"] for row in result.ledger}
    assert told["bad_line"] == "not a JSON object: line 2"
    assert told["capture_gap"] == "line 3: the watch ended with 410"
    assert len(rows(tmp_path / "case", "SELECT * FROM claims WHERE kind = 'pod'")) == 2


def test_a_cut_compressed_file_costs_nothing_before_the_cut(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(event("ADDED", pod(f"w-{n}", f"10.0.{n // 250}.{n % 250 + 1}")) for n in range(500)))
    path = write(tmp_path, "watch.json.gz", whole[: len(whole) * 2 // 3])
    (source,) = read(tmp_path / "case", "kubernetes", path).sources
    assert source["state"] == "partial"
    assert rows(tmp_path / "case", "SELECT count(*) AS n FROM claims")[0]["n"] > 100


@pytest.mark.parametrize("form", ["ovn", "libvirt", "claims"])
def test_a_file_of_another_kind_is_refused_and_the_case_stays(tmp_path: Path, form: InventoryFormat) -> None:
    result = read(tmp_path / "case", form, write(tmp_path, "x.txt", b"something else\n"))
    assert [row["state"] for row in result.sources] == ["refused"]
    assert len(result.refused) == 1
    assert rows(tmp_path / "case", "SELECT * FROM claims") == []


def test_files_of_libvirt_are_one_source_and_csv_is_one_each(tmp_path: Path) -> None:
    interface = b"<devices><interface><mac address='52:54:00:00:00:01'/></interface></devices>"
    xml = b"<domain><name>db-1</name><uuid>u-1</uuid>" + interface + b"</domain>"
    table = b" Name MAC address Protocol Address\n-----------\n vnet0 52:54:00:00:00:01 ipv4 10.1.0.5/24\n"
    case = tmp_path / "case"
    result = read(case, "libvirt", write(tmp_path, "db-1.xml", xml), write(tmp_path, "other.txt", table))
    assert len(result.sources) == 1
    assert len(rows(case, "SELECT * FROM source_files")) == 2
    read(case, "claims", write(tmp_path, "own.csv", b"ip,name,network\n10.0.0.9,x,vni:7\n"))
    found = rows(case, "SELECT uid, name, network, confidence, source_id FROM claims ORDER BY source_id")
    assert [(one["uid"], one["network"], one["source_id"]) for one in found] == [("u-1", None, 1), ("csv:/x", "vni:7", 2)]


def test_nothing_to_import_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no file"):
        read(tmp_path / "case", "kubernetes", tmp_path / "empty")
