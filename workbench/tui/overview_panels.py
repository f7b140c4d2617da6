"""What the overview asks, in the order of asking, and the rows that the answers become."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from workbench.analysis.arrivals import Arrivals
from workbench.analysis.found import Found
from workbench.analysis.leads import Lead
from workbench.analysis.places import INSIDE_SET, NO_HOST_SET
from workbench.tui import conditions, coverage, figures, words
from workbench.tui.data import CaseData, Summary
from workbench.tui.lead_words import NAMES, finding_words, lead_filter, lead_words
from workbench.tui.looks import state_role, text_cell
from workbench.tui.views.base import Subject
from workbench.tui.widgets.board import Band, Panel, Row
from workbench.tui.widgets.board_lines import Column

_HOST: Final = Column(middle=True)
_BAR: Final = Column(bar=True)
_SHORT_BAR: Final = Column(6, bar=True)
_SIZE: Final = Column(8, right=True)
_COUNT: Final = Column(6, right=True)
_WIDE_SIZE: Final = Column(9, right=True, wide_from=60, role="quiet")
_CLOCK: Final = Column(8, role="quiet")

#: Empty panels, by key: before anything is answered.
PANELS: Final[dict[str, Panel]] = {
    panel.key: panel
    for panel in (
        Panel("look", "look first", (Column(8), Column()), wraps=True),
        Panel("talkers", "talkers", (_HOST, _BAR, _WIDE_SIZE, _WIDE_SIZE, _SIZE, _COUNT)),
        Panel("services", "services", (Column(), _BAR, _SIZE, _COUNT)),
        Panel("states", "how connections ended: flows", (Column(6), Column(), _SHORT_BAR, _COUNT)),
        Panel("new", "new hosts", (_HOST, _CLOCK, _SIZE)),
        Panel("vanished", "vanished hosts", (_HOST, _CLOCK, _SIZE)),
        Panel("places", "inside and outside: size, flows", (Column(), _BAR, _SIZE, _COUNT)),
        Panel("ledger", "what this rests on", (Column(10, right=True), Column())),
    )
}

_NARROW: Final = (
    Band(("look",), 3, 10),
    Band(("talkers", "services"), 3, 12),
    Band(("new", "vanished"), 2, 8),
    Band(("states", "places"), 3, 8),
    Band(("ledger",), 3, 8),
)
_WIDE: Final = (
    Band(("look",), 4, 8),
    Band(("talkers", "services", "states"), 4, 12),
    Band(("new", "vanished", "places"), 4, 10),
    Band(("ledger",), 3, 7),
)
#: From this width on, three lists stand side by side.
WIDE_FROM: Final = 120


def bands(width: int) -> tuple[Band, ...]:
    """How the lists are arranged on a board that wide."""
    return _WIDE if width >= WIDE_FROM else _NARROW


def host_subject(host: str) -> Subject:
    """A host, for notes."""
    return Subject("host", host, f"host {text_cell(host)}", conditions.condition("addr", host, keep=True))


def _host(cells: tuple[str, ...], host: str, share: float = 0.0) -> Row:
    subject = host_subject(host)
    return Row(cells, share, subject.kept, ("addr", host), subject)


def look_rows(found: Found, leads: Sequence[Lead], states: Mapping[str, str]) -> tuple[Row, ...]:
    """Findings that are open, gravest first; where there are none, leads. states: of findings, by id."""
    rows = []
    for one in found.rows:
        state = states.get(one["finding_id"], "open")
        if state not in ("open", "confirmed"):
            continue
        role = "bad" if one["severity"] in ("critical", "high") else "warn" if one["severity"] == "medium" else ""
        text = finding_words(one)
        kept = conditions.condition("finding", one["finding_id"], keep=True)
        subject = Subject("finding", one["finding_id"], text[:120], kept)
        rows.append(Row((text_cell(one["severity"]), text), 0.0, kept, ("finding", one["finding_id"]), subject, role))
    if rows:
        return tuple(rows)
    return tuple(
        Row((NAMES[one.sign], lead_words(one)), 0.0, lead_filter(one), ("addr", one.who), host_subject(one.who)) for one in leads
    )


def look_title(found: Found, rows: Sequence[Row]) -> str:
    """What the first list is made from."""
    if found.counts:
        counts = ", ".join(f"{n:,} {text_cell(severity)}" for severity, n in found.counts)
        return f"look first: findings, {counts}"
    return "look first: signs in the flows (no findings; 5, then D, runs detections)" if rows else "look first"


def look_panel(data: CaseData, found: Found, leads: Sequence[Lead]) -> Panel:
    """What to look at first, by how findings are judged now. It reads the notebook: not from the event loop."""
    notebook = getattr(data, "notebook", None)
    known = {} if notebook is None else {key: one.state for key, one in notebook.states().items()}
    rows = look_rows(found, leads, known)
    note = "no scan, upload or log-in series seen; 5, then D, runs detections"
    return replace(PANELS["look"], title=look_title(found, rows), rows=rows, note=note)


def talker_rows(table: Sequence[Mapping[str, Any]], by: str) -> tuple[Row, ...]:
    """Hosts by bytes or flows; the bar is a share of the first."""
    kept = sorted(table, key=lambda row: row[f"by_{by}"])
    amounts = [row["flows"] if by == "flows" else row["sent"] + row["received"] for row in kept]
    most = max(amounts, default=0) or 1
    return tuple(
        _host(
            (
                text_cell(row["host"]),
                "↑" + figures.size(row["sent"]),
                "↓" + figures.size(row["received"]),
                figures.size(row["sent"] + row["received"]),
                figures.count(row["flows"]),
            ),
            row["host"],
            amount / most,
        )
        for row, amount in zip(kept, amounts, strict=True)
    )


def service_filter(row: Mapping[str, Any]) -> str:
    """The filter of a service's flows: seen by name, or none seen and by port."""
    if row["service"] is not None:
        return conditions.condition("service", row["service"], keep=True)
    kept = f"proto == {row['proto']}" if row["port"] is None else f"proto == {row['proto']} && dst_port == {row['port']}"
    return f"{kept} && !(service)"


