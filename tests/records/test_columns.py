from pathlib import Path

import pytest

from workbench.records.columns import BY_NAME, FLOWS, TABLES, Privacy, Table, Type

#: Names and types that tests, scripts and other engines rely on: fixed, more may be added.
FIXED = """
flow_id BIGINT, source_id BIGINT, sensor VARCHAR, network VARCHAR, ts TIMESTAMP, ts_end TIMESTAMP, duration DOUBLE,
src_ip VARCHAR, dst_ip VARCHAR, src_addr BLOB, dst_addr BLOB, src_port INTEGER, dst_port INTEGER, proto INTEGER,
proto_name VARCHAR, src_mac VARCHAR, dst_mac VARCHAR, outer_src_mac VARCHAR, outer_dst_mac VARCHAR, vlan INTEGER,
inner_vlan INTEGER, outer_vlan INTEGER, tunnel VARCHAR, vni INTEGER, outer_src_ip VARCHAR, outer_dst_ip VARCHAR,
service VARCHAR, conn_state VARCHAR, history VARCHAR, src_pkts BIGINT, dst_pkts BIGINT, src_bytes BIGINT, dst_bytes BIGINT,
src_payload BIGINT, dst_payload BIGINT, src_flags INTEGER, dst_flags INTEGER, rtt_us INTEGER, retransmits INTEGER,
end_reason INTEGER, sampling INTEGER, verdict VARCHAR, rule_id VARCHAR, community_id VARCHAR, first_offset BIGINT,
last_offset BIGINT
"""

COLUMNS = [(table, column) for table in TABLES for column in table.columns]


def test_the_fixed_columns_of_flows_are_there_with_their_types() -> None:
    for text in FIXED.replace("\n", " ").split(","):
        name, kind = text.split()
        assert FLOWS.column(name).type == Type(kind)


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("links", "flow_id conversation_id"),
        ("source_files", "source_id n path sha256 bytes first_offset"),
        ("flow_blocks", "flow_id block"),
        ("flow_slices", "flow_id ts src_pkts dst_pkts src_bytes dst_bytes"),
        ("ledger", "source_id reason kind count first_frames detail"),
        ("sources", "source_id kind path sensor sha256 bytes packets flows ts_first ts_last link_type snaplen dropped"),
        ("sources", "clock_offset_us clock_error_us state"),
        ("arp", "source_id ts"),
        ("tunnels", "source_id tunnel"),
    ],
)
def test_the_other_tables_have_their_fixed_columns(table: str, names: str) -> None:
    assert set(names.split()) <= set(BY_NAME[table].names)


def test_an_unknown_column_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        FLOWS.column("nothing")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_names_each_column_once_and_sorts_by_its_own(table: Table) -> None:
    assert len(set(table.names)) == len(table.names)
    assert set(table.sort) <= set(table.names)
    assert table.meaning
    assert BY_NAME[table.name] is table


def test_every_column_says_what_it_means_and_how_private_it_is() -> None:
    for table, column in COLUMNS:
        assert column.meaning, (table.name, column.name)
        assert isinstance(column.privacy, Privacy)
        assert column.name == column.name.lower()


def test_a_name_means_the_same_type_everywhere() -> None:
    kinds: dict[str, set[Type]] = {}
    for _, column in COLUMNS:
        kinds.setdefault(column.name, set()).add(column.type)
    differing = {name for name, types in kinds.items() if len(types) > 1}
    # names that two protocols have for things of their own kinds: HTTP's status code and ARP's operation are numbers
    assert differing == {"status", "operation", "answers"}


def test_addresses_and_paths_are_classed_as_such() -> None:
    for table, column in COLUMNS:
        if column.name.endswith(("_ip", "_addr", "_mac")):
            assert column.privacy is Privacy.ADDRESS, (table.name, column.name)
        if column.name in ("path", "sha256") and table.name not in ("http", "host_events"):  # said by others
            assert column.privacy is Privacy.LOCAL, (table.name, column.name)


def test_the_classes_are_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
    assert all(f"| {kind.value} |" in page for kind in Privacy)
