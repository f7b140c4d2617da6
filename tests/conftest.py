"""Kernels are compiled once for all tests: here, in worker processes and in programs that tests start."""

from __future__ import annotations

import gc
import signal
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.forked import Forked
from workbench.workflows.kernels import prepare_kernel_cache
from workbench.workflows.spawning import ready_to_spawn

#: Seconds after which a test that waits for what never comes has failed (slow ones: twice that): CI would end without
#: saying which it was.
PATIENCE = 600

#: Fixtures of a session with indexed samples (tests/detections, tests/sample_captures).
SAMPLES = {"cases", "sampled", "samples"}

settings.register_profile("house", deadline=None)  # a busy machine is no failure
settings.load_profile("house")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background of a script: programs under test inherit it,
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and some are stopped by just that signal
prepare_kernel_cache()  # before any test module imports a kernel, and inherited by every process


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share what takes long to make run in one process: spread over all, each process would make it.

    That is what fixtures of a module make once, and the indexed samples.
    """
    for item in items:
        made = getattr(item, "_fixtureinfo", None)
        if made is None or item.get_closest_marker("xdist_group"):
            continue
        group = item.path.relative_to(item.config.rootpath)
        if SAMPLES & made.name2fixturedefs.keys():
            item.add_marker(pytest.mark.xdist_group(".".join(group.parent.parts)))
        elif any(one[-1].scope == "module" for one in made.name2fixturedefs.values()):
            item.add_marker(pytest.mark.xdist_group(".".join(group.parts)))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of tests and all modules stay until the end: looking through them for garbage was a fifth of the suite's time.

    They are set aside. The rest is looked through less often, too: the interpreter does so the sooner, the less there is.
    """
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Every loop of a test has an end."""
    seconds = PATIENCE * (2 if item.get_closest_marker("slow") else 1)

    def late(*_: object) -> None:
        pytest.fail(f"not over after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> Iterator[None]:
    """Decoding processes do not load their kernels one by one. The first of a process may be wanted while an app runs."""
    ready_to_spawn()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.workflows.pool.multiprocessing", Forked())
        yield


@pytest.fixture
def spawned_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding processes are started as the program starts them."""
    import multiprocessing

    monkeypatch.setattr("workbench.workflows.pool.multiprocessing", multiprocessing)
