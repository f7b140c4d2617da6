"""What has to be there before the app starts processes."""

from __future__ import annotations

from multiprocessing import resource_tracker


def ready_to_spawn() -> None:
    """Start the process that `multiprocessing` keeps beside its children; to be called before the app runs.

    It is given our stderr. Once the app runs it has taken stderr, and says of its file number that there is none (-1), which the
    system refuses: whoever opened a capture from the first screen got an error. Costs one small process.
    """
    resource_tracker.ensure_running()
