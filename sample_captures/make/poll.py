"""Ask for a page again and again, asleep in between: ``python -m sample_captures.make.poll PERIOD JITTER TIMES SEED CURL...``.

Prints a JSON line for each time: when, from which port, with which status. The pauses are PERIOD seconds, give or take JITTER
of it (a fraction); CURL is curl's own arguments.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time

ACCOUNT = '{"src": "%{local_ip}", "src_port": %{local_port}, "status": %{http_code}, "body_bytes": %{size_download}}'


def poll(period: float, jitter: float, times: int, seed: int, words: list[str]) -> None:
    """Until ``times`` is reached; a beat's pause counts from the beat before, as malware does it."""
    pauses = random.Random(seed)
    for _ in range(times):
        began = time.time()
        said = subprocess.run(
            ["curl", "-sk", "-o", "/dev/null", "-w", ACCOUNT, *words], capture_output=True, text=True, check=True, timeout=30
        )
        json.dump({"time": round(began, 3), **json.loads(said.stdout)}, sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()
        time.sleep(period * pauses.uniform(1 - jitter, 1 + jitter))


if __name__ == "__main__":
    poll(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:])
