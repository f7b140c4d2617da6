"""What was said in a flow, in words for the details: rows of its application tables, and whether it contradicts its port."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workbench.analysis.metadata import Said
from workbench.records.columns import Column, Type
from workbench.tui import figures
from workbench.tui.looks import text_cell

#: Cells of one value in the details; `M` has all of it.
_VALUE: Final = 160
#: Ports that are named as a protocol's home.
_HOMES: Final = 3


def said_groups(said: Sequence[Said], more: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """A group a table, a line a row, the time beside it. more: what to say where there are more rows."""
    groups = []
    for one in said:
        shown = one.rows.num_rows
        title = one.table.name if shown == one.total else f"{one.table.name}: {shown} of {one.total:,}{more}"
        groups.append((title, [(_clock(row), _row_words(one, row)) for row in one.rows.to_pylist()]))
    return groups


def said_line(said: Sequence[Said]) -> str:
    """The first row of the first table in a line; '' where nothing was said."""
    if not said:
        return ""
    one = said[0]
    count = "" if one.total == 1 else f" {one.total:,}"
    return f"{one.table.name}{count}: {_row_words(one, one.rows.slice(0, 1).to_pylist()[0])}"


def _clock(row: Mapping[str, Any]) -> str:
    value = row.get("ts")
    return figures.clock(value) if isinstance(value, dt.datetime) else figures.NOTHING


def _row_words(one: Said, row: Mapping[str, Any]) -> str:
    """`sni web.corp, alpn h2`: names as filters have them, in the table's order; what is not there is left out."""
    known = [one.table.column(name) for name in row if name != "ts" and name in one.table.names]
    return ", ".join(
        f"{column.name} {_value(column, row[column.name])}" for column in known if row[column.name] not in (None, "")
    )


def _value(column: Column, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.type is Type.TIMESTAMP and isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if column.unit == "us" and isinstance(value, int):
        return figures.micros(value)
    if column.unit == "bytes" and isinstance(value, int):
        return figures.words_size(value)
    text = text_cell(value)
    return text if len(text) <= _VALUE else text[: _VALUE - 1] + "…"


def whose(flow: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Whose home the flow's port is, where its protocol contradicts that (decode.application.homes); else None."""
    service = flow.get("service")
    if not service:
        return None
    from workbench.decode.application.homes import unexpected  # knows all protocols: loaded where a flow has a service

    return unexpected(service, flow.get("proto"), flow.get("src_port"), flow.get("dst_port"))


def marked_service(flow: Mapping[str, Any]) -> str:
    """The service as a table shows it: `ssh !443` where it contradicts its port."""
    text = text_cell(flow.get("service"))
    return text if whose(flow) is None else f"{text} !{flow.get('dst_port')}"


def contradiction(flow: Mapping[str, Any]) -> str:
    """`contradicts its port: 443 is the home of tls`; '' where it does not."""
    owners = whose(flow)
    if owners is None:
        return ""
    if owners:
        return f"contradicts its port: {flow.get('dst_port')} is the home of {owners[0]}"
    from workbench.decode.application.homes import homes

    outside = str(flow["service"]).split(",", 1)[0]
    ports = [str(port) for (proto, port), names in homes().items() if proto == flow.get("proto") and outside in names]
    return f"contradicts its port: {text_cell(outside)} is at home on {', '.join(ports[:_HOMES])}"