def service_value(row: Mapping[str, Any]) -> tuple[str, object]:
    """What f keeps of a service."""
    if row["service"] is not None:
        return "service", row["service"]
    return ("proto", row["proto"]) if row["port"] is None else ("dst_port", row["port"])


def service_rows(table: Sequence[Mapping[str, Any]], by: str) -> tuple[Row, ...]:
    """Services by bytes or flows."""
    most = max((row[by] for row in table), default=0) or 1
    return tuple(
        Row(
            (text_cell(row["label"]), figures.size(row["bytes"]), figures.count(row["flows"])),
            row[by] / most,
            service_filter(row),
            service_value(row),
        )
        for row in table
    )


def state_rows(table: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Connection states by flows."""
    most = max((row["flows"] for row in table), default=0) or 1
    return tuple(
        Row(
            (text_cell(row["state"]), words.state_words(row["state"], None), figures.count(row["flows"])),
            row["flows"] / most,
            conditions.condition("conn_state", row["state"], keep=True),
            ("conn_state", row["state"]),
            role=state_role(row["state"] or ""),
        )
        for row in table
    )


def arrival_rows(found: Arrivals, *, new: bool, dated: bool) -> tuple[Row, ...]:
    """Hosts that came with their first moment, or that went with their last."""
    return tuple(
        _host((text_cell(row["host"]), _moment(row["first" if new else "last"], dated), figures.size(row["bytes"])), row["host"])
        for row in (found.new if new else found.vanished).to_pylist()
    )


def _moment(when: dt.datetime, dated: bool) -> str:
    return f"{when:%m-%d %H}h" if dated else f"{when:%H:%M:%S}"


_PLACES: Final = {"inside": "inside", "outside": "outside", "group": "groups", None: "no address"}


def place_rows(table: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Between inside and outside, by bytes."""
    most = max((row["bytes"] for row in table), default=0) or 1
    rows = []
    for row in table:
        name = f"{_PLACES[row['source']]} → {_PLACES[row['target']]}"
        kept = f"{_in('src_ip', row['source'])} && {_in('dst_ip', row['target'])}"
        rows.append(Row((name, figures.size(row["bytes"]), figures.count(row["flows"])), row["bytes"] / most, kept))
    return tuple(rows)


def _in(column: str, place: str | None) -> str:
    if place is None:
        return f"!({column})"
    if place == "outside":
        return f"{column} && !({column} in {INSIDE_SET}) && !({column} in {NO_HOST_SET})"
    return f"{column} in {INSIDE_SET if place == 'inside' else NO_HOST_SET}"


def ledger_rows(summary: Summary) -> tuple[Row, ...]:
    """Packets and losses of the whole case, then the ledger's lines, most first; Enter opens the ledger."""
    if not summary.sources:
        return ()
    cover = coverage.coverage(summary)
    rows = [
        Row(
            (figures.count(cover.packets), f"packets of {coverage.sources_words(summary.sources)}: {coverage.drops_words(cover)}")
        ),
        Row((figures.share(_decoded(cover), cover.packets), f"of them in flows or ARP: {coverage.undecoded_words(cover)}")),
    ]
    shared = sum(source.get("clock_reference") is not None for source in summary.sources)
    if shared:
        what = "sources saw the same conversations: sums here count every sighting, the view conversations counts each once"
        rows.append(Row((figures.count(shared), what), role="warn"))
    order = {"unseen": 0, "undecoded": 1, "note": 2}
    for line in sorted(summary.ledger, key=lambda line: (order.get(line["kind"], 3), -(line["count"] or 0))):
        role = "warn" if line["kind"] == "unseen" else ""
        amount = coverage.amount(line["reason"], line["count"]) or "·"
        rows.append(Row((amount, f"{coverage.reason_words(line['reason'])}: {coverage.meaning(line['reason'])}"), role=role))
    return tuple(rows)


def _decoded(cover: coverage.Coverage) -> int:
    return max(0, cover.packets - sum(n for _, n in cover.undecoded))
