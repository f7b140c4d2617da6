"""A conversation that several sensors saw, in the details of one of its flows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.store.test_vantages import case_of, seen, traffic
from tests.tui.driving import press, screen_text, settle
from workbench.analysis.hops import hops_of
from workbench.tui.application import WorkbenchApp
from workbench.tui.case_data import StoredCase
from workbench.tui.hop_words import hops_group
from workbench.tui.overview_panels import ledger_rows


def two(root: Path, **fields: Any) -> Path:
    talks = traffic()
    case_of(root, seen(talks, 1), seen(talks, 2, 3_000_000, 700, network="vni:7", tunnel="vxlan", **fields)).close()
    return root


async def test_the_details_of_a_flow_say_where_else_it_was_seen(tmp_path: Path) -> None:
    data = StoredCase.open(two(tmp_path / "case", src_pkts=4, sensor="far[/]\x1b[1m"))
    try:
        async with WorkbenchApp(data).run_test(size=(160, 50)) as pilot:
            await settle(pilot)
            await press(pilot, "2", "enter")
            await settle(pilot)
            text = "\n".join(screen_text(pilot))
            assert "Seen 2 times, counted once" in text
            assert "2 far[/]" in text
            assert "do not tell" not in text  # the round trips do
            assert "\x1b" not in text
            assert "vni:7 in vxlan, packets 4 out, 4 back" in text
            assert "1 fewer out than at 1" in text
    finally:
        data.close()


def test_the_overview_says_that_its_sums_have_every_sighting(tmp_path: Path) -> None:
    data = StoredCase.open(two(tmp_path / "case"))
    try:
        said = [row.cells for row in ledger_rows(data.summary())]
    finally:
        data.close()
    assert [cells[0] for cells in said if "sums here count every sighting" in cells[1]] == ["2"]
    case_of(tmp_path / "one", seen(traffic(), 1)).close()
    alone = StoredCase.open(tmp_path / "one")
    try:
        assert not any("every sighting" in row.cells[1] for row in ledger_rows(alone.summary()))
    finally:
        alone.close()


def test_a_flow_of_one_sensor_is_not_seen_elsewhere(tmp_path: Path) -> None:
    talks = traffic()
    with case_of(tmp_path / "case", seen(talks, 1), seen(talks[1:], 2, 0, 50)) as reader:
        assert hops_of(reader, 1 << 40) == []
        assert hops_group(hops_of(reader, 1 << 40)) is None
        assert [hop["sensor"] for hop in hops_of(reader, (1 << 40) + 1)] == ["s1", "s2"]


def test_an_order_that_the_clocks_do_not_tell_is_said() -> None:
    hop = {"sensor": "a", "network": "", "tunnel": None, "seen": None, "clock_error_us": 0, "src_pkts": 1, "dst_pkts": 1}
    hop |= {"latency_us": None, "latency_error_us": None, "round_trip_us": None, "lost_there": None, "lost_back": None}
    later = hop | {"hop": 2, "latency_us": 40, "latency_error_us": 90, "lost_back": -3}
    group = hops_group([hop | {"hop": 1}, later])
    assert group is not None
    assert "do not tell which came first" in group[1][-1][1]
    assert "3 fewer back than at 1" in group[1][-1][1]
    turned = hops_group([hop | {"hop": 1}, later | {"round_trip_us": -80}])
    assert turned is not None
    assert "there and back 80 µs, by which it came first" in turned[1][-1][1]
    sure = hops_group([hop | {"hop": 1}, later | {"latency_us": 400}])
    assert sure is not None
    assert "do not tell" not in sure[1][-1][1]
