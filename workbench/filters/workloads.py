"""Names of workloads in filters: who an end of a flow was when it began.

`workload == "ns/train-*"` asks either end, `src.workload` and `dst.workload` one; `label.app == "train"` a label, whose name is
what follows. Rows of `workloads` belong to flows through `flow_identity`. Where several claim an end nobody is its workload:
`workload.ambiguous` finds these flows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from workbench.filters.fields import Field, Kind, Part, field_of
from workbench.records.columns import Table, Type

#: Flows with an end that several claim.
AMBIGUOUS: Final = "flow_id IN (SELECT flow_id FROM flow_identity WHERE ambiguous)"

_SIDES: Final = {"": "either end", "src": "the originator", "dst": "the responder"}
#: Columns of a workload that can be asked for, and what they are called.
_COLUMNS: Final = ("name", "namespace", "kind", "node", "uid", "origin")
#: A label's name as Kubernetes allows it; nothing in it means anything to the engine, so that it may stand in SQL.
_LABEL: Final = re.compile(r"(?:(?P<side>src|dst)\.)?label\.(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,250}[A-Za-z0-9])?)\Z")


def workload_fields(workloads: Table) -> Iterator[Field]:
    """`workload`, `workload.namespace` and so on, for either end and for each."""
    for side, whose in _SIDES.items():
        head = f"{side}." if side else ""
        name = field_of(workloads, "name", f"{head}workload", side=side, meaning=f"name, or namespace/name, of {whose}")
        full = Part("(namespace || '/' || name)", Type.VARCHAR, null=True)
        yield replace(name, parts=(*name.parts, full))
        for column in _COLUMNS:
            meaning = f"{workloads.column(column).meaning}: {whose}"
            yield field_of(workloads, column, f"{head}workload.{column}", side=side, meaning=meaning)


def label_field(name: str) -> Field | None:
    """The field of a label, `label.app` or `dst.label.app.kubernetes.io/name`; None for what is none."""
    found = _LABEL.match(name)
    if found is None:
        return None
    sql = f"CASE WHEN json_valid(labels) THEN json_extract_string(labels, '$.\"{found['name']}\"') END"
    side = found["side"] or ""
    return Field(
        name, Kind.TEXT, (Part(sql, Type.VARCHAR, null=True),), "workloads", f"label {found['name']} of {_SIDES[side]}", side=side
    )
