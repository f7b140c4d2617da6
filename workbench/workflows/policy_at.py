"""As of when a policy is looked at, and who knows who is in its groups: a case where there is one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workbench.errors import FilterError, UsageError

if TYPE_CHECKING:
    from workbench.policy.addresses import AddressSet
    from workbench.policy.members import Resolver
    from workbench.store.reader import CaseReader

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MASK: Final = (1 << 64) - 1
_NAMED: Final = """SELECT hi, lo, concat_ws('/', nullif(namespace, ''), name) AS called FROM workloads
WHERE name <> '' AND ts_from <= make_timestamp(?) AND coalesce(ts_to > make_timestamp(?), true) ORDER BY called"""


@dataclass(frozen=True, slots=True)
class AsOf:
    """now: what rules end by. members: as of when it is told who is in a group, whatever time `resolver` is asked for.

    known: whether a case is asked at all.
    """

    now: datetime
    members: datetime
    resolver: Resolver
    known: bool = False
    case: CaseReader | None = None

    def named(self, found: AddressSet) -> list[str]:
        """The names of the workloads that hold these addresses, `namespace/name`, each once."""
        if self.case is None:
            return []
        at = int((self.members - _EPOCH).total_seconds() * 1_000_000)
        rows = self.case.query(_NAMED, [at, at])
        halves = zip(rows["hi"].to_pylist(), rows["lo"].to_pylist(), rows["called"].to_pylist(), strict=True)
        return list(dict.fromkeys(called for hi, lo, called in halves if (hi & _MASK) << 64 | lo & _MASK in found))


@contextmanager
def as_of(case: CaseReader | None, at: str | None) -> Iterator[AsOf]:
    """Members and rules as of a time that is written as filters take it: absolute, or back from the case's last packet.

    Without one: rules as of now, members as of the case's last packet. UsageError where it is no time.
    """
    from workbench.policy.members import nobody

    now = time.time_ns() // 1000
    if case is None:
        moment = _moment(at, now)
        yield AsOf(moment, moment, nobody)
        return
    from workbench.workflows.show import case_now

    last = case_now(case)
    rules, members = (_moment(at, last),) * 2 if at is not None else (_time(now), _time(last))
    from workbench.policy.history import resolver_of

    yield AsOf(rules, members, replace(resolver_of(case), at=members), True, case)


@contextmanager
def perhaps(case: Path | None) -> Iterator[CaseReader | None]:
    """The case at that folder, open for reading, where one is named. Raises as `show.reading`."""
    if case is None:
        yield None
        return
    from workbench.workflows.show import reading

    with reading(case) as reader:
        yield reader


def _moment(text: str | None, now: int) -> datetime:
    if text is None:
        return _time(now)
    from workbench.filters.values import moment

    try:
        return _time(moment(text, now))
    except FilterError as error:
        raise UsageError(f"--at: {error.message.partition(' (column')[0]}", error.remedy) from error


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
