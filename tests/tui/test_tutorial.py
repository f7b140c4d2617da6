"""docs/tutorial.md: its pictures, and those of docs/editor.md, are what the script takes; keys, commands and words are there."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from docs.pictures.make import EDITOR, FILTER, HERE, NOTE, PICTURES, SAMPLE
from workbench.cli import app as cli
from workbench.tui.keymap import every_binding

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
PROSE, _, TABLE = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL).partition("## The keys of these ten minutes")
LIMIT = 120_000
NAMES = {
    "Esc": "escape",
    "[": "left_square_bracket",
    "/": "slash",
    ">": "greater_than_sign",
    "?": "question_mark",
}


def stroke(name: str) -> str:
    return NAMES.get(name, name.lower() if len(name) > 1 else name)


def pictured(name: str) -> str:
    """The text of a picture."""
    svg = (HERE / f"{name}.svg").read_text("utf-8")
    return html.unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).replace("\xa0", " ")


def test_the_page_shows_what_the_script_takes_in_its_order():
    assert re.findall(r"!\[(.*?)\]\(pictures/(\w+)\.svg\)", PAGE) == [(one.about, one.name) for one in PICTURES]
    editor = (ROOT / "docs" / "editor.md").read_text("utf-8")
    assert set(re.findall(r"!\[(.*?)\]\(pictures/(\w+)\.svg\)", editor)) == {(one.about, one.name) for one in EDITOR}
    assert {path.stem for path in HERE.glob("*.svg")} == {one.name for one in (*PICTURES, *EDITOR)}


@pytest.mark.parametrize("name", [one.name for one in (*PICTURES, *EDITOR)])
def test_a_picture_is_small_and_says_nothing_of_a_machine(name):
    svg = (HERE / f"{name}.svg").read_bytes()
    assert 10_000 < len(svg) < LIMIT
    text = svg.decode()
    for wrong in ("/tmp", "/home", "/root", "/work", str(Path.home()), "url(http", "<script", "@font-face"):
        assert wrong not in text, wrong
    days = set(re.findall(r"\b20\d\d-\d\d-\d\d\b", pictured(name)))
    assert days <= {"2026-11-22"}  # the capture's own day


def test_pictures_are_of_the_app_as_it_is():
    """What the page leads to is in them; a view that was renamed or a detection that finds less is seen here."""
    assert "look first" in pictured("overview")
    assert "94 of 193 flows" in pictured("scan")
    assert "Hypervisor management reached from elsewhere" in pictured("findings")
    assert FILTER.strip() in pictured("filter")
    assert "valid: Enter applies it" in pictured("filter")
    assert NOTE in pictured("note")
    assert "would have stopped 38 of 38 flows of the finding" in pictured("draft")
    assert "[F3 Proof]" in pictured("proof")
    assert "38 stopped" in pictured("then")
    assert FILTER.strip() in PAGE
    assert NOTE in PAGE


def test_every_key_of_the_page_is_a_binding_of_the_id_beside_it():
    bound = {binding.id: set(binding.key.split(",")) for _, binding in every_binding()}
    named = set()
    for row in re.findall(r"^\| (`.*) \| (`.*) \|$", TABLE, re.MULTILINE):
        keys, ids = re.findall(r"`([^`]+)`", row[0]), re.findall(r"`([^`]+)`", row[1])
        pairs = [(keys[0], one) for one in ids] if len(keys) == 1 else list(zip(keys, ids, strict=True))
        for key, one in pairs:
            assert stroke(key) in bound[one], (key, one)
        named |= set(keys)
    said = set(re.findall(r"`([^`]+)`", PROSE))
    keys = {one for one in said if not one.startswith(("workbench", "make ", ".venv")) and one not in {"!", "Ctrl+C"}}
    assert keys == named


def test_every_command_of_the_page_is_one():
    lines = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    commands = get_command(cli.app).commands
    asked = 0
    for line in lines:
        program, _, rest = line.partition(" ")
        if program == "make":
            assert rest in targets
        elif program == "workbench":
            words = shlex.split(rest)
            known = {option for one in commands[words[0]].params for option in one.opts}
            assert {word for word in words if word.startswith("--")} <= known, line
            asked += 1
        else:
            assert line == FILTER
    assert asked == 6


def test_what_it_opens_is_there():
    assert SAMPLE.is_file()
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
