import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).parents[2]


def spaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@pytest.mark.lab
@needs.root("for network namespaces")
def test_the_shell_reaches_the_servers_and_leaves_nothing_behind() -> None:
    asked = "curl -s -o /dev/null -w '%{http_code}\\n' http://10.20.1.10/; echo space=$FABRIC\n"
    ran = subprocess.run(
        [sys.executable, "-m", "sample_captures.make.shell"],
        input=asked,
        env={**os.environ, "SHELL": "/bin/sh"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    fabric = next(line.removeprefix("space=") for line in ran.stdout.splitlines() if line.startswith("space="))
    assert "200" in ran.stdout.splitlines()
    assert fabric.endswith("-fabric")
    assert fabric not in spaces()
