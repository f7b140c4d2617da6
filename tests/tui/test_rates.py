"""Rates from counts that grow, and what is said of live sources."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from workbench.tui import live_words
from workbench.tui.coverage import coverage, drops_words, sources_words, undecoded_words, unseen_words
from workbench.tui.data import Summary
from workbench.tui.live_words import bits_words, live_now, live_sources, rate_words, waiting_words
from workbench.tui.rates import KEPT, RateHistory
from workbench.workflows.requests import AttachRequest, AttachStatus

ROW = {"source_id": 1, "kind": "live", "path": "live:eth0", "state": "indexing", "packets": 10, "dropped": None}


def test_rates_are_what_came_over_the_time_it_took():
    rates = RateHistory()
    rates.feed(100.0, {"eth0": (1, 1000, 10_000, 7)})
    assert rates.last is None
    rates.feed(100.2, {"eth0": (1, 1001, 10_100, 7)})  # too soon to say
    assert rates.last is None
    rates.feed(102.0, {"eth0": (1, 1200, 20_000, 9)})
    assert (rates.last.packets, rates.last.bits, rates.last.flows) == (100.0, 40_000.0, 1.0)


def test_a_source_that_begins_again_counts_from_nought():
    rates = RateHistory()
    rates.feed(0.0, {"eth0": (1, 1000, 0, 0)})
    rates.feed(1.0, {"eth0": (2, 40, 0, 0), "eth1": (3, 2, 0, 0)})
    assert rates.last.packets == 42


def test_cells_hold_the_largest_rate_of_their_time_and_nothing_where_nothing_is_known():
    rates = RateHistory()
    total = 0
    rates.feed(0.0, {"a": (1, 0, 0, 0)})
    for second, came in enumerate((5, 50, 1, 0), 1):
        total += came
        rates.feed(float(second), {"a": (1, total, 0, 0)})
    assert rates.cells("packets", 8.0, 4) == [None, None, 50.0, 1.0]
    assert rates.cells("packets", 4.0, 4) == [5.0, 50.0, 1.0, 0.0]
    assert RateHistory().cells("packets", 60, 3) == [None, None, None]


def test_only_the_last_minutes_are_kept():
    rates = RateHistory()
    for second in range(int(KEPT) * 3):
        rates.feed(float(second), {"a": (1, second, 0, 0)})
    assert len(rates._rates) <= KEPT + 1


@pytest.mark.parametrize(
    ("bits", "words"), [(0, "0 bit/s"), (999, "999 bit/s"), (21_300, "21.3 kbit/s"), (180e6, "180 Mbit/s"), (4e10, "40.0 Gbit/s")]
)
def test_bits(bits, words):
    assert bits_words(bits) == words


def run(source="eth0", **status):
    told = AttachStatus(source, 1, "capturing", packets=10)
    return SimpleNamespace(
        name=source,
        request=AttachRequest(source, Path("/c")),
        status=dataclasses.replace(told, **status) if status is not None else None,
        stopping=False,
        compiling=False,
    )


def test_how_it_goes_in_words():
    assert live_now([], [], None) is None
    fine = live_now([run(lag=0.4)], [ROW], None)
    assert (fine.state, fine.bad, fine.names, fine.newest, list(fine.losses)) == ("live", False, "eth0", "newest 400 ms old", [])
    dead = live_now([run(state="waiting", note="the interface\x1b is gone", gaps=2, interface_dropped=12)], [ROW], None)
    assert dead.bad
    assert dead.state == "NOT CAPTURING: the interface␛ is gone"
    assert dead.losses == ("2 gaps in the capture", "the interface dropped 12")
    two = live_now([run(), run("eth1", state="waiting", note="gone")], [], None)
    assert (two.names, two.state) == ("2 live sources", "NOT CAPTURING eth1: gone")
    other = live_now([], [ROW], None)
    assert (other.state, other.names) == ("following", "eth0")


def test_what_is_waited_for():
    assert waiting_words([run()], []) == "Waiting for the first packet on eth0…"
    elsewhere = ROW | {"source_id": 7, "path": "live:eth2"}
    assert waiting_words([run(), run("eth1")], [ROW, elsewhere]).endswith("on eth0, eth1 and eth2…")
    assert waiting_words([run(), run("eth1")], [ROW]) == "Waiting for the first packet on eth0 and eth1…"
    assert "gone" in waiting_words([run(state="waiting", note="gone")], [])


def test_losses_of_a_live_source_are_known_as_they_come_but_for_drops():
    cover = coverage(Summary(sources=[ROW]))
    assert (drops_words(cover), undecoded_words(cover), unseen_words(cover)) == (
        "drops: at the end",
        "all decoded",
        "unseen: none known",
    )
    assert sources_words([ROW]) == "eth0"
    assert live_sources(Summary(sources=[ROW, ROW | {"state": "ok"}, ROW | {"kind": "pcapng", "path": "a.pcapng"}])) == [ROW]
    file = coverage(Summary(sources=[ROW | {"kind": "pcapng", "path": "a.pcapng"}]))
    assert undecoded_words(file) == "undecoded: at the end"
    names = {"kind": "claims-csv", "path": "pods.csv", "state": "ok", "packets": 0, "dropped": None}
    known = ROW | {"kind": "pcapng", "path": "a.pcapng", "state": "ok", "dropped": 0}
    assert drops_words(coverage(Summary(sources=[known, names]))) == "drops 0"  # who tells names can have lost no packets


def test_the_rate_in_words(monkeypatch):
    rates = RateHistory()
    rates.feed(0.0, {"a": (1, 0, 0, 0)})
    rates.feed(1.0, {"a": (1, 21_300, 22_500_000, 0)})
    assert rate_words(rates.last) == "21.3k packets/s, 180 Mbit/s"
    assert rate_words(None) == ""
    monkeypatch.setattr(live_words.time, "time", lambda: 1_700_000_000.0)
    assert live_words.age_words(3 * 86_400.0) == "packets are from 2023-11-11"
