"""Lines that somebody made to break a format stand between two good ones: both are there, and nothing is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.imports.taking import Taken, lines
from tests.imports.test_host_events import connection
from tests.imports.test_hubble import event
from tests.imports.test_psm import BEGUN, HEAD

#: What a value can be that nobody expects.
STRANGE: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1e300,
        10**40,
        "",
        "x",
        "'",
        '"',
        "-",
        "1e999",
        "NaN",
        "99999999999999999999",
        "\u0000",
        "\ud83d",
        "][",
        "{",
    ),
    *([], {}, [[]], [{}], {"": ""}, ["x", 1, None], {"a": [1, {"b": []}]}, [None], "[1]", "x" * 70_000),
)


def _replaced(value: Any) -> list[Any]:
    """The value with each part of it, at any depth, replaced by strange ones in turn."""
    found: list[Any] = []
    if isinstance(value, dict):
        for n, key in enumerate(value):
            found += [value | {key: STRANGE[(n + step) % len(STRANGE)]} for step in range(0, len(STRANGE), 5)]
            found += [value | {key: changed} for changed in _replaced(value[key])]
    elif isinstance(value, list) and value:
        found += [[strange] for strange in STRANGE]
    return found


def _all_of(text: str, separator: str) -> list[str]:
    """The line with each of its values replaced by texts that are none."""
    values = text.split(separator)
    strange = ("", "x", "-1", "99999999999999999999", "1e300", "'", '"', "\\", "NaN", "{", "\x00", "9" * 400)
    return [separator.join([*values[:n], one, *values[n + 1 :]]) for n in range(len(values)) for one in strange]


@pytest.mark.parametrize("form", ["hubble", "argus"])
def test_json_with_anything_in_any_place(tmp_path: Path, form: str) -> None:
    one, two = (event(1), event(900)) if form == "hubble" else (connection("m1"), connection("m2"))
    layer = {"Type": "L7", "l7": {"type": "REQUEST", "dns": {"query": "a", "ips": ["10.0.0.1"]}, "http": {"url": "u", "code": 1}}}
    bad = [*_replaced(one), *_replaced(event(2, **layer) if form == "hubble" else connection("m3", process_list=[{}]))]
    bad += [
        "[" * 2000 + "]" * 2000,
        '{"a":' * 900 + "1" + "}" * 900,
        "{}",
        "[]",
        "null",
        '{"flow":',
        '{"message_header": "x"}',
        '{"flow": "x"}',
    ]
    taken = Taken(tmp_path, form, lines(one, *(b if isinstance(b, str) else json.dumps(b) for b in bad), two))
    table = "flows" if form == "hubble" else "host_events"
    first, last = taken.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"], taken.ledger["lines_read"]
    assert first >= 2
    assert last + taken.ledger.get("bad_line", 0) >= len(bad)
    if form == "hubble":
        assert taken.rows("SELECT 1 AS one FROM flows WHERE ts = TIMESTAMP '2024-01-01 00:00:01' AND dst_port = 5432")
    else:
        assert len(taken.rows("SELECT 1 AS one FROM host_events WHERE message_id IN ('m1', 'm2') AND local_port = 40000")) >= 2


def test_values_of_lines_can_be_anything(tmp_path: Path) -> None:
    good = "2 123456789010 eni-0a 10.0.1.5 10.0.2.9 40000 443 6 10 1000 1700000000 1700000060 ACCEPT OK"
    other = good.replace("40000", "40001")
    taken = Taken(tmp_path, "vpcflow", lines(good, *_all_of(good.replace("10.0.2.9", "10.0.2.8"), " "), other))
    assert {40000, 40001} <= {port for (port,) in taken.flows("src_port")}
    assert taken.rows("SELECT src_pkts FROM flows WHERE src_port = 40001 AND dst_ip = '10.0.2.9'") == [{"src_pkts": 10}]


def test_sessions_can_be_anything(tmp_path: Path) -> None:
    session = {
        "action": "allow",
        "source-address": "10.1.0.1",
        "source-port": 1,
        "destination-address": "10.1.0.2",
        "protocol": "6",
    }
    arrays = [HEAD + json.dumps([one]) for one in _replaced(session | {"timestamp": "2020-03-01T00:00:00Z"})]
    last = BEGUN.replace("777", "9").replace("40000", "40009")
    taken = Taken(
        tmp_path, "psm", lines(BEGUN, *_all_of(HEAD + BEGUN.replace("777", "5"), ","), *arrays, "<14>1 - - - - - - ", "<", last)
    )
    assert {40000, 40009} <= {port for (port,) in taken.flows("src_port")}


def test_printed_lines_can_be_anything(tmp_path: Path) -> None:
    good = "2024-01-02 03:04:05 Connection 0 - Protocol: TCP, local address: 10.0.0.1:22, local address: 10.0.0.2:443, state OPEN"
    telemetry = {"timestamp": 1704164645000000, "pid": 1, "result": 0, "scan_count": 3, "path": "/x"}
    bad = [*map(json.dumps, _replaced(telemetry)), *_all_of(good, " "), *_all_of("1704164645000000,9,0,1,/x", ",")]
    taken = Taken(tmp_path, "appshield", lines(good, *bad, good.replace(":22", ":23"), "Attestation failed"))
    ports = {row["local_port"] for row in taken.rows("SELECT local_port FROM host_events WHERE remote_port = 443")}
    assert {22, 23} <= ports
