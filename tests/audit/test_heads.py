import subprocess
from pathlib import Path

import pytest

from tests import needs
from workbench.audit import heads
from workbench.audit.heads import Anchor, read_heads, sign_head, verify_case
from workbench.audit.log import AuditLog
from workbench.cli.app import run
from workbench.errors import AuditError, ExternalError

pytestmark = needs.program("ssh-keygen")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ann", "-f", str(tmp_path / "key")], check=True)
    return tmp_path / "key"


@pytest.fixture
def signers(tmp_path: Path, key: Path) -> Path:
    file = tmp_path / "allowed_signers"
    file.write_text(f'ann@lab namespaces="workbench-audit" {key.with_suffix(".pub").read_text()}')
    return file


@pytest.fixture
def case(tmp_path: Path) -> Path:
    folder = tmp_path / "case"
    folder.mkdir()
    log = AuditLog(folder)
    for i in range(4):
        log.append("source_indexed", path=f"/captures/{i}.pcap")
    return folder


def whats(case: Path, **more: object) -> str:
    return "; ".join(p.what for p in verify_case(case, **more).problems)  # type: ignore[arg-type]


def test_a_signed_log_verifies_and_goes_on(case: Path, key: Path, signers: Path) -> None:
    head = sign_head(case, key, "ann@lab")
    AuditLog(case).append("note_added", id=1)
    sign_head(case, key, "ann@lab")
    verdict = verify_case(case, signers)
    assert verdict.ok
    assert verdict.entries == 7
    assert head.seq == 4
    assert [e.action for e in AuditLog(case).read()][4:] == ["head_signed", "note_added", "head_signed"]
    assert len(read_heads(case / heads.FILE)[0]) == 2


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_any_cut_before_the_signed_head_is_found(case: Path, key: Path, signers: Path, keep: int) -> None:
    sign_head(case, key, "ann@lab")
    log = AuditLog(case)
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:keep]))
    assert log.verify().ok  # the chain alone cannot tell
    assert "its end was cut off" in whats(case, allowed_signers=signers)


def test_a_log_written_anew_is_found(case: Path, key: Path, signers: Path) -> None:
    sign_head(case, key, "ann@lab")
    (case / "audit.jsonl").unlink()
    for i in range(6):
        AuditLog(case).append("note_added", id=i)
    assert AuditLog(case).verify().ok
    assert "written anew" in whats(case, allowed_signers=signers)


def test_a_missing_head_is_noticed(case: Path, key: Path, signers: Path) -> None:
    sign_head(case, key, "ann@lab")
    copy = case.parent / "heads-kept-elsewhere.jsonl"
    (case / heads.FILE).rename(copy)
    assert "it is missing" in whats(case, allowed_signers=signers)
    assert verify_case(case, signers, heads_file=copy).ok


def test_a_stranger_s_signature_does_not_hold(case: Path, key: Path, signers: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "other")], check=True)
    sign_head(case, tmp_path / "other", "ann@lab")
    assert "does not hold" in whats(case, allowed_signers=signers)
    assert verify_case(case).ok  # nobody was asked to vouch for it
    verdict = verify_case(case)
    assert (verdict.vouched, verdict.unchecked) == (0, 4)
    assert verify_case(case, signers).vouched == 0


def test_only_heads_whose_signatures_were_checked_vouch(
    case: Path, key: Path, signers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sign_head(case, key, "ann@lab")
    verdict = verify_case(case, signers)
    assert (verdict.vouched, verdict.unchecked) == (4, 0)
    assert verify_case(case, anchors=[Anchor(2, AuditLog(case).read()[1].hash)]).vouched == 2
    (tmp_path / "settings.toml").write_text("[audit]\n")
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    assert run(["audit", "verify", "--case", str(case)]) == 0
    said = capsys.readouterr().err
    assert "anchored nowhere" in said
    assert "heads up to line 4, but signatures not checked" in said


def test_a_signature_made_for_something_else_does_not_hold(case: Path, key: Path, signers: Path) -> None:
    head = sign_head(case, key, "ann@lab")
    other = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", str(key)],
        input=head.signed_bytes(),
        capture_output=True,
        check=True,
    )
    file = case / heads.FILE
    file.write_bytes(
        heads.canonical({"seq": head.seq, "hash": head.hash, "principal": "ann@lab", "signature": other.stdout.decode()}) + b"\n"
    )
    assert "does not hold" in whats(case, allowed_signers=signers)


def test_a_head_moved_to_another_line_does_not_hold(case: Path, key: Path, signers: Path) -> None:
    head = sign_head(case, key, "ann@lab")
    line = AuditLog(case).read()[1]
    file = case / heads.FILE
    file.write_bytes(heads.canonical({"seq": 2, "hash": line.hash, "principal": "ann@lab", "signature": head.signature}) + b"\n")
    assert "does not hold" in whats(case, allowed_signers=signers)


def test_anchors(case: Path) -> None:
    line = AuditLog(case).read()[2]
    assert verify_case(case, anchors=[Anchor(3, line.hash)]).ok
    assert "another one" in whats(case, anchors=[Anchor(2, line.hash)])
    assert "cut off" in whats(case, anchors=[Anchor(9, line.hash)])


def test_a_bad_log_is_not_signed(case: Path, key: Path) -> None:
    log = AuditLog(case)
    log.path.write_bytes(log.path.read_bytes().replace(b"1.pcap", b"2.pcap"))
    with pytest.raises(AuditError, match="is not signed"):
        sign_head(case, key)
    assert not (case / heads.FILE).exists()
    with pytest.raises(AuditError):
        sign_head(case.parent, key)


def test_a_key_that_is_not_there(case: Path, tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="refused to sign"):
        sign_head(case, tmp_path / "nothing")
    assert AuditLog(case).verify().entries == 4


def test_without_ssh_keygen(case: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ExternalError, match="not installed"):
        sign_head(case, key)


@pytest.mark.parametrize("junk", [b"nonsense\n", b"{}\n", b"[" * 50_000 + b"\n", b"\xff" * 100, b'{"seq":"x"}\n'])
def test_junk_among_the_heads_is_said(case: Path, key: Path, signers: Path, junk: bytes) -> None:
    sign_head(case, key, "ann@lab")
    with (case / heads.FILE).open("ab") as file:
        file.write(junk)
    assert "is no signed head" in whats(case, allowed_signers=signers)


def test_a_key_with_a_passphrase_fails_at_once_where_nothing_can_be_typed(tmp_path, monkeypatch):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "locked"], check=True)
    monkeypatch.setattr(heads, "_quiet", False)
    heads.leave_terminal_alone()
    with pytest.raises(ExternalError, match="asks for a passphrase, which can't be typed here") as caught:
        heads.sign(b"x", tmp_path / "locked", heads.NAMESPACE)
    assert "ssh-add" in caught.value.remedy
