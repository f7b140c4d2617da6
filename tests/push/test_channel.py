"""What comes back over ssh is an answer of a resident, or an error that says what to do."""

from __future__ import annotations

import io
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.people import People, bundle, config, folder_of
from workbench.cli.app import run
from workbench.errors import ExternalError, FarError, PushRefusedError
from workbench.push import channel
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import Target
from workbench.sources import ssh

TARGET = Target("dpu1", "ovs", ssh.Far("local"), folder="/nowhere")


def answering(monkeypatch: pytest.MonkeyPatch, out: bytes) -> None:
    monkeypatch.setattr(channel, "send", lambda *_words, **_more: out)


def frame(**said: Any) -> bytes:
    out = io.BytesIO()
    dpu.write_frame(out, said)
    return out.getvalue()


def test_an_old_resident_is_told_so_and_not_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    folder = folder_of(tmp_path / "dpu", People(tmp_path / "keys", ("ada", "ben")))
    out = io.BytesIO()
    dpu.serve(folder, io.BytesIO(frame(protocol=dpu.PROTOCOL + 1, ask="status")), out)
    answering(monkeypatch, out.getvalue())
    with pytest.raises(PushRefusedError) as caught:
        channel.ask(TARGET, "status")
    assert caught.value.code == "old-protocol"
    assert f"this resident speaks protocol {dpu.PROTOCOL}, not {dpu.PROTOCOL + 1}" in caught.value.message
    assert "push enrol" in caught.value.remedy
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("noise", [b"Welcome to DPU\n", b"WBD1\0\0\0\x09{}", b"WBD1\xff\xff\xff\xff", b"WBD1\0\0\0\2[]", b"\0"])
def test_noise_is_no_answer(monkeypatch: pytest.MonkeyPatch, noise: bytes) -> None:
    answering(monkeypatch, noise)
    with pytest.raises(ExternalError, match="not as a resident"):
        channel.ask(TARGET, "status")


def test_silence_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, b"")
    with pytest.raises(ExternalError, match="ended without an answer"):
        channel.ask(TARGET, "status")


def test_where_there_is_no_resident_the_remedy_is_to_enrol() -> None:
    with pytest.raises(FarError) as caught:
        channel.ask(TARGET, "status")
    assert "no resident of dpu1" in caught.value.message
    assert "push enrol" in caught.value.remedy


def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FarError, match=r"took more than 0\.1 s"):
        channel.send(TARGET, f"exec {sys.executable} -c 'input(); import time; time.sleep(60)'", b"\n", what="it", seconds=0.1)


def test_a_far_end_that_reads_nothing_is_an_error_and_no_crash() -> None:
    with pytest.raises(FarError):
        channel.send(replace(TARGET), "exec false", b"x" * (1 << 20), what="it")


def test_one_that_never_stops_talking_is_not_heard_to_the_end() -> None:
    with pytest.raises(FarError, match="said more than 24 MiB"):
        channel.send(TARGET, "exec cat /dev/zero", b"", what="it")
    for where in (">&2", ""):  # on stderr as fast as it can, on stdout a little at a time
        slow = "" if where else "sleep 0.01;"
        with pytest.raises(FarError, match=r"took more than 0\.5 s"):
            channel.send(TARGET, f"while :; do {slow} echo x {where}; done", b"", what="it", seconds=0.5)
    with pytest.raises(FarError, match="said more than 64 MiB"):
        ssh.run(TARGET.far, ["cat", "/dev/zero"])


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a true resident answers."""
    box = tmp_path_factory.mktemp("true")
    (box / "config.json").write_bytes(dpu.canonical(config(dataplane="nft", bridge="")))
    (box / "allowed_signers").write_text("")
    out = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dpu.Dataplane, "running", lambda _self: "")
        patch.setattr(dpu.Dataplane, "counters", lambda _self: {})
        dpu.serve(box, io.BytesIO(frame(protocol=dpu.PROTOCOL, ask="status")), out)
    signal.alarm(0)
    answer = dpu.read_frame(io.BytesIO(out.getvalue()))
    assert answer
    return answer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("now", 10**20),
        ("now", True),
        ("skew", 1e300),
        ("alerts", [{"at": 1}]),
        ("gaps", [{"at": 1, "seconds": "x"}]),
        ("confirmed", {"digest": "../../x"}),
        ("counters", {"1": [1, -1]}),
        ("drift", {"since": 1e12, "added": [], "removed": []}),
        ("drift", {"since": 1, "added": [1], "removed": []}),
        ("down", {"message": "x"}),
        ("running", "x"),
        ("bundle", 5),
        ("signers", "ada"),
    ],
)
def test_what_is_no_answer_to_the_question_is_refused_as_a_whole(
    status: dict[str, Any], monkeypatch: pytest.MonkeyPatch, field: str, value: object
) -> None:
    answering(monkeypatch, frame(**status))
    assert channel.ask(TARGET, "status")["target"] == "dpu1"
    answering(monkeypatch, frame(**{**status, field: value}))
    with pytest.raises(ExternalError, match=f"its `{field}` is not what it must be"):
        channel.ask(TARGET, "status")
    answering(monkeypatch, frame(**{name: one for name, one in status.items() if name != "sequence"}))
    with pytest.raises(ExternalError, match="its `sequence` is not"):
        channel.ask(TARGET, "status")


def test_words_of_a_resident_reach_no_terminal_as_they_are(
    status: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J\u202e[red]"
    (tmp_path / "settings.toml").write_text('[targets.dpu1]\nkind = "nft"\naddress = "local"\n')
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    told = dict.fromkeys(("bridge", "host", "boot", "owner", "occupied"), evil) | {"down": {"since": 1, "message": evil}}
    told["unreviewed"] = [{"digest": "0" * 64, "policy": evil, "signer": evil, "at": 1, "why": evil}]
    drifted = {"drift": {"since": 1, "added": [evil], "removed": []}}
    refused = {"ok": False, "code": evil, "message": evil * 1000}
    for more, words in (
        (told, ["status"]),
        (drifted, ["drift", "--format", "table"]),
        (refused, ["drift"]),
        (refused, ["status"]),
    ):
        answering(monkeypatch, frame(**{**status, **more}))
        run(["push", *words])
        said = capsys.readouterr()
        assert "owned" in said.out + said.err
        assert not re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", said.out + said.err), words
        assert len(said.err) < 20_000


def test_a_bundle_that_is_not_the_confirmed_one_is_none(status: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"digest": "", "sequence": 1, "policy": "p", "signer": "ada", "approver": "ben", "review": False, "lapses": None}
    record |= {"at": 1, "members": {"sets": {}, "until": None}}

    def found(text: str, mark: str = "") -> Any:
        answering(
            monkeypatch, frame(**{**status, "bundle": text, "confirmed": {**record, "digest": mark or dpu.digest(text.encode())}})
        )
        return channel.confirmed(TARGET, channel.ask(TARGET, "status"))

    good = dpu.canonical(bundle()).decode()
    assert found(good)["target"] == "dpu1"
    answering(monkeypatch, frame(**status))
    assert channel.confirmed(TARGET, channel.ask(TARGET, "status")) is None
    other, odd = dpu.canonical(bundle(target="dpu2")).decode(), dpu.canonical(bundle(ids={"x": "p/one"})).decode()
    for text, mark in ((good, "0" * 64), (other, ""), (odd, ""), ("{}", ""), (good[:-1], "")):
        with pytest.raises(ExternalError, match="shows a bundle that is not"):
            found(text, mark)
