"""One connection a case: what conn_state, history and sizes Zeek gives it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.packets import run
from tests.flows.reference import NS, Packet

A, B = 0x0A000001, 0x0A000002
FLAGS = {"S": 2, "SA": 18, "A": 16, "P": 24, "F": 17, "R": 4, "RA": 20, "FR": 21, "SF": 3}


def talk(script: str, *, sport: int = 40000, dport: int = 8, gap: float = 0.01, start: int = NS) -> list[Packet]:
    """``>S <SA >A >P100 <P50@1.5 >F``: direction, flags, payload, @seconds since the one before, !options.

    Sequence numbers go on by themselves; ``+n`` or ``-n`` behind a packet shifts its own, ``^n`` its ack; ``!w``: zero
    window, ``!b``: wrong checksum, ``!n``: payload not captured.
    """
    numbers = {">": 1000, "<": 5000}
    clock, packets = start, []
    for word in script.split():
        side, rest = word[0], word[1:]
        rest, *options = rest.split("!")
        rest, _, wait = rest.partition("@")
        rest, _, back = rest.partition("^")
        shift = 0
        for sign in "+-":
            if sign in rest:
                rest, _, by = rest.partition(sign)
                shift = int(sign + by)
        name = rest.rstrip("0123456789")
        payload = int(rest[len(name) :] or 0)
        clock += int(float(wait or gap) * NS)
        flags = FLAGS[name]
        other = "<" if side == ">" else ">"
        seq = numbers[side] + shift
        ends = (A, B, sport, dport) if side == ">" else (B, A, dport, sport)
        packets.append(
            Packet(
                clock,
                *ends,
                flags=flags,
                seq=seq,
                ack=numbers[other] - int(back or 0) if flags & 16 else 0,
                payload=payload,
                cap=0 if "n" in options else None,
                window=0 if "w" in options else 1000,
                marks=32 | (4 if "b" in options else 0),
            )
        )
        if shift >= 0:
            numbers[side] = seq + payload + (flags & 1) + (flags >> 1 & 1)
    return packets


def one(script: str, settings: dict[str, Any] | None = None, **how: Any) -> dict[str, object]:
    (row,) = run(talk(script, **how), **(settings or {}))
    return row


@pytest.mark.parametrize(
    ("script", "state", "history", "payload"),
    [
        (">S", "S0", "S", (0, 0)),
        (">S >S-1@1 >S-1@2", "S0", "S", (0, 0)),
        (">S <RA", "REJ", "Sr", (0, 0)),
        (">S <SA >A", "S1", "ShA", (0, 0)),
        (">S <SA >A >P10 <A <P20 >A", "S1", "ShADad", (10, 20)),
        (">S <SA >A >P10 <A <P20 >A >F <F >A", "SF", "ShADadFf", (10, 20)),
        (">S <SA >A >F", "S2", "ShAF", (0, 0)),
        (">S <SA >A <F", "S3", "ShAf", (0, 0)),
        (">S <SA >A >P10 <A >R", "RSTO", "ShADaR", (10, 0)),
        (">S <SA >A >P10 <A <R", "RSTR", "ShADar", (10, 0)),
        (">S >R", "RSTOS0", "SR", (0, 0)),
        (">S >F", "SH", "SF", (0, 0)),
        ("<SA <R", "OTH", "HR", (0, 0)),
        ("<SA >R", "REJ", "Hr", (0, 0)),
        (">P10", "OTH", "D", (10, 0)),
        (">P10 <P20 >A", "OTH", "DdA", (10, 20)),
        (">S <SA >A >P10 >P10-10 <A", "S1", "ShADTa", (10, 0)),
        (">S <SA >A >P10 <A!w <A!w", "S1", "ShADaw", (10, 0)),
        (">S <SA >A >P10+100 <A >P10 <A", "S1", "ShADaG", (120, 0)),
        (">SF", "SH", "Q", (0, 0)),
        (">FR", "OTH", "I", (0, 0)),
        (">S <SA >A >P10 <A >F <A <P20 >A <F >A", "SF", "ShADaFdf", (10, 20)),
        (">S <SA >A >F <A <R", "RSTR", "ShAFar", (0, 0)),
    ],
)
def test_states_letters_and_sizes(script: str, state: str, history: str, payload: tuple[int, int]) -> None:
    row = one(script)
    assert (row["conn_state"], row["history"], row["payload"]) == (state, history, payload)


def test_direction_follows_the_likely_server() -> None:
    row = one("<SA >A >P10 <A", {"likely_server_ports": ("8/tcp",)})
    assert (row["src"], row["conn_state"], row["history"]) == ((A, 40000), "S1", "^hADa")
    row = one("<P10 >A", {"likely_server_ports": ("8/tcp",)})
    assert (row["src"], row["history"], row["payload"]) == ((A, 40000), "^dA", (0, 10))
    row = one(">S", {"likely_server_ports": ("40000/tcp",)})
    assert row["src"] == (A, 40000)  # a SYN says who began


def test_a_syn_seen_after_its_answer_turns_the_flow() -> None:
    later, answer = talk(">S <SA")
    later.ts, answer.ts = answer.ts, later.ts
    (row,) = run([answer, later, *talk(">S <SA >A >P10")[2:]])
    assert (row["src"], row["conn_state"], row["payload"]) == ((A, 40000), "S1", (10, 0))
    assert row["history"] == "Hs^AD"


def test_round_trip_time_is_that_of_the_last_syn() -> None:
    assert one(">S <SA@0.25 >A")["rtt_us"] == 250_000
    assert one(">S >S-1@1 <SA@0.125 >A <SA@3")["rtt_us"] == 125_000
    assert one("<SA >A")["rtt_us"] is None


def states(script: str, **how: Any) -> list[object]:
    return [r["conn_state"] for r in run(talk(script, **how))]


@pytest.mark.parametrize(
    ("script", "want"),
    [
        (">S >S-1@4.9", ["S0"]),
        (">S >S-1@5", ["S0", "S0"]),  # an attempt is over 5 s after its SYN
        (">S <SA >A >A@299", ["S1"]),
        (">S <SA >A >A@300", ["S1", "OTH"]),
        (">S <SA >A >F <F >A@4.9", ["SF"]),
        (">S <SA >A >F <F >A@5.1", ["SF", "OTH"]),  # a closed connection is over 5 s later, whatever still comes
        (">S <SA >A >R >A@6", ["RSTO", "OTH"]),
        (">S <SA >A >F <F >S+500", ["SF", "S0"]),  # the tuple of a closed connection
        (">S <SA >A >S+5000", ["S1", "S0"]),  # a SYN with another number is another connection
        (">S <SA >A >S-1", ["S1"]),  # the same SYN again is not
    ],
)
def test_when_a_tuple_starts_anew(script: str, want: list[str]) -> None:
    assert states(script) == want


def test_end_reasons() -> None:
    reasons = [
        r["end_reason"]
        for r in run([*talk(">S"), *talk(">S <SA >A >F <F >A", sport=1), *talk(">S <SA >A", sport=2, start=400 * NS)])
    ]
    assert reasons == [1, 3, 4]


def test_wrong_checksums() -> None:
    whole = ">S!b <SA!b >A!b >P10!b <A!b"
    assert one(whole)["history"] == "ShADa"  # answered: the field was wrong, not the packet
    assert {r["history"] for r in run(talk(whole), checksums="verify")} <= {"C", "c", "Cc"}
    assert one(whole, {"checksums": "ignore"})["history"] == "ShADa"
    alone = one(">S!b")
    assert (alone["history"], alone["conn_state"], alone["pkts"]) == ("C", "OTH", (1, 0))
    attack = one(">S <SA >A >R!b >P10 <A")  # a reset that the receiver dropped
    assert (attack["history"], attack["conn_state"]) == ("ShACDa", "S1")


def test_a_payload_that_was_not_captured_leaves_a_gap() -> None:
    assert one(">S <SA >A >P10!n <A")["history"] == "ShADaG"


def test_long_histories_are_kept() -> None:
    script = ">S <SA >A " + " ".join(f"<R+{7 * i + 1}" for i in range(200))
    history = one(script)["history"]
    assert isinstance(history, str)
    assert history.startswith("ShA")
    assert history.count("r") == 200
