"""What a hostile flow can make the readers hold: asked of every protocol of the registry that has one.

Messages that real programs sent, and then thousands made of them: never answered, with ever new numbers and names, cut, with
lengths beyond everything, from both sides. They go through the engine that feeds the readers. It may hold what its bounds say
and no more, whatever comes; sizes are compared, never times: what does not grow does not take longer to look through.
"""

from __future__ import annotations

import gc
import random
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.decode.application import batches, dcerpc_wire, rpc_wire, ssh_wire
from tests.decode.application import dns_wire as dns
from tests.decode.application import ldap_wire as ldap
from tests.decode.application import login_wire as login
from tests.decode.application import test_iscsi as iscsi
from tests.decode.application import test_nvme as nvme
from tests.decode.application import test_quic as quic
from tests.decode.application import test_slp as slp
from tests.decode.application import test_snmp as snmp
from tests.decode.application.quic_wire import crypto, initial, negotiation
from workbench.decode.application import ssh_reader, tls_reader
from workbench.decode.application.dcerpc import StreamReader
from workbench.decode.application.protocol import Context, Message, Protocol, Row
from workbench.decode.application.registry import codes, protocols
from workbench.decode.application.tls_seen import Seen
from workbench.decode.framing import open_framer
from workbench.decode.packets import decode_frames
from workbench.flows import hearing
from workbench.flows.application import Application
from workbench.flows.table import FlowTable
from workbench.records.message import CUT, MESSAGE
from workbench.records.packet import FRAME, PACKET
from workbench.settings import FlowSettings

SAMPLES = Path(__file__).parents[3] / "sample_captures"
READ = [protocol for protocol in protocols() if protocol.reader or protocol.batch]
_PARTS = 10
_MESSAGES = 1_000  # of a part
_FLOW = 7
_KEPT = 60  # real messages of a protocol
_EVERY = 0xFFFFFFFF
#: Bytes that may be held: by the reader of one flow, with 256 requests whose texts have 1,024 characters; by that of all.
_ONE_FLOW = 2 << 20
_ALL_FLOWS = 128 << 20


@dataclass(frozen=True)
class Real:
    """A message as it was said."""

    side: int
    flags: int
    within: int
    transport: int
    data: bytes


@dataclass
class Listening:
    """Stands where the readers do, and keeps what it hears."""

    heard: dict[int, list[Real]] = field(default_factory=dict)
    busy = True

    def take(self, messages: NDArray[Any], arena: NDArray[np.uint8], _ended: NDArray[np.int64]) -> Any:
        for row in messages:
            kept = self.heard.setdefault(int(row["protocol"]), [])
            at = int(row["at"])
            if len(kept) < _KEPT:
                data = arena[at : at + int(row["size"])].tobytes()
                kept.append(Real(int(row["side"]), int(row["flags"]), int(row["within"]), int(row["proto"]), data))
        return np.empty(0, np.int32), np.empty(0, np.uint8)

    def drain(self) -> dict[str, pa.RecordBatch]:
        return {}

    def pending(self) -> int:
        return 0

    def finish(self) -> None:
        return


@cache
def said() -> dict[int, list[Real]]:
    """Messages of the samples by the code of their protocol."""
    listening = Listening()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hearing, "Application", lambda *_: listening)
        for path in sorted(SAMPLES.glob("*.pcapng")):
            data = np.fromfile(path, np.uint8)
            framer, frames, at, before = open_framer(data[:4096].tobytes()), np.empty(100_000, FRAME), 0, -1
            table = FlowTable(1, "", FlowSettings())
            while at != before:
                n, after = framer.frame(data, at, len(data), True, frames)
                packets = np.empty(n, PACKET)
                decode_frames(data, frames, n, packets, 0)
                table.update(data, packets, n, 0)
                before, at = at, after
            table.finish()
    return listening.heard


def _made(*parts: tuple[int, bytes], transport: int = 6) -> list[Real]:
    return [Real(side, 0, 0, transport, data) for side, data in parts]


#: What no sample speaks, from the tests of these protocols.
_MADE = {
    "iscsi": _made((0, iscsi.FIRST), (0, iscsi.SECOND), (1, iscsi.ANSWER), (0, iscsi.COMMAND)),
    "ldap": _made(
        (0, ldap.sasl(1, "GSS-SPNEGO", login.offer(login.ntlm_negotiate(), login.NTLMSSP))),
        (1, ldap.done(1, 0x61, 14)),
        (0, ldap.search(2, "dc=corp,dc=example", attributes=("cn", "mail"))),
        (1, ldap.entry(2)),
        (1, ldap.done(2, 0x65)),
        (0, ldap.modify(3, "cn=a", "member")),
    ),
    "llmnr": _made((0, dns.query("wpad")), (1, dns.answer("wpad", [dns.address("10.0.0.1")])), transport=17),
    "nfs": _made(
        (0, rpc_wire.call(7, 100003, 3, 1, auth=rpc_wire.sys_auth())),
        (0, rpc_wire.call(8, 100003, 4, 1, rpc_wire.compound(*rpc_wire.OPERATIONS.values()))),
        (0, rpc_wire.call(9, 100005, 3, 1, rpc_wire.opaque(b"/export/a"))),
        (1, rpc_wire.reply(7, rpc_wire.word(0))),
        (1, rpc_wire.denied(8)),
        transport=17,
    ),
    "nvme": _made(*((side, data) for side, data, *_ in nvme.HELLO), (0, nvme.command(2)), (1, nvme.answer(1, 2))),
    "quic": _made(
        (0, initial(crypto(0, quic.HELLO[:50]))),
        (0, initial(crypto(90, quic.HELLO[90:]), number=1)),
        (1, negotiation(1, 0x6B3343CF)),
        (0, initial(crypto(0, quic.HELLO), dcid=b"newnewid")),
        (1, quic.SERVER),
        transport=17,
    ),
    "slp": _made((0, slp.REQUEST), (1, slp.REPLY), (0, slp.REGISTRATION), (1, slp.ADVERT), transport=17),
    "snmp": _made((0, snmp.v2(0xA0, snmp.NAME)), (1, snmp.v2(0xA2, snmp.NAME)), (0, snmp.v3(0, snmp.SCOPED)), transport=17),
}


