import multiprocessing
from pathlib import Path

import pyarrow as pa

from workbench.workflows import shipping


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_batches_arrive_as_they_were_and_leave_no_descriptor_behind() -> None:
    ours, theirs = multiprocessing.Pipe()
    flows = pa.record_batch({"a": pa.array([1, 2, 3]), "t": pa.array(["x", None, "zz"]).dictionary_encode()})
    arp = pa.record_batch({"b": pa.array([b"\x00", b"\x01"])})
    empty = pa.record_batch({"c": pa.array([], pa.int64())})
    before = open_files()
    head = shipping.Shipment({}, False, 7, 3)
    shipping.send(ours, {"flows": flows, "flow_slices": empty, "arp": arp}, head)
    got_head = theirs.recv()
    got = shipping.receive(theirs, got_head)
    assert got_head.packets == 7
    assert set(got) == {"flows", "arp"}
    assert got["flows"].equals(flows)
    assert got["arp"].equals(arp)
    assert open_files() <= before + 1  # the mapping's own duplicate, until it is dropped
    del got
    assert open_files() == before


def test_nothing_to_ship_is_a_shipment_too() -> None:
    ours, theirs = multiprocessing.Pipe()
    shipping.send(ours, {}, shipping.Shipment({}, True, 0, 0))
    assert shipping.receive(theirs, theirs.recv()) == {}
