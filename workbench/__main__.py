"""The entry point: the command line answers by itself or asks for the app, which is started here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

#: NumPy's linear algebra, of which nothing here makes use, starts threads when it is loaded that spin for a while: 0.15 s of a
#: processor in every process.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main() -> None:
    """Run the command line in sys.argv and exit with its code."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:  # before or after anything could be done about it
        sys.exit(130)


def _run() -> int:
    if _will_index(sys.argv[1:]):
        from workbench.workflows.pool import start_early

        start_early()
    if "doctor" in sys.argv[1:]:
        from workbench.workflows.doctor import key_checks

        key_checks.append(_wrong_keys)
    from workbench.cli.app import guarded, run
    from workbench.workflows.requests import ServeRequest

    outcome = run(sys.argv[1:])
    if not isinstance(outcome, int):
        request = outcome

        def show() -> int:
            if isinstance(request, ServeRequest):
                from workbench.tui.serve import run_server

                return run_server(request)
            from workbench.tui.app import run_app

            return run_app(request)

        outcome = guarded(show)
    return outcome if isinstance(outcome, int) else 0


def _wrong_keys(keymap: Mapping[str, str]) -> list[str]:
    """What the app says of keys in the settings; the command line does not know the app."""
    from workbench.tui.keymap import wrong_keys

    return wrong_keys(keymap)


def _will_index(words: list[str]) -> bool:
    """Whether the command is likely to need a decoding process: told by a glance, before anything is loaded."""
    if not words or words[0] not in {"attach", "index", "open"} or "--help" in words:
        return False
    if words[0] == "attach":
        return True
    return any(Path(word).is_file() for word in words[1:])


if __name__ == "__main__":
    main()
