"""A flow in words: the groups of the detail pane, and the few lines of its narrow form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workbench.analysis.flow_names import NAMES, End
from workbench.analysis.metadata import Said
from workbench.records.columns import FLOWS
from workbench.tui import figures, looks
from workbench.tui.looks import text_cell
from workbench.tui.named_rows import end_words, ends_line
from workbench.tui.said import contradiction, said_groups, said_line

#: What Zeek's connection states mean, for someone who does not know them by heart.
STATES: Final = {
    "S0": "attempt, no reply",
    "S1": "established, not closed",
    "SF": "established and closed normally",
    "REJ": "attempt refused",
    "S2": "originator asked to close, no reply",
    "S3": "responder asked to close, no reply",
    "RSTO": "established, then reset by the originator",
    "RSTR": "established, then reset by the responder",
    "RSTOS0": "SYN, then reset by the originator, no reply",
    "RSTRH": "SYN+ACK, then reset by the responder, no SYN seen",
    "SH": "SYN, then FIN by the originator, no reply (half open)",
    "SHR": "SYN+ACK, then FIN by the responder, no SYN seen",
    "OTH": "seen from the middle on",
}

#: UDP has no handshake; its states say who sent at all.
_UDP_STATES: Final = {"SF": "both sides sent", "S0": "only the originator sent", "SHR": "only the responder sent"}

_HISTORY: Final = {
    "s": "SYN",
    "h": "SYN+ACK",
    "a": "ACK",
    "d": "data",
    "f": "FIN",
    "r": "RST",
    "c": "bad checksum",
    "g": "gap",
    "t": "sent again",
    "w": "zero window",
    "i": "odd flags",
    "q": "SYN with FIN or RST",
    "^": "direction turned",
}

_ENDS: Final = {
    None: "still open",
    1: "idle: nothing came for longer than its time-out",
    2: "active: cut although it goes on",
    3: "its end was seen",
    4: "forced: the source ended or was cancelled",
    5: "no resources: the flow table was full",
}

Group = tuple[str, list[tuple[str, str]]]
#: Who both ends of a flow were; None where nobody claims one.
Ends = tuple[End | None, End | None]


def history_words(text: str | None) -> str:
    """Zeek's history letters as what each side did, in order: `→ SYN ← SYN+ACK → ACK data`."""
    if not text:
        return figures.NOTHING
    out: list[str] = []
    side = ""
    for letter in text[:64]:
        word = _HISTORY.get(letter.lower())
        if word is None:
            out.append(text_cell(letter))
            continue
        now = "" if letter == "^" else "→" if letter.isupper() else "←"
        if now and now != side:
            out.append(now)
            side = now
        out.append(word)
    return " ".join(out)


def state_words(state: str | None, proto: int | None) -> str:
    """What a conn_state means for a flow of that protocol; the state itself where it is none of ours."""
    if proto == 17:
        known = _UDP_STATES.get(state or "")
    elif proto in (6, None):
        known = STATES.get(state or "")
    else:
        known = "without connections" if state == "OTH" else None
    return known or text_cell(state)


def endpoint(ip: Any, port: Any) -> str:
    """Address and port as one: `10.0.0.1:443`, `[2001:db8::1]:443`; the address alone without a port."""
    text = text_cell(ip)
    if port is None:
        return text
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def _bytes(value: int | None) -> str:
    """Short and exact: `1.2 MB (1,234,567)`."""
    if value is None:
        return figures.NOTHING
    return figures.words_size(value) if value < 1000 else f"{figures.words_size(value)} ({value:,})"


def _number(value: int | None) -> str:
    return figures.NOTHING if value is None else f"{value:,}"


def _is_icmp(flow: Mapping[str, Any]) -> bool:
    return flow.get("proto") in (1, 58)


def _side(flow: Mapping[str, Any], side: str) -> str:
    """`10.0.0.1 port 443`; ICMP's type and counterpart type stand where ports would."""
    port = flow.get(f"{side}_port")
    if port is None:
        return text_cell(flow.get(f"{side}_ip"))
    word = "port" if not _is_icmp(flow) else "type" if side == "src" else "reply type"
    return f"{text_cell(flow.get(f'{side}_ip'))} {word} {port}"