def real(protocol: Protocol) -> list[Real]:
    """Messages that were said in a protocol."""
    return said().get(codes()[protocol.name]) or _MADE[protocol.name]


def _damaged(r: random.Random, data: bytes, counter: int) -> bytes:
    """A number that was never there before, in any place; or a length beyond everything; or noise."""
    made, at, kind = bytearray(data), r.randrange(len(data) + 1), r.random()
    if kind < 0.6:
        made[at : at + 4] = counter.to_bytes(4, r.choice(("big", "little")))
    elif kind < 0.7:
        made[at : at + 4] = r.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"))
    elif kind < 0.8:
        made[at:at] = b"%d" % counter
    elif kind < 0.9:
        made[at : at + 8] = r.randbytes(8)
    return bytes(made)


def hostile(protocol: Protocol, part: int) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """MESSAGE rows and their bytes. Odd parts are never answered; every third message is as it was said, in order.

    One flow; of what is read for all flows together, every second message is in new ones.
    """
    r, said_so = random.Random(1_000 * codes()[protocol.name] + part), real(protocol)
    if part % 2:
        said_so = [one for one in said_so if one.side == 0] or said_so
    rows = np.zeros(_MESSAGES, MESSAGE)
    data: list[bytes] = []
    at = 0
    for i, row in enumerate(rows):
        one = said_so[i % len(said_so)]
        made = one.data if i % 3 == 0 else _damaged(r, one.data, part * _MESSAGES + i)
        cut = r.random() < 0.1
        made = made[: r.randrange(len(made) + 1)] if cut else made
        row["n"] = _FLOW if protocol.reader or i % 2 else (part + 1) * _MESSAGES + i // 4
        row["ts"] = 1_700_000_000_000_000_000 + (part * _MESSAGES + i) * 10_000
        row["at"], row["size"], row["whole"] = at, len(made), r.choice((len(made) + 9, _EVERY)) if cut else len(made)
        row["number"], row["src_port"], row["dst_port"] = part * _MESSAGES + i, 40000, (protocol.ports or (9999,))[0]
        row["protocol"], row["side"], row["proto"], row["vouched"] = codes()[protocol.name], one.side, one.transport, 1
        row["flags"], row["within"] = one.flags | (CUT if cut else 0), one.within
        data.append(made)
        at += len(made)
    return rows, np.frombuffer(b"".join(data), np.uint8)


_SHARED = (ModuleType, type, FunctionType, BuiltinFunctionType, Protocol, Context)


def held(*roots: object) -> int:
    """Bytes of everything that is reached from there, but for code and what all readers share."""
    seen: set[int] = set()
    total, waiting = 0, list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _SHARED):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        waiting += gc.get_referents(one)
        if isinstance(one, np.ndarray) and one.base is not None:
            waiting.append(one.base)
        elif isinstance(one, pa.Array):
            total += one.nbytes
    return total


def test_what_is_held_is_found() -> None:
    assert held([b"x" * 1_000]) > 1_000
    assert held({1: [np.zeros(1_000)[:1]]}) > 8_000
    assert held(held) == 0


def test_binds_that_nobody_answers_are_few() -> None:
    offered = [(number, f"{number:08x}-0000-0000-0000-000000000000", 0) for number in range(90)]
    reader = StreamReader(Context())
    rows: list[Row] = []
    for call in range(500):
        data = dcerpc_wire.bind(*offered, call=call)
        rows += reader.message(Message(call, 0, data, len(data), call))
    assert held(reader) < _ONE_FLOW // 4
    assert sum(row["count"] for _, row in [*rows, *reader.end()]) == 500 * len(offered)


def test_lists_of_algorithms_are_not_held_for_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_reader, "_MOST_SEEN", 16)
    reader, told = ssh_reader.SshReader(), 0
    for part in range(5):
        said_so = [
            batches.Said(100 * part + n, 1, 0, number, data)
            for n in range(100)
            for number, data in enumerate((b"SSH-2.0-x\r\n", ssh_wire.kexinit([b"kex-%d-%d," % (part, n) * 99])))
        ]
        told += len(batches.rows(batches.read(reader, said_so), "ssh"))
        sizes = held(reader._lists)
    assert told >= 200
    assert sizes < 200_000


@pytest.mark.parametrize("protocol", READ, ids=lambda protocol: protocol.name)
def test_what_is_held_does_not_grow(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in (ssh_reader, tls_reader):  # of texts seen, so few are remembered that it shows within these messages
        monkeypatch.setattr(reader, "Seen", lambda _most=0: Seen(128))
    application = Application(1, lambda value: f"{hash(value):032x}")
    sizes = []
    for part in range(_PARTS):
        ended = np.arange((part - 1) * _MESSAGES, part * _MESSAGES) if protocol.batch and part > 1 else np.empty(0, np.int64)
        application.take(*hostile(protocol, part), ended)
        application.drain()
        sizes.append(held(application))
    assert not [line for line in application.ledger() if line.reason == "application_failed"]
    assert max(sizes) <= (_ONE_FLOW if protocol.reader else _ALL_FLOWS)
    early, late = max(sizes[: _PARTS // 2]), max(sizes[_PARTS // 2 :])
    assert late <= 1.25 * early + 65_536, sizes
