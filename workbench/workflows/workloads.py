"""Who held which address when, out of a case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.errors import FilterError, UsageError
from workbench.records.columns import BY_NAME

if TYPE_CHECKING:
    from workbench.store.query import Rows
    from workbench.store.reader import CaseReader


def list_workloads(case: CaseReader, at: str | None = None, columns: Sequence[str] | None = None) -> Rows:
    """Rows of `workloads` by address, network and time, streamed; to be closed. columns: default all.

    at: only those of that time, as filters take it; relative ones count from the case's last packet, while attached from now.
    UsageError where it is no time.
    """
    from workbench.store.naming import workload_rows

    return workload_rows(case, columns or BY_NAME["workloads"].names, None if at is None else _moment(case, at))


def _moment(case: CaseReader, text: str) -> int:
    from workbench.filters.values import moment
    from workbench.workflows.show import case_now

    try:
        return moment(text, case_now(case))
    except FilterError as error:
        raise UsageError(f"--at: {error.message.partition(' (column')[0]}", error.remedy) from error