def _who(flow: Mapping[str, Any], ends: Ends) -> Group:
    who = [[("", words)] if words else [] for words in map(end_words, ends)]
    macs = [text_cell(flow.get(name)) for name in ("src_mac", "dst_mac")]
    return (
        "Who",
        [
            ("from", _side(flow, "src")),
            *who[0],
            ("to", _side(flow, "dst")),
            *who[1],
            ("MACs", " → ".join(macs)),
            ("network", text_cell(flow.get("network") or "untagged")),
            ("vlan", _joined(flow.get("vlan"), flow.get("inner_vlan"))),
            ("sensor", text_cell(flow.get("sensor"))),
        ],
    )


def _joined(*values: Any) -> str:
    return ", inside ".join(text_cell(v) for v in values if v is not None) or figures.NOTHING


def _what(flow: Mapping[str, Any]) -> Group:
    state = flow.get("conn_state")
    meaning = state_words(state, flow.get("proto"))
    rows = [
        ("protocol", f"{text_cell(flow.get('proto_name'))} ({flow.get('proto')})"),
        ("service", text_cell(flow.get("service") or "not identified")),
        *([("", strange)] if (strange := contradiction(flow)) else []),
        ("state", text_cell(state) if meaning == text_cell(state) else f"{text_cell(state)}: {meaning}"),
        ("ended", _ENDS.get(flow.get("end_reason"), text_cell(flow.get("end_reason")))),
    ]
    if flow.get("verdict") is not None or flow.get("rule_id") is not None:
        rows += [("verdict", text_cell(flow.get("verdict"))), ("rule", text_cell(flow.get("rule_id")))]
    return ("What", rows)


def _when(flow: Mapping[str, Any]) -> Group:
    return (
        "When (UTC)",
        [
            ("first", figures.moment(flow.get("ts"))),
            ("last", figures.moment(flow.get("ts_end"))),
            ("lasted", figures.duration(flow.get("duration"))),
        ],
    )


def _how_much(flow: Mapping[str, Any]) -> Group:
    rows = [
        ("sent", f"{_bytes(flow.get('src_bytes'))} in {_number(flow.get('src_pkts'))} packets"),
        ("received", f"{_bytes(flow.get('dst_bytes'))} in {_number(flow.get('dst_pkts'))} packets"),
        ("payload sent", _bytes(flow.get("src_payload"))),
        ("received", _bytes(flow.get("dst_payload"))),
    ]
    sampling = flow.get("sampling") or 1
    if sampling > 1:
        rows.append(("sampling", f"1 in {sampling:,}: counts are as observed"))
    return ("How much", rows)


def _packets(value: int | None) -> str:
    return f"{figures.count(value)} pkt{'' if value == 1 else 's'}"


def _carried(flow: Mapping[str, Any]) -> str:
    """`12.3 s, → 1.2 MB 812 pkts, ← 3.4 MB 2,345 pkts`: length, bytes and packets each way."""
    ways = [(arrow, flow.get(f"{side}_bytes"), flow.get(f"{side}_pkts")) for arrow, side in (("→", "src"), ("←", "dst"))]
    carried = [f"{arrow} {figures.words_size(size)} {_packets(packets)}" for arrow, size, packets in ways]
    return ", ".join([figures.duration(flow.get("duration")), *carried])


def _tcp(flow: Mapping[str, Any]) -> Group | None:
    if flow.get("proto") != 6:
        history = flow.get("history")
        return ("Course", [("history", text_cell(history)), ("", history_words(history))]) if history else None
    return (
        "TCP",
        [
            ("history", text_cell(flow.get("history"))),
            ("", history_words(flow.get("history"))),
            ("flags sent", looks.flag_words(flow.get("src_flags"))),
            ("received", looks.flag_words(flow.get("dst_flags"))),
            ("round trip", figures.micros(flow.get("rtt_us"))),
            ("sent again", _number(flow.get("retransmits"))),
        ],
    )


