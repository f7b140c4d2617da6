"""One rule for what tests need of a machine: without it they are skipped; where everything is required they run and fail."""

from __future__ import annotations

import os
import shutil

import pytest


def required() -> bool:
    """Whether nothing may be left out (WORKBENCH_REQUIRE_ALL)."""
    return os.environ.get("WORKBENCH_REQUIRE_ALL") == "1"


def program(name: str) -> pytest.MarkDecorator:
    """Leave a test out where that program is not installed."""
    return pytest.mark.skipif(shutil.which(name) is None and not required(), reason=f"{name} is not installed")


def root(why: str) -> pytest.MarkDecorator:
    """Leave a test out where it is not run by root."""
    return pytest.mark.skipif(os.geteuid() != 0 and not required(), reason=f"needs root {why}")


def libpcap() -> pytest.MarkDecorator:
    """Leave a test out where libpcap is not installed."""
    from workbench.errors import ExternalError
    from workbench.sources.bpf import libpcap_version

    try:
        libpcap_version()
    except ExternalError as error:
        return pytest.mark.skipif(not required(), reason=error.message)
    return pytest.mark.skipif(False, reason="")
