"""What comes back over ssh is an answer of a resident, or an error that says what to do."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.push.resident.people import People, folder_of
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