def _tunnel(flow: Mapping[str, Any]) -> Group | None:
    if flow.get("tunnel") is None and flow.get("outer_src_ip") is None:
        return None
    return (
        "Tunnel",
        [
            ("kind", text_cell(flow.get("tunnel"))),
            ("network id", _number(flow.get("vni"))),
            ("ends", " → ".join(text_cell(flow.get(name)) for name in ("outer_src_ip", "outer_dst_ip"))),
            ("MACs", " → ".join(text_cell(flow.get(name)) for name in ("outer_src_mac", "outer_dst_mac"))),
            ("outer vlan", text_cell(flow.get("outer_vlan"))),
        ],
    )


def _where(flow: Mapping[str, Any], path: str) -> Group:
    first, last = flow.get("first_offset"), flow.get("last_offset")
    place = figures.NOTHING if first is None or last is None else f"byte {first:,}"
    place += f" to byte {last:,}" if place != figures.NOTHING and last != first else ""
    return (
        "Where its packets are",
        [
            ("in", text_cell(path) if path else f"source {flow.get('source_id')}"),
            ("at", place),
            ("flow", looks.flow_number(flow.get("flow_id"))),
            ("community", text_cell(flow.get("community_id"))),
        ],
    )


def groups(
    flow: Mapping[str, Any], path: str, said: Sequence[Said] = (), more: str = "", ends: Ends = (None, None)
) -> list[Group]:
    """Every column of a flow, in groups; values are safe to print. path: of its source. said: what was said in it.

    more: what to say behind a count where not all of it is shown. ends: who both ends were when it began.
    """
    about = said_groups(said, more)
    found = [_who(flow, ends), _what(flow), *about, _when(flow), _how_much(flow), _tcp(flow), _tunnel(flow), _where(flow, path)]
    shown = [group for group in found if group is not None]
    extra = [(name.replace("_", " "), text_cell(flow[name])) for name in flow if name not in (*FLOWS.names, *NAMES)]
    if extra:
        shown.append(("More", extra))
    return shown


def brief(flow: Mapping[str, Any], path: str, said: Sequence[Said] = (), ends: Ends = (None, None)) -> list[str]:
    """The flow in four or five lines, the most important first; each fits 78 cells but for the longest addresses and names.

    said: what was said in it. ends: who both ends were when it began.
    """
    kind = "/".join(text_cell(flow[name]) for name in ("proto_name", "service") if flow.get(name))
    source, target = endpoint(flow.get("src_ip"), flow.get("src_port")), endpoint(flow.get("dst_ip"), flow.get("dst_port"))
    if _is_icmp(flow):
        source, target = text_cell(flow.get("src_ip")), f"{text_cell(flow.get('dst_ip'))} type {flow.get('src_port')}"
    facts = []
    if flow.get("rtt_us") is not None:
        facts.append(f"round trip {figures.micros(flow['rtt_us'])}")
    if flow.get("retransmits"):
        facts.append(f"{_number(flow['retransmits'])} sent again")
    if flow.get("history"):
        facts.append(f"history {text_cell(flow['history'])}")
    if flow.get("tunnel"):
        outer = f"{text_cell(flow.get('outer_src_ip'))} → {text_cell(flow.get('outer_dst_ip'))}"
        facts.append(f"{text_cell(flow['network'] or 'untagged')} in {text_cell(flow['tunnel'])} {outer}")
    elif flow.get("network"):
        facts.append(f"network {text_cell(flow['network'])}")
    facts.append(looks.end_reason(flow.get("end_reason")))
    names = ends_line(ends)
    told = "; ".join(part for part in (contradiction(flow), said_line(said)) if part)
    return [
        f"{kind} {source} → {target}",
        *([names] if names else []),
        f"{state_words(flow.get('conn_state'), flow.get('proto'))}: {_carried(flow)}",
        *([told] if told else []),
        ", ".join(facts),
        f"{figures.moment(flow.get('ts'))} UTC, in {text_cell(path)}",
    ]
