"""Whose signature stands under a plan, and whether it holds for its bytes: a name that nobody has checked is no evidence."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ExternalError
from workbench.push.resident import workbench_dpu as dpu


@dataclass(frozen=True, slots=True)
class Judged:
    """worth: 2 where it is of somebody whom the allowed signers know, 1 where it holds but nobody knows whose the key is, 0 for
    none and for one that does not hold. who: name and fingerprint, '' at 0. why: what is wrong with it, '' for nothing."""

    worth: int = 0
    who: str = ""
    why: str = ""


def judged(bundle: str, signature: str, namespace: str) -> Judged:
    """A signature over a bundle's text, by the allowed signers of the settings; costs a process of ssh-keygen. SettingsError."""
    from workbench.audit.heads import made_with
    from workbench.settings import load_settings

    if not signature:
        return Judged()
    named = load_settings().audit.allowed_signers
    try:
        mark, _, meant = dpu.read_signature(signature)
        if meant != namespace:
            return Judged(why=f"it is for {meant[:60]!r}, not for {namespace}")
        doubt, text = _signers(named)
        if not doubt and mark not in dpu.read_signers(text):
            doubt = "the allowed signers of the settings do not know that key"
        if doubt:
            holds = made_with(bundle.encode(), signature, namespace)
            return Judged(1, f"{mark}, unverified: {doubt}") if holds else Judged(why="it does not hold for these bytes")
        with tempfile.TemporaryDirectory() as made:
            (Path(made) / "allowed_signers").write_text(text, "utf-8")
            who, mark = dpu.verify(Path(made), bundle.encode(), signature, namespace)
    except dpu.Refused as error:
        return Judged(why=error.message)
    except (OSError, ExternalError) as error:
        return Judged(why=f"it can't be looked at: {error}")
    return Judged(2, f"{who} ({mark})")


def _signers(named: str) -> tuple[str, str]:
    """(why nobody can be told by them, text of the allowed signers)."""
    if not named:
        return "the settings name no allowed signers", ""
    try:
        text = Path(named).expanduser().read_text("utf-8")
        dpu.read_signers(text)
    except (OSError, ValueError):
        return "the allowed signers of the settings can't be read", ""
    except dpu.Refused as error:
        return f"the allowed signers of the settings: {error.message}", ""
    return "", text
