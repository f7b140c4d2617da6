import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.store.rows import T0, batch, flow, source
from workbench.errors import BadInputError
from workbench.store.reader import CaseReader
from workbench.store.views import load_view, load_views, queries_folder, view_statements
from workbench.store.writer import CaseWriter


@pytest.fixture
def reader(tmp_path: Path) -> CaseReader:
    rows = [
        flow(0, vlan=7, src_mac="02:00:00:00:00:0a", service="tls"),
        flow(1, proto=17, proto_name="udp", conn_state="S0", dst_pkts=0, dst_bytes=0, ts_end=T0 + 1000, duration=0.0),
        flow(2, proto=1, proto_name="icmp", src_port=8, dst_port=0),
        flow(3, proto=58, proto_name="ipv6-icmp", src_ip="fe80::1", dst_ip="fe80::2"),
        flow(4, proto=132, proto_name="sctp"),
    ]
    with CaseWriter(tmp_path / "case") as writer:
        writer.add_source(source(1))
        writer.append("flows", batch("flows", rows))
        writer.update_source(1, state="ok")
    return CaseReader(tmp_path / "case")


@pytest.mark.parametrize("view", load_views(), ids=lambda v: v.id)
def test_the_header_lists_the_columns_that_the_view_has(reader: CaseReader, view: object) -> None:
    assert reader.query(f"SELECT * FROM {view.id}").column_names == list(view.columns)  # type: ignore[attr-defined]


def test_zeek_conn_means_what_zeek_means(reader: CaseReader) -> None:
    rows = reader.query("SELECT * FROM zeek_conn ORDER BY uid").to_pylist()
    assert rows[0]["ts"] == pytest.approx(T0 / 1e6, abs=1e-6)
    assert rows[0]["uid"] == f"C{(1 << 40)}"
    assert (rows[0]["id.orig_h"], rows[0]["id.resp_p"], rows[0]["proto"], rows[0]["ip_proto"]) == ("10.0.0.0", 443, "tcp", 6)
    assert (rows[0]["orig_bytes"], rows[0]["orig_ip_bytes"]) == (100, 300)
    assert (rows[1]["duration"], rows[1]["orig_bytes"], rows[1]["orig_pkts"]) == (None, None, 5)
    assert [row["proto"] for row in rows] == ["tcp", "udp", "icmp", "icmp", "unknown_transport"]
    assert rows[0]["missed_bytes"] is None


def test_ecs_and_ocsf_agree_with_the_flow(reader: CaseReader) -> None:
    ecs = reader.query('SELECT * FROM ecs_flow ORDER BY "event.id"').to_pylist()
    assert ecs[0]["source.mac"] == "02-00-00-00-00-0A"
    assert ecs[0]["@timestamp"] == datetime(2023, 11, 14, 22, 13, 20)
    assert (ecs[0]["event.duration"], ecs[0]["network.vlan.id"], ecs[0]["network.bytes"]) == (500_000, "7", 4300)
    assert (ecs[2]["source.port"], ecs[3]["network.type"]) == (None, "ipv6")
    ocsf = reader.query('SELECT * FROM ocsf_network ORDER BY "metadata.uid"').to_pylist()
    assert (ocsf[0]["class_uid"], ocsf[0]["type_uid"], ocsf[0]["time"]) == (4001, 400106, T0 // 1000)
    assert (ocsf[0]["traffic.bytes_out"], ocsf[0]["traffic.bytes_in"], ocsf[0]["connection_info.protocol_num"]) == (300, 4000, 6)


def test_a_view_file_without_a_complete_header_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    for text, reason in (
        ("SELECT 1", "does not begin"),
        ("/* [1, 2] */ SELECT 1", "no list of keys"),
        ("/* id: x\ntitle: t */ SELECT 1", "columns, description"),
        ("/* id: y\ntitle: t\ndescription: d\ncolumns: {a: b} */ SELECT 1", "'y'"),
        ("/* id: [ */ SELECT 1", "not YAML"),
    ):
        path.write_text(text)
        with pytest.raises(BadInputError, match=reason):
            load_view(path)


def test_the_files_are_found_in_an_installed_package_too(tmp_path: Path) -> None:
    """The wheel has queries/ inside the package; there the source tree's folder does not exist."""
    root = Path(__file__).parents[2]
    site = tmp_path / "site"
    site.mkdir()
    (site / "workbench").symlink_to(root / "workbench")
    code = "from workbench.store.views import queries_folder; print(queries_folder())"
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert Path(out.strip()) == queries_folder()
    copy = tmp_path / "wheel" / "workbench"
    for folder in ("store", "records"):
        (copy / folder).mkdir(parents=True)
        for path in (root / "workbench" / folder).glob("*.py"):
            (copy / folder / path.name).write_bytes(path.read_bytes())
    for name in ("__init__.py", "errors.py"):
        (copy / name).write_bytes((root / "workbench" / name).read_bytes())
    (copy / "_queries").symlink_to(root / "queries")
    code = "from workbench.store.views import view_statements; print(*view_statements())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy.parent, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""}
    )
    assert done.stdout.split() == list(view_statements()), done.stderr
