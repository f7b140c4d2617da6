"""Checking a policy, as the command does it: with the targets of the settings, and with a case where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.errors import PolicyError
    from workbench.policy.lint import Finding, Guard
    from workbench.push.targets import Target
    from workbench.settings import Settings
    from workbench.workflows.policy_at import AsOf

COLUMNS: Final = ("severity", "code", "rule", "message", "file", "line")

#: What a table on a terminal shows; the message last, since it is long.
TABLE_COLUMNS: Final = ("severity", "line", "rule", "code", "message")


def lint_policy(path: Path, moment: AsOf, settings: Settings) -> list[Finding]:
    """What is found in the policy at that path. Raises as `read_policy`; SettingsError for wrong targets."""
    from workbench.policy.lint import lint
    from workbench.policy.reading import read_policy
    from workbench.push.targets import known_targets

    loaded = read_policy(path)
    return lint(loaded, moment.resolver if moment.known else None, moment.now, guards_of(known_targets(settings)))


def told(error: PolicyError) -> list[Finding]:
    """Why a policy does not load, as findings."""
    from workbench.policy.lint import of_problems

    return of_problems(error.problems)


def guards_of(targets: dict[str, Target]) -> list[Guard]:
    """Paths that must stay open for targets: ssh to each, and its telemetry to its collectors.

    Of addresses only: what a name means is not asked of anybody.
    """
    from workbench.policy.addresses import prefix
    from workbench.policy.lint import Guard

    out = []
    for name, target in targets.items():
        if found := _address(target.far.host):
            why = f"target `{name}` could not be reached any more"
            out.append(Guard("management", (f"tcp/{target.far.port or 22}",), why, dst=prefix(found)))
        for address, port in target.telemetry:
            why = f"flow records of target `{name}` could not reach their collector any more"
            out.append(Guard("telemetry", (f"udp/{port}", f"tcp/{port}"), why, dst=prefix(address)))
    return out


def as_rows(found: Sequence[Finding]) -> pa.Table:
    """One row a finding, for every format."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.int32() if name == "line" else pa.string()) for name in COLUMNS])
    return pa.Table.from_pylist([asdict(one) for one in found], schema)


def _address(host: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return ""
