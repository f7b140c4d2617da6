"""A cluster followed live: the real kubectl against a stand-in of an API server."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.capture_files import pcap, udp_frame
from tests.sources.inventory.kubernetes_samples import SECRET, node, pod, service
from tests.workflows.api_server import ApiServer
from workbench.errors import ExternalError, UsageError
from workbench.sources.kubernetes import read_cluster
from workbench.store.reader import CaseReader
from workbench.workflows.attach import AttachResult, attach
from workbench.workflows.requests import AttachRequest

pytestmark = needs.program("kubectl")
_PATIENCE = 40.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    found = ApiServer()
    monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig(tmp_path)))
    monkeypatch.setenv("HOME", str(tmp_path))  # kubectl keeps a cache there
    yield found
    found.close()


class Following:
    """An attach run in a thread of its own, and what the case has meanwhile."""

    def __init__(self, case: Path, request: AttachRequest | None = None) -> None:
        self.case = case
        self._request = request or AttachRequest("kubernetes://lab", case)
        self.stop = threading.Event()
        self.result: AttachResult | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = attach(self._request, None, self.stop)
        except BaseException as error:
            self.error = error

    def rows(self, sql: str) -> list[dict[str, Any]]:
        if not (self.case / "case.duckdb").exists():
            return []
        with CaseReader(self.case) as reader:
            found: list[dict[str, Any]] = reader.query(sql).to_pylist()
        return found

    def until(self, done: Callable[[], Any]) -> Any:
        end = time.monotonic() + _PATIENCE
        while not (found := done()):
            assert self._thread.is_alive(), self.error
            assert time.monotonic() < end, self.rows("SELECT * FROM claims")
            time.sleep(0.1)
        return found

    def until_claimed(self, name: str, condition: str = "true") -> list[dict[str, Any]]:
        sql = f"SELECT * FROM claims WHERE name = '{name}' AND {condition}"
        found: list[dict[str, Any]] = self.until(lambda: self.rows(sql))
        return found

    def end(self) -> AttachResult:
        self.stop.set()
        self._thread.join(_PATIENCE)
        assert self.error is None, self.error
        assert self.result is not None
        return self.result


def test_names_come_and_go_while_a_cluster_is_followed(server: ApiServer, tmp_path: Path) -> None:
    for n in range(1, 6):  # three pages
        server.change("pods", pod(f"web-{n}", f"10.0.0.{n}"))
    server.change("services", service("web", "10.96.0.1"))
    server.change("nodes", node("node-b", "192.0.2.12"))
    following = Following(tmp_path / "case")
    following.until_claimed("web-5")
    following.until_claimed("web")
    following.until_claimed("node-b")
    server.change("pods", pod("late-1", "10.0.0.9"))
    following.until_claimed("late-1")
    server.change("pods", pod("web-1", "10.0.0.1", phase="Succeeded", finished="2024-11-05T10:30:00.5Z"))
    (over,) = following.until_claimed("web-1", "ts_to IS NOT NULL")
    assert str(over["ts_to"]) == "2024-11-05 10:30:00.500000"
    # a watch that ends goes on where it was, and nothing is lost
    server.disconnect()
    server.change("pods", pod("late-2", "10.0.0.10"))
    following.until_claimed("late-2")
    assert len([path for path in server.asked if "/pods?limit" in path and "continue" not in path]) == 1
    result = following.end()
    assert result.sources[0]["state"] == "ok"
    assert (result.sources[0]["kind"], result.sources[0]["path"]) == ("kubernetes", "live:kubernetes://lab")
    assert {row["name"] for row in following.rows("SELECT name FROM workloads")} >= {"web-2", "late-1", "web", "node-b"}
    assert SECRET not in str(following.rows("SELECT * FROM claims")) + str(result.ledger)


def test_what_a_server_forgot_is_listed_anew_and_told(server: ApiServer, tmp_path: Path) -> None:
    server.change("pods", pod("stays-1", "10.0.0.1"))
    server.change("pods", pod("goes-1", "10.0.0.2"))
    following = Following(tmp_path / "case")
    following.until_claimed("goes-1")
    following.until(lambda: any("watch=1" in path and "/pods" in path for path in server.asked))
    server.delete("pods", "goes-1")
    following.until_claimed("goes-1", "ts_to IS NOT NULL")
    server.change("pods", pod("lost-1", "10.0.0.3"))
    following.until_claimed("lost-1")
    with server._turn:  # it goes while nobody is told
        server._objects["pods"].pop("lost-1")
        server.version += 1
    server.forget()
    server.disconnect()
    (end,) = following.until(lambda: following.rows("SELECT * FROM claims WHERE uid = 'uid-lost-1' AND ip IS NULL"))
    assert end["confidence"] == 0.6
    result = following.end()
    gaps = [row["detail"] for row in result.ledger if row["reason"] == "capture_gap"]
    assert len(gaps) >= 1
    assert "410" in gaps[0]
    assert result.sources[0]["state"] == "partial"
    assert following.rows("SELECT * FROM claims WHERE uid = 'uid-stays-1' AND ts_to IS NOT NULL") == []


def test_kinds_that_may_not_be_read_are_told_and_the_others_followed(server: ApiServer, tmp_path: Path) -> None:
    server.forbidden.add("nodes")
    server.change("pods", pod("web-1", "10.0.0.1"))
    following = Following(tmp_path / "case")
    following.until_claimed("web-1")
    result = following.end()
    told = [row["detail"] for row in result.ledger if row["reason"] == "read_error"]
    assert len(told) == 1
    assert told[0].startswith("nodes are not followed: ")


def test_flows_are_named_by_a_cluster_that_is_followed_beside_a_capture(server: ApiServer, tmp_path: Path) -> None:
    server.change("pods", pod("client-1", "10.0.0.1"))
    server.change("pods", pod("dns-1", "10.0.0.2"))
    out, into = os.pipe()
    os.write(into, pcap([(1_730_900_000.0 + n, udp_frame(1, 2, 1000, 53)) for n in range(5)]))
    following = Following(tmp_path / "case", AttachRequest("-", tmp_path / "case", names="kubernetes://lab", stdin=out))
    following.until_claimed("dns-1")
    os.close(into)
    following._thread.join(_PATIENCE)
    result = following.end()
    assert [row["kind"] for row in result.sources] == ["live", "kubernetes"]
    named = """SELECT s.name AS src, d.name AS dst FROM flow_identity i JOIN workloads s ON i.src_wid = s.workload_id
        JOIN workloads d ON i.dst_wid = d.workload_id"""
    assert following.rows(named) == [{"src": "client-1", "dst": "dns-1"}]
    made = [line for line in (tmp_path / "case" / "audit.jsonl").read_text().splitlines() if "case_created" in line]
    assert len(made) == 1
    os.close(out)


def test_a_cluster_that_cannot_be_reached_is_said_at_once(server: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="no-such-context"):
        attach(AttachRequest("kubernetes://no-such-context", tmp_path / "case"))


def test_without_kubectl_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExternalError) as caught:
        attach(AttachRequest("kubernetes://lab", tmp_path / "case"))
    assert caught.value.exit_code == 4
    assert "kubernetes-client" in caught.value.remedy
    assert not (tmp_path / "case").exists()


def test_sources_that_are_none() -> None:
    assert str(read_cluster("kubernetes://arn:aws:eks:r:1:cluster/x?namespace=shop")).endswith("?namespace=shop")
    for wrong in ("kubernetes://a?b=c", "kubernetes://a?namespace=../x", "kubernetes://a\0"):
        with pytest.raises(UsageError):
            read_cluster(wrong)
    with pytest.raises(UsageError, match="no packets"):
        attach(AttachRequest("kubernetes://lab", Path("case"), bpf="tcp"))
