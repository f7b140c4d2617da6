"""What is done to Windows domains: made-up calls and tickets, one step inside and one outside of each question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.detections.shipped import ends, found
from tests.store.rows import T0, batch, flow, source
from workbench.store.reader import CaseReader
from workbench.store.writer import CaseWriter

HOST, OTHER, DC, DC2 = "10.0.0.7", "10.0.0.8", "10.0.1.1", "10.0.1.2"
SVCCTL, ATSVC, TASKS, DRS, NETLOGON = "svcctl", "atsvc", "ITaskSchedulerService", "drsuapi", "netlogon"


class Made:
    """Flows between pairs of hosts, and what was said in them."""

    def __init__(self) -> None:
        self.flows: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.tickets: list[dict[str, Any]] = []

    def _flow(self, src: str, dst: str, at: float) -> dict[str, Any]:
        ts = T0 + round(at * 1e6)
        made = flow(len(self.flows), ts=ts, ts_end=ts + 1_000, **ends(src, dst))
        self.flows.append(made)
        return {"flow_id": made["flow_id"], "ts": ts}

    def call(self, interface: str, operation: str, src: str = HOST, dst: str = DC, at: float = 0, **more: Any) -> None:
        said = {"interface": interface, "operation": operation, "result": "answered", "count": 1, "response_bytes": 100}
        self.calls.append(self._flow(src, dst, at) | said | more)

    def ticket(self, service: str, src: str = HOST, at: float = 0, etype: str = "rc4-hmac", **more: Any) -> None:
        said = {
            "type": "TGS",
            "service": service,
            "ticket_etype": etype,
            "etypes": "aes256-cts-hmac-sha1-96,rc4-hmac",
            "answered": True,
        }
        self.tickets.append(self._flow(src, DC, at) | said | more)

    def case(self, folder: Path) -> CaseReader:
        with CaseWriter(folder) as writer:
            writer.add_source(source(1))
            writer.append("flows", batch("flows", self.flows))
            for table, rows in (("dcerpc", self.calls), ("kerberos", self.tickets)):
                if rows:
                    writer.append(table, batch(table, rows))
            writer.update_source(1, state="ok", packets=9 * len(self.flows), flows=len(self.flows))
        return CaseReader(folder)


def test_a_service_that_is_created_changed_or_only_asked_for(tmp_path: Path) -> None:
    made = Made()
    made.call(SVCCTL, "OpenSCManagerW", status="SUCCESS")
    made.call(SVCCTL, "CreateServiceW", status="SUCCESS", pipe="svcctl")
    made.call(SVCCTL, "StartServiceW", count=2)
    made.call(SVCCTL, "CreateServiceA", OTHER, status="ACCESS_DENIED")
    made.call(SVCCTL, "QueryServiceStatus", DC2)
    made.call(SVCCTL, "ChangeServiceConfigW", "10.9.9.9")
    with made.case(tmp_path / "case") as reader:
        rows = found("remote-service", reader)
        assert [row["subject"] for row in found("remote-service", reader, administrators=["10.0.0.0/24"])] == ["10.9.9.9"]
    assert [(row["subject"], row["created"], row["changed"], row["started"], row["severity"]) for row in rows] == [
        (HOST, 1, 0, 2, "high"),
        ("10.9.9.9", 0, 1, 0, "high"),
        (OTHER, 1, 0, 0, "medium"),
    ]
    assert rows[0]["pipes"] == "svcctl"
    assert "which worked" in rows[0]["why"]
    assert "was refused" in rows[2]["why"]


def test_tasks_registered_and_run(tmp_path: Path) -> None:
    made = Made()
    made.call(TASKS, "SchRpcRegisterTask", status="SUCCESS")
    made.call(TASKS, "SchRpcRun")
    made.call(ATSVC, "NetrJobAdd", OTHER)
    made.call(TASKS, "SchRpcEnumTasks", DC2)
    with made.case(tmp_path / "case") as reader:
        rows = found("remote-task", reader)
    assert [(row["subject"], row["registered"], row["ran"]) for row in rows] == [(HOST, 1, 1), (OTHER, 1, 0)]


def test_who_replicates_and_is_no_controller(tmp_path: Path) -> None:
    made = Made()
    made.call(DRS, "DRSGetNCChanges", count=3, auth="kerberos/privacy")
    made.call(DRS, "DRSGetNCChanges", OTHER, result="access_denied", response_bytes=0)
    made.call(DRS, "DRSGetNCChanges", DC, DC2)  # controllers among themselves
    made.call(DRS, "DRSGetNCChanges", DC2, DC)
    made.call(DRS, "DRSBind", "10.9.9.9")
    made.call(DRS, "DRSGetNCChanges", "10.0.1.3")  # a controller by its tickets
    made.tickets.append(made._flow(HOST, "10.0.1.3", 5) | {"type": "AS", "answered": True})
    with made.case(tmp_path / "case") as reader:
        rows = found("dcsync", reader)
        assert [row["subject"] for row in found("dcsync", reader, controllers=[f"{HOST}/32"])] == [OTHER]
    assert [(row["subject"], row["object"], row["calls"], row["severity"]) for row in rows] == [
        (HOST, DC, 3, "critical"),
        (OTHER, DC, 1, "high"),
    ]


def test_zerologon_that_failed_and_that_worked(tmp_path: Path) -> None:
    made = Made()
    for n in range(20):
        made.call(NETLOGON, "NetrServerAuthenticate3", status="ACCESS_DENIED", at=n)
        made.call(NETLOGON, "NetrServerAuthenticate2", OTHER, status="ACCESS_DENIED", at=n)
        made.call(NETLOGON, "NetrServerAuthenticate3", DC2, status="ACCESS_DENIED", at=n * 700)  # too far apart
    made.call(NETLOGON, "NetrServerAuthenticate3", status="SUCCESS", at=21)
    made.call(NETLOGON, "NetrServerPasswordSet2", status="SUCCESS", at=22)
    for n in range(30):
        made.call(NETLOGON, "NetrServerAuthenticate3", "10.9.9.9", status="SUCCESS", at=n)  # a machine that may
    with made.case(tmp_path / "case") as reader:
        rows = found("zerologon", reader)
        assert found("zerologon", reader, least=22) == []
    assert [(row["subject"], row["attempts"], row["accepted"], row["password_set"], row["severity"]) for row in rows] == [
        (HOST, 21, 1, 1, "critical"),
        (OTHER, 20, 0, 0, "high"),
    ]
    assert rows[0]["score"] == 1.0


def test_tickets_with_rc4(tmp_path: Path) -> None:
    made = Made()
    for n, service in enumerate(("MSSQLSvc/a:1433", "MSSQLSvc/b:1433", "HTTP/web", "ftp/c")):
        made.ticket(service, at=n)
        made.ticket(service, OTHER, at=n * 700)
        made.ticket(service, DC2, at=n, etype="aes256-cts-hmac-sha1-96")
    made.ticket("cifs/old", "10.9.9.9", etypes="rc4-hmac")
    made.ticket("krbtgt/CORP", "10.9.9.8")
    made.ticket("HTTP/web", "10.9.9.7", error="KDC_ERR_ETYPE_NOSUPP")
    with made.case(tmp_path / "case") as reader:
        rows = found("kerberoasting", reader)
    assert [(row["subject"], row["services"], row["most_in_window"], row["severity"]) for row in rows] == [
        (HOST, 4, 4, "high"),
        ("10.9.9.9", 1, 1, "medium"),
        (OTHER, 4, 1, "low"),
    ]
