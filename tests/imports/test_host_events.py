"""Argus and App Shield into host_events, and the process on a flow. Made up by hand from documents: no such agent is here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.imports.taking import Taken, lines
from workbench.workflows.import_logs import import_logs
from workbench.workflows.requests import IndexRequest

ENDS = {"local_address": "10.0.0.1", "local_port": "40000", "peer_address": "10.0.0.2", "peer_port": 443}
WORKLOAD = {"unique_identifier": "vm-1", "hostname": "h1"}


def message(number: str, *, flat: bool = False, time: str = "2025-01-02T03:04:05.123456789Z", **activity: Any) -> dict[str, Any]:
    header = {"message_id": number, "message_type": "EVENT", "severity": "LOW", "occurred_message_time_iso_8601_ns": time}
    body = {"product_name": "DOCA_ARGUS", "workload_information": WORKLOAD, "activity_data": activity}
    return header | body if flat else {"message_header": header} | body


def connection(number: str, **changes: Any) -> dict[str, Any]:
    process = {"process_id": "77", "process_name": "curl", "process_command_line_arguments": "curl -u bob:hunter2 http://x"}
    activity = {"name": "NETWORK_CONNECTION_CREATED", "process_details": process, "network_connection_details": ENDS}
    return message(number, **(activity | changes))


def test_headers_wrapped_and_flat_numbers_as_text_and_ids_told_again(tmp_path: Path) -> None:
    flat = connection("m1", flat=True, name="network connection created")
    taken = Taken(tmp_path, "argus", lines(connection("m1"), flat, connection("m2", flat=True)))
    rows = taken.rows("SELECT * FROM host_events ORDER BY message_id")
    assert [(r["message_id"], r["kind"], r["pid"], r["local_port"], r["remote_port"], r["proto"]) for r in rows] == [
        (number, "connection", 77, 40000, 443, 6) for number in ("m1", "m2")
    ]
    assert (rows[0]["ts"].microsecond, rows[0]["host"], rows[0]["uid"], rows[0]["severity"]) == (123456, "h1", "vm-1", "LOW")
    assert (taken.ledger["duplicate_line"], taken.where["duplicate_line"]) == (1, "2")


def test_a_command_line_is_kept_as_a_hash_only(tmp_path: Path) -> None:
    taken = Taken(tmp_path, "argus", lines(connection("m1"), connection("m2")))
    hashes = {row["command_hash"] for row in taken.rows("SELECT command_hash FROM host_events")}
    assert len(hashes) == 1
    assert None not in hashes
    assert b"hunter2" not in taken.whole_case()
    again = Taken(tmp_path / "other", "argus", lines(connection("m1"))) if (tmp_path / "other").mkdir() is None else taken
    assert {
        row["command_hash"] for row in again.rows("SELECT command_hash FROM host_events")
    } != hashes  # another case, another key


def test_sentinels_split_lines_lists_and_what_is_broken(tmp_path: Path) -> None:
    alert = message("m3", time="1970-01-01T00:00:00.000000000Z", name="Process Created", process_details={"process_id": 78})
    alert["message_header"]["message_type"] = "ALERT"
    listed = [
        {
            "process_details": {
                "process_id": n,
                "network_connection_list": [{"network_connection_details": ENDS | {"local_port": n}}],
            }
        }
        for n in (1, 2)
    ]
    many = message("m4", name="process list", process_list=listed)
    split = json.dumps(alert, indent=1)
    taken = Taken(tmp_path, "argus", lines(connection("m1"), split, '{"message_header": {"message_id"', many, message("m5")))
    rows = taken.rows("SELECT message_id, kind, ts, local_port FROM host_events ORDER BY message_id, local_port")
    assert [(r["message_id"], r["kind"], r["ts"] is None, r["local_port"]) for r in rows] == [
        ("m1", "connection", False, 40000),
        ("m3", "alert", True, None),
        ("m4", "process", False, 1),
        ("m4", "process", False, 2),
    ]
    assert taken.ledger["bad_line"] == 2
    assert taken.state == ["partial"]


SHIELD = """2024-01-02 03:04:05:678 [APSH][INF] Proc(4321) name: sshd
\tConnection 0  -  Protocol: TCP, local address: 10.0.0.1:40000, local address: 10.0.0.2:443, state ESTABLISHED
\tConnection 1  -  Protocol: TCP, local address: 10.0.0.1:22, local address: 0.0.0.0:0, state LISTEN
2024-01-02 03:05:05 Attestation pass
2024-01-02 03:06:05 Attestation failed
something else
"""


def test_app_shield_prints_the_remote_address_as_a_second_local_one(tmp_path: Path) -> None:
    telemetry = lines(
        {"timestamp": "1704164645000000", "pid": "9", "result": "0", "scan_count": 3, "path": "/usr/bin/x"},
        "1704164646000000,9,-1,4,/usr/bin/x",
    )
    taken = Taken(tmp_path, "appshield", SHIELD + telemetry)
    rows = taken.rows("SELECT * FROM host_events WHERE kind = 'connection' ORDER BY local_port DESC")
    assert [(r["process"], r["pid"], r["local_ip"], r["remote_ip"], r["remote_port"], r["conn_state"]) for r in rows] == [
        ("sshd", 4321, "10.0.0.1", "10.0.0.2", 443, "ESTABLISHED"),
        ("sshd", 4321, "10.0.0.1", "0.0.0.0", 0, "LISTEN"),
    ]
    said = taken.rows("SELECT pid, result, detail FROM host_events WHERE kind = 'attestation' ORDER BY ts")
    assert [tuple(r.values()) for r in said] == [
        (9, "pass", "/usr/bin/x"), (9, "fail", "/usr/bin/x"), (4321, "pass", None), (4321, "fail", None)
    ]  # fmt: skip
    assert taken.ledger["lines_unused"] == 2


def test_the_process_at_either_end_of_a_flow(tmp_path: Path) -> None:
    taken = Taken(
        tmp_path, "argus", lines(connection("m1"), connection("m2", process_details={"process_id": 9, "process_name": "old"}))
    )
    start = 1735787040  # 2025-01-02 03:04:00
    window = f"{start} {start + 60} ACCEPT OK\n"
    text = f"2 1 eni-0a 10.0.0.1 10.0.0.2 40000 443 6 5 500 {window}2 1 eni-0a 10.0.0.2 10.0.0.9 443 40000 6 5 500 {window}"
    late = f"2 1 eni-0a 10.0.0.1 10.0.0.2 40000 443 6 5 500 {start + 3600} {start + 3660} ACCEPT OK\n"
    (tmp_path / "vpc.log").write_text(text + late)
    (tmp_path / "shield.log").write_text(SHIELD.replace("10.0.0.1:22", "10.0.0.9:40000").replace("2024-01-02", "2025-01-02"))
    for form, name in (("vpcflow", "vpc.log"), ("appshield", "shield.log")):
        import_logs(IndexRequest((str(tmp_path / name),), taken.case, form=form))
    columns = "f.ts, p.side, p.process, p.pid, p.events, p.timed"
    rows = taken.rows(f"SELECT {columns} FROM flow_processes p JOIN flows f USING (flow_id) ORDER BY f.src_ip, p.pid")
    assert [(r["side"], r["process"], r["pid"], r["events"], r["timed"]) for r in rows] == [
        ("src", "old", 9, 1, True),
        ("src", "curl", 77, 1, True),
        ("src", "sshd", 4321, 1, True),
        ("dst", "sshd", 4321, 1, True),
    ]
    assert {r["ts"].hour for r in rows} == {3}  # the flow of an hour later has none
    if shutil.which("duckdb"):
        subprocess.run(
            ["duckdb", "-readonly", str(taken.case / "case.duckdb"), "FROM flow_processes"], check=True, capture_output=True
        )
