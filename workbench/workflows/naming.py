"""Naming flows: claims to intervals, and both ends of every flow looked up in them as of its first packet.

Runs after every index and import and while attached, and can be run at any time. Only what changed is looked up: flows of
sources that came since, and flows of addresses whose intervals changed, in the time in which they did.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workbench.errors import CancelledError, WorkbenchError
from workbench.settings import load_settings

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from workbench.identity.lookup import Holders
    from workbench.identity.workloads import Change
    from workbench.store.naming import Done
    from workbench.store.reader import CaseReader

#: Of a live source the flows are looked up again whose last packet is of so long (us) before the last naming, or later; those
#: that are told later still wait for its end.
_LATE: Final = 120_000_000

#: Of a case that this process writes live several may be named at once: what follows a cluster names on its own.
_ONE_AT_A_TIME: Final = threading.Lock()

#: Told now and then while flows are looked up: how many were.
NamingProgress = Callable[[int], None]


@dataclass(slots=True)
class Named:
    """What naming did. claims: told and derived. looked: flows looked up now, of which `named` have a name at an end, and
    `ambiguous` have several claimants at one. kept: whether anything changed.
    """

    claims: int = 0
    workloads: int = 0
    looked: int = 0
    named: int = 0
    ambiguous: int = 0
    kept: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class _Round:
    """One naming: what is looked up, and what of it was met. changed: None where every flow is looked up."""

    holders: Holders
    result: Named
    progress: NamingProgress | None
    cancel: threading.Event
    changed: Change | None = None
    done: Done | None = None
    met: list[NDArray[np.int64]] = field(default_factory=list)


def name_flows(
    case: Path,
    *,
    progress: NamingProgress | None = None,
    cancel: threading.Event | None = None,
    locked: bool = False,
) -> Named:
    """Bring `workloads` and `flow_identity` of a case up to date with its claims and flows.

    locked: whoever calls holds the case's ingest lock (a live writer of this process). Other readers see the old names
    until the new are there. CaseBusyError where somebody is writing the case, CancelledError once `cancel` is set: then
    the old names stay; MissingPathError, DiskFullError, SettingsError.
    """
    from workbench.store.case import CaseFolder, IngestLock
    from workbench.store.reader import CaseReader

    began = time.monotonic()
    networks = load_settings().identity.networks
    folder = CaseFolder.open(case)
    with _ONE_AT_A_TIME, nullcontext() if locked else IngestLock(folder), CaseReader(case) as reader:
        result = _name(reader, networks, progress, cancel or threading.Event())
    result.seconds = time.monotonic() - began
    return result


def name_quietly(
    case: Path, *, progress: NamingProgress | None = None, cancel: threading.Event | None = None, locked: bool = False
) -> str:
    """Name the flows of a case at the end of another task, which its failure must not cost: what went wrong, or ''."""
    try:
        name_flows(case, progress=progress, cancel=cancel, locked=locked)
    except WorkbenchError as error:
        return f"flows are not named anew: {error.message}"
    except Exception as error:  # the index is done, and worth more than names
        return f"flows are not named anew: {type(error).__name__}: {error}"
    return ""


def _name(reader: CaseReader, networks: Mapping[str, str], progress: NamingProgress | None, cancel: threading.Event) -> Named:
    import pyarrow as pa

    from workbench.analysis.claimed import claimed
    from workbench.identity.lookup import Holders
    from workbench.identity.workloads import changes, workloads_of
    from workbench.store.naming import Done, flows_there, keep_names, kept_workloads, looked_up, other_names, told_claims

    claims = pa.concat_tables([told_claims(reader), claimed(reader)])
    before = kept_workloads(reader)
    if not claims.num_rows and not before.num_rows:
        return Named()
    _check(cancel)
    after = workloads_of(claims, networks, before)
    _check(cancel)
    there = flows_there(reader)
    done = looked_up(reader.case, before)
    result = Named(claims.num_rows, after.num_rows)
    holders = Holders(after)
    now = _Round(holders, result, progress, cancel)
    if done is None or not before.num_rows:
        names = _looked_up(reader, now)
    else:
        now.changed = changes(before, after)
        same = {source: flows for source, flows in done.flows.items() if there.flows.get(source) == flows}
        now.done = Done(same, done.going & there.going, done.last)
        if not len(now.changed.hi) and same.keys() == there.flows.keys() and not there.going and before.equals(after):
            return result
        names = _and_others(reader, now, other_names)
    keep_names(reader.case, after, names, there)
    result.kept = True
    return result


def _looked_up(reader: CaseReader, now: _Round) -> Iterator[pa.RecordBatch]:
    """Rows of `flow_identity` of every flow that is to be looked up now and has a claimed end."""
    from workbench.store.naming import flow_ends

    addresses = _addresses(now)
    condition, params = _condition(now)
    for batch in flow_ends(reader, addresses, now.holders.networks, condition, params):
        _check(now.cancel)
        yield _rows(batch, now)
        if now.progress is not None:
            now.progress(now.result.looked)


def _and_others(
    reader: CaseReader, now: _Round, others: Callable[[CaseReader, NDArray[np.int64]], Iterator[pa.RecordBatch]]
) -> Iterator[pa.RecordBatch]:
    """As _looked_up, then the rows there are of all other flows."""
    import numpy as np

    yield from _looked_up(reader, now)
    met = np.sort(np.concatenate(now.met)) if now.met else np.empty(0, np.int64)
    for batch in others(reader, met):
        _check(now.cancel)
        yield batch


def _addresses(now: _Round) -> pa.Table:
    """The addresses that anybody claims or claimed until now: hi, lo, id (-1: nobody does now), and changed."""
    import numpy as np
    import pyarrow as pa

    known = now.holders.addresses
    hi, lo = known["hi"].to_numpy(), known["lo"].to_numpy()
    ids = known["id"].to_numpy()
    if now.changed is None or not len(now.changed.hi):
        return pa.table({"hi": hi, "lo": lo, "id": ids, "changed": np.zeros(len(ids), bool)})
    both = pa.table({"hi": np.r_[hi, now.changed.hi], "lo": np.r_[lo, now.changed.lo]})
    number = np.r_[ids, np.full(len(now.changed.hi), -1)]
    rows = both.append_column("id", pa.array(number)).append_column("changed", pa.array(np.arange(len(number)) >= len(ids)))
    merged = rows.group_by(["hi", "lo"]).aggregate([("id", "max"), ("changed", "any")])
    return merged.rename_columns(["hi", "lo", "id", "changed"])


def _condition(now: _Round) -> tuple[str, dict[str, Any]]:
    """Which flows are looked up: of sources not done, and of changed addresses while they changed. Over f, a and b."""
    if now.changed is None or now.done is None:
        return "true", {}
    params: dict[str, Any] = {"done": list(now.done.flows), "going": list(now.done.going), "late": now.done.last - _LATE}
    condition = (
        "(NOT list_contains($done, f.source_id) AND (NOT list_contains($going, f.source_id) OR epoch_us(f.ts_end) >= $late))"
    )
    if len(now.changed.hi):
        params |= {"since": int(now.changed.begin.min()), "until": int(now.changed.end.max())}
        condition += " OR ((a.changed OR b.changed) AND epoch_us(f.ts) >= $since AND epoch_us(f.ts) < $until)"
    return condition, params


def _rows(batch: pa.RecordBatch, now: _Round) -> pa.RecordBatch:
    """Rows of `flow_identity` for flows with claimed ends; notes which were looked up."""
    import numpy as np
    import pyarrow as pa

    from workbench.records.arrow import arrow_schema

    flows, when = batch.column("flow_id").to_numpy(), batch.column("ts").to_numpy()
    network = batch.column("network").to_numpy().astype(np.int64)
    src = now.holders.ask(batch.column("src").to_numpy(), network, when)
    dst = now.holders.ask(batch.column("dst").to_numpy(), network, when)
    several = (src.claimants > 1) | (dst.claimants > 1)
    if now.changed is not None:
        now.met.append(flows.copy())
    now.result.looked += len(flows)
    held = (src.claimants > 0) | (dst.claimants > 0)
    now.result.ambiguous += int(several.sum())
    now.result.named += int(((src.workload > 0) | (dst.workload > 0)).sum())
    columns = [
        pa.array(flows),
        pa.array(src.workload, mask=src.workload == 0),
        pa.array(dst.workload, mask=dst.workload == 0),
        pa.array(several),
        pa.array(src.claimants.astype(np.int32)),
        pa.array(dst.claimants.astype(np.int32)),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=arrow_schema("flow_identity"))
    return rows if held.all() else rows.filter(pa.array(held))


def _check(cancel: threading.Event) -> None:
    if cancel.is_set():
        raise CancelledError("the flows are not named: that was stopped")
