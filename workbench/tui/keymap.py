"""Every key binding of the app, and what is wrong with those that a person's settings change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.keys import _character_to_key
from textual.screen import Screen

import workbench.tui


def every_binding() -> Iterator[tuple[type[Any], Binding]]:
    """(the part that it belongs to, binding), of every part of the app. Imports all of it."""
    for found in pkgutil.walk_packages(workbench.tui.__path__, "workbench.tui."):
        module = importlib.import_module(found.name)
        for part in vars(module).values():
            if isinstance(part, type) and part.__module__ == found.name and "BINDINGS" in vars(part):
                yield from ((part, binding) for binding in vars(part)["BINDINGS"] if isinstance(binding, Binding))


def wrong_keys(keymap: Mapping[str, str]) -> list[str]:
    """Sentences: ids that no binding has, and keys that would do two things in the same place."""
    bindings = [(part, binding) for part, binding in every_binding() if binding.id]
    known = {str(binding.id) for _, binding in bindings}
    said = [_unknown(name, known) for name in keymap if name not in known]
    for part, binding in bindings:
        for key in _keys(binding, keymap) if binding.id in keymap else ():
            for other_part, other in bindings:
                if other.id != binding.id and _meet(part, other_part) and key in _keys(other, keymap):
                    first, second = sorted((str(binding.id), str(other.id)))
                    said.append(f"{key} is the key of both {first} and {second}: give one of them another key.")
    return list(dict.fromkeys(said))


def _unknown(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), 1, 0.4)
    return f'There is no action "{name}"' + (f"; the nearest is {near[0]}." if near else "; ? lists them.")


def _keys(binding: Binding, keymap: Mapping[str, str]) -> set[str]:
    found = (key.strip() for key in keymap.get(str(binding.id), binding.key).split(","))
    return {_character_to_key(key) if len(key) == 1 else key for key in found if key}


def _meet(one: type[Any], other: type[Any]) -> bool:
    """Whether both can be in force at once: the same part, or a screen (or the app) and what may stand in it.

    Two screens never are. Which of them a widget is in is not known here: the case has most, so its keys meet all.
    """
    if one is other or issubclass(one, App) or issubclass(other, App):
        return True
    screens = [part for part in (one, other) if issubclass(part, Screen)]
    return len(screens) == 1 and screens[0].__name__ == "CaseScreen"
