"""Hostile exporters: what is kept of them is bounded, what stood before stays, and another process can go on from it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from tests.decode.telemetry.messages import (
    BASIC,
    SENT,
    Collected,
    a_set,
    basic,
    counter_sample,
    ipfix,
    netflow9,
    options_template,
    sflow,
    template,
)
from workbench.decode.telemetry import exporters
from workbench.decode.telemetry.collector import Collector, Message
from workbench.decode.telemetry.remembering import recall, remember

RECORD = basic("192.0.2.1", "198.51.100.2", 1, 2)


def fed(collector: Collector, messages: Iterable[bytes], *, address: str = "198.51.100.7", port: int = 1, ts: int = 1) -> None:
    for n, message in enumerate(messages, 1):
        buf = np.frombuffer(message, np.uint8)
        collector.take(buf, 0, len(buf), Message(n, ts, address, port))


def collector() -> Collector:
    return Collector(lambda _: None, None, 64)


def test_a_flood_of_templates_ends_and_those_before_it_are_kept(monkeypatch: Any) -> None:
    found = collector()
    found.room.left["fields"] = 100
    flood = (ipfix(template(n, [(8, 4)] * 40, ipfix=True)) for n in range(300, 400))
    fed(found, [ipfix(template(256, BASIC)), *flood, ipfix(a_set(256, RECORD))])
    (exporter,) = found.exporters
    (domain,) = exporter.domains.values()
    assert len(domain.templates) == 3
    assert exporter.tally.count("template_refused") == 98
    assert exporter.records == 1
    fed(found, [ipfix(template(300, [])), ipfix(a_set(2, struct.pack(">HH", 2, 0)))])
    assert found.room.left["fields"] == 100
    fed(found, [ipfix(template(256, BASIC)), ipfix(a_set(256, RECORD))])
    assert exporter.records == 2


def test_sets_without_bytes_that_wait_for_templates_take_room_too() -> None:
    found = collector()
    messages = [ipfix(*[a_set(999, b"")] * 4000)] * 3
    fed(found, messages)
    (exporter,) = found.exporters
    (domain,) = exporter.domains.values()
    assert len(domain.held) == exporters.MAX_HELD // exporters.HELD_COST
    assert exporter.tally.count("template_missing") == 12_000 - len(domain.held)
    left = found.room.left["held"]
    fed(found, [ipfix(template(999, BASIC))])
    assert found.room.left["held"] == left + exporters.MAX_HELD


def test_what_waits_is_bounded_for_all_exporters_together() -> None:
    found = collector()
    found.room.left["held"] = 1000
    for n in range(10):
        fed(found, [ipfix(a_set(300, bytes(100)))], address=f"192.0.2.{n}")
    assert sum(e.tally.count("template_missing") for e in found.exporters) == 8
    found.finish()
    assert found.room.left["held"] == 1000
    assert sum(e.tally.count("template_missing") for e in found.exporters) == 10


def test_domains_interfaces_and_samplers_are_bounded() -> None:
    found = collector()
    found.room.left |= {"domains": 5, "samplers": 3}
    fed(found, [ipfix(template(256, BASIC), domain=n) for n in range(8)])
    (exporter,) = found.exporters
    assert len(exporter.domains) == 5
    assert exporter.tally.count("exporters_full") == 3
    options = options_template(300, [(302, 4)], [(305, 4), (306, 4)])
    fed(found, [ipfix(options, a_set(300, b"".join(struct.pack(">III", n, 1, 9) for n in range(1, 10))))])
    assert sum(len(d.samplers) for d in exporter.domains.values()) == 3

    class Samples:
        def sample(self, *_: object) -> None: ...

        def counters(self, counters: Any) -> None:
            counters.exporter.interface(counters.by_name()["if_index"])["in_errors"] = 1

    some = Collector(lambda _: None, Samples(), 64)
    some.room.left["interfaces"] = 4
    fed(some, [sflow(*(counter_sample([n, *[1] * 18]) for n in range(10)))])
    assert len(some.exporters[0].interfaces) == 4


def test_a_domain_that_is_silent_gives_way_to_one_that_speaks(monkeypatch: Any) -> None:
    monkeypatch.setattr(exporters, "MAX_DOMAINS", 2)
    found = collector()
    hour = 3600 * 10**9
    fed(found, [ipfix(template(256, BASIC))], port=1, ts=hour)
    fed(found, [ipfix(template(256, BASIC))], port=2, ts=hour + 10**9)
    fed(found, [ipfix(template(256, BASIC))], port=3, ts=hour + 2 * 10**9)
    (exporter,) = found.exporters
    assert [session for _, session in exporter.domains] == [1, 2]
    fed(found, [ipfix(template(256, BASIC))], port=2, ts=2 * hour)
    left = found.room.left["fields"]
    fed(found, [ipfix(template(256, BASIC))], port=3, ts=2 * hour)
    assert [session for _, session in exporter.domains] == [2, 3]
    assert found.room.left["fields"] == left
    assert exporter.tally.count("exporters_full") == 1


def test_lies_about_lengths_keep_what_stood_before() -> None:
    whole = ipfix(template(256, BASIC), a_set(256, RECORD + RECORD))
    told = 0
    for at in (2, 16 + 2, len(whole) - 2 * len(RECORD) - 2):  # of the message, of the templates, of the data
        for lie in (0, 3, 5, 0xFFFF):
            hurt = bytearray(whole)
            hurt[at : at + 2] = struct.pack(">H", lie)
            found = Collected([whole, bytes(hurt), whole])
            told += found.ledger().get("telemetry_malformed", 0)
            assert len(found.rows) >= 4
    assert told >= 7


def test_another_process_goes_on_with_what_one_knew() -> None:
    one, rows = collector(), []
    sampling = options_template(300, [(302, 4)], [(305, 4), (306, 4)])
    fed(one, [ipfix(template(256, BASIC), sampling, sequence=0), ipfix(a_set(300, struct.pack(">III", 0, 1, 9)), sequence=0)])
    fed(one, [ipfix(a_set(256, RECORD), sequence=1)])
    fed(one, [netflow9(template(256, BASIC, ipfix=False), sequence=7)], address="192.0.2.8")
    known = remember(one, templates=True)
    assert [k.templates is not None for k in known] == [True, True]
    assert [k.templates for k in remember(one, templates=False)] == [None, None]
    other = Collector(lambda found: rows.append(found.copy()), None, 64)
    recall(other, known)
    assert not any(e.messages for e in other.exporters)
    fed(other, [ipfix(a_set(256, RECORD), sequence=5)])
    fed(other, [netflow9(a_set(256, RECORD), sequence=8, sent=SENT)], address="192.0.2.8")
    other.finish()
    assert sum(map(len, rows)) == 2
    assert rows[0][0, 16] == 10  # 1 in 10 of it, as the options said
    assert [e.tally.count("telemetry_lost") for e in other.exporters] == [3, 0]
    assert other.room.left == one.room.left
