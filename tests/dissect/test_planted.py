"""No secret of a capture is shown by default: not in a list, not in a tree, not in the bytes, not in any file of the case."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import needs
from tests.sample_captures.indexed import FOLDER
from workbench.cli.app import run
from workbench.dissect.dissector import Dissector
from workbench.workflows.dissect import masked_hex
from workbench.workflows.frames import read_frames
from workbench.workflows.ingest import index_sources
from workbench.workflows.requests import IndexRequest
from workbench.workflows.show import reading

_spec = importlib.util.spec_from_file_location("dialogues", Path(__file__).with_name("dialogues.py"))
assert _spec is not None
assert _spec.loader is not None
module: Any = importlib.util.module_from_spec(_spec)
import sys  # noqa: E402

sys.modules["dialogues"] = module  # dataclasses look their module up
_spec.loader.exec_module(module)
talk = module.talk

DIALOGUES = module.dialogues()
CLIENT = 40000  # the port that asks, in all of them
TRUTHS = sorted(path for path in FOLDER.glob("*.json") if json.loads(path.read_text()).get("planted"))
pytestmark = needs.program("tshark")


@pytest.fixture(scope="module")
def masking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dissector]:
    with Dissector(timeout=120, cache=tmp_path_factory.getbasetemp() / "catalogue") as dissector:
        yield dissector


@pytest.fixture(scope="module")
def unmasking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dissector]:
    with Dissector(unmask=True, timeout=120, cache=tmp_path_factory.getbasetemp() / "catalogue") as dissector:
        yield dissector


def all_said(dissector: Dissector, capture: bytes) -> str:
    """Everything that a list and the trees of all packets say."""
    return "\n".join(said_of_each(dissector, capture))


def said_of_each(dissector: Dissector, capture: bytes) -> list[str]:
    """The same, packet by packet."""
    lines = dissector.list(capture, 50_000)
    trees = [tree for first in range(1, len(lines) + 1, 400) for tree in dissector.trees(capture, first, 400)]
    assert lines
    return [
        f"{line.protocol} {line.info} {line.src} {line.dst}\n{talk.said(tree)}" for line, tree in zip(lines, trees, strict=True)
    ]


def together(dialogues: list[Any]) -> list[list[Any]]:
    """Dialogues that no port mixes up: they share a capture, for it is the start of tshark that takes its time."""
    groups: list[tuple[set[int], list[Any]]] = []
    for dialogue in dialogues:
        ports = {port for frame in dialogue.frames for port in struct.unpack_from(">HH", frame, 34)} - {CLIENT}
        fitting = [one for one in groups if not one[0] & ports]
        if not fitting:
            groups.append((set(), []))
        taken, group = fitting[0] if fitting else groups[-1]
        taken.update(ports)
        group.append(dialogue)
    return [group for _, group in groups]


@pytest.fixture(scope="module")
def shown_of(masking: Dissector, unmasking: Dissector) -> dict[str, tuple[str, str]]:
    """What is said of each dialogue, masked and unmasked."""
    told: dict[str, tuple[str, str]] = {}
    for group in together(DIALOGUES):
        capture = talk.pcapng([frame for dialogue in group for frame in dialogue.frames])
        each = [said_of_each(dissector, capture) for dissector in (masking, unmasking)]
        at = 0
        for dialogue in group:
            end = at + len(dialogue.frames)
            masked, whole = ("\n".join(said[at:end]) for said in each)
            told[dialogue.name], at = (masked, whole), end
        assert [len(said) for said in each] == [at, at]
    return told


def stands(secret: str, text: str, encoding: str = "utf-8") -> bool:
    """Whether it is there as text, or as hex digits of its bytes, with or without separators."""
    digits = text.lower().replace(":", "").replace(" ", "")
    return secret.lower() in text.lower() or any(secret.encode(one).hex() in digits for one in {encoding, "utf-8", "utf-16-le"})


@pytest.mark.xdist_group("dialogues")
@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.name)
def test_no_secret_of_a_dialogue_is_shown(dialogue: Any, shown_of: dict[str, tuple[str, str]]) -> None:
    shown, whole = shown_of[dialogue.name]
    assert [secret for secret in dialogue.secrets if stands(secret, shown)] == []
    assert "sec-" not in shown.lower()
    assert "(masked" in shown
    assert [secret for secret in dialogue.secrets if not stands(secret, whole)] == [], (
        "they are not in the capture, so nothing was shown above"
    )


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda path: path.stem)
def test_no_secret_of_a_sample_is_shown(truth: Path, masking: Dissector) -> None:
    document = json.loads(truth.read_text())
    planted = document["planted"]
    shown = all_said(masking, (FOLDER / document["capture"]).read_bytes())
    assert [one["text"] for one in planted if stands(one["text"], shown, one.get("encoding", "utf-8"))] == []


@pytest.mark.parametrize("name", ["web", "windows"])
def test_secrets_of_a_sample_are_shown_when_unmasked(name: str, unmasking: Dissector) -> None:
    document = json.loads((FOLDER / f"{name}.json").read_text())
    shown = all_said(unmasking, (FOLDER / document["capture"]).read_bytes())
    clear = [one for one in document["planted"] if one["clear"] and one["kind"] in ("password", "cookie", "command", "query")]
    assert clear
    assert [one["text"] for one in clear if not stands(one["text"], shown, one["encoding"])] == []


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All dialogues in one case, each from a capture of its own."""
    folder = tmp_path_factory.mktemp("planted")
    paths = []
    for n, dialogue in enumerate(DIALOGUES):
        paths.append(folder / f"d{n}.pcapng")
        paths[-1].write_bytes(talk.pcapng(dialogue.frames))
    index_sources(IndexRequest(tuple(map(str, paths)), folder / "case", join="never"))
    return folder / "case"


