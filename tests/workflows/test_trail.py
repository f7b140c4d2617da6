import subprocess
from pathlib import Path

import pytest

from tests import needs
from tests.capture_files import write_flows
from workbench.errors import ExternalError
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest
from workbench.workflows.trail import audit_entries, audit_verdict

pytestmark = needs.program("ssh-keygen")


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings that name a key and trust it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    (tmp_path / "signers").write_text(f"ann {(tmp_path / 'key.pub').read_text()}")
    (tmp_path / "settings.toml").write_text(
        f'[audit]\nprincipal = "ann"\nsigning_key = "{tmp_path / "key"}"\nallowed_signers = "{tmp_path / "signers"}"\n'
    )
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    return tmp_path


def test_indexing_signs_the_log_and_a_cut_is_then_found(signed: Path) -> None:
    write_flows(signed / "a.pcap", 3)
    index_sources(IndexRequest((str(signed / "a.pcap"),), signed / "case"))
    assert [entry.action for entry in audit_entries(signed / "case")] == ["case_created", "source_indexed", "head_signed"]
    assert audit_verdict(signed / "case").ok
    log = signed / "case" / "audit.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert not audit_verdict(signed / "case").ok


def test_a_key_that_does_not_sign_is_said_and_the_case_stays(signed: Path) -> None:
    (signed / "key").unlink()
    write_flows(signed / "a.pcap", 3)
    with pytest.raises(ExternalError, match="refused to sign"):
        index_sources(IndexRequest((str(signed / "a.pcap"),), signed / "case"))
    assert audit_verdict(signed / "case").ok
    assert (signed / "case" / "case.duckdb").exists()
