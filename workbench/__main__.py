"""The entry point: the command line answers by itself or asks for the app, which is started here."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line in sys.argv and exit with its code."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:  # before or after anything could be done about it
        sys.exit(130)


def _run() -> int:
    from workbench.cli.app import guarded, run

    outcome = run(sys.argv[1:])
    if not isinstance(outcome, int):
        request = outcome

        def show() -> int:
            from workbench.tui.app import run_app

            return run_app(request)

        outcome = guarded(show)
    return outcome if isinstance(outcome, int) else 0


if __name__ == "__main__":
    main()