def test_the_command_line_shows_no_secret_and_no_file_of_the_case_holds_one(
    case: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["packets", "--case", str(case), "--filter", "", "--format", "json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    assert len(rows) > 200
    out = [json.dumps(rows)]
    http = next(row for row in rows if row["info"].endswith("POST /sign/in host shop.example application/x-www-form-urlencoded"))
    for form in ("table", "json", "csv"):
        words = ["packets", "--case", str(case), "--flow", str(http["flow_id"]), "--tree", str(http["frame"]), "--format", form]
        assert run(words) == 0
        out.append(capfd.readouterr().out)
        assert "/sign/in" in out[-1]
    assert run(["flows", "--case", str(case), "--format", "json"]) == 0
    out.append(capfd.readouterr().out)
    assert "sec-" not in "".join(out).lower()
    raw = b"".join(path.read_bytes() for path in case.rglob("*") if path.is_file()).lower()
    kept = {"sec-agent", "sec-base"}  # columns http.user_agent and ldap.base, which docs/privacy.md lists
    secrets = {secret.lower() for dialogue in DIALOGUES for secret in dialogue.secrets} - kept
    assert len(secrets) > 50
    assert [secret for secret in secrets if secret.encode() in raw or secret.encode("utf-16-le") in raw] == []


def test_the_bytes_shown_hold_no_secret(case: Path) -> None:
    shown, there = bytearray(), bytearray()
    with reading(case) as reader:
        for flow_id in reader.query("SELECT flow_id FROM flows ORDER BY flow_id")["flow_id"].to_pylist():
            for frame in read_frames(reader, flow_id):
                shown += b"".join(part for _, part in masked_hex(frame) if part is not None) + b"\n"
                there += frame.data
    assert len(shown) > 10_000
    assert all(
        any(secret.encode(one) in there for one in ("utf-8", "utf-16-le"))
        for secret in ("sec-cookie", "sec-pingdata", "sec-command")
    )
    assert b"sec-" not in shown.lower()
    assert "sec-".encode("utf-16-le") not in shown


def test_unmasked_it_shows_them_after_the_log_says_so(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["packets", "--case", str(case), "--filter", "tcp.port == 80", "--format", "json"]) == 0
    row = next(row for row in json.loads(capfd.readouterr().out) if "POST" in row["info"])
    words = ["packets", "--case", str(case), "--flow", str(row["flow_id"])]
    tree = ["--tree", str(row["frame"])]
    for wrong in (["--unmask"], ["--unmask", "--reason", "  "], ["--reason", "why"], ["--unmask", "--plain", "--reason", "why"]):
        assert run([*words, *tree, *wrong]) == 2
        shown, told = capfd.readouterr()
        assert shown == ""
        assert "reason" in told or "--plain" in told
    log = case / "audit.jsonl"
    before = log.read_bytes()
    assert run([*words, *tree, "--unmask", "--reason", "ticket\n4711"]) == 0
    shown = capfd.readouterr().out
    assert "sec-cookie" in shown
    assert "sec-body-pw" in shown
    (line,) = log.read_bytes()[len(before) :].splitlines()
    entry = json.loads(line)
    assert entry["action"] == "packets_unmasked"
    detail = entry["detail"]
    assert detail.pop("tshark")[0].isdigit()
    assert detail == {"reason": "ticket 4711", "flows": [row["flow_id"]], "source": row["source_id"], "packet": row["frame"]}
    assert run([*words, "--unmask", "--reason", "ticket 4711"]) == 0
    assert "sec-query" in capfd.readouterr().out


def test_where_the_log_cannot_be_written_nothing_is_shown(case: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["packets", "--case", str(case), "--filter", "tcp.port == 80", "--format", "json"]) == 0
    row = next(row for row in json.loads(capfd.readouterr().out) if "POST" in row["info"])
    log = case / "audit.jsonl"
    kept = log.read_bytes()
    log.unlink()
    log.symlink_to("/nowhere/audit.jsonl")
    try:
        for more in (["--tree", str(row["frame"])], []):
            code = run(["packets", "--case", str(case), "--flow", str(row["flow_id"]), *more, "--unmask", "--reason", "why"])
            shown, told = capfd.readouterr()
            assert code == 4
            assert shown == ""
            assert "audit.jsonl cannot be written" in told
    finally:
        log.unlink()
        log.write_bytes(kept)
